"""The mirror of the shared file's layout says what the C compiler says."""

import doctest
import shutil
import subprocess
from pathlib import Path

import pytest

from tcg_plugin import layout

SOURCES = Path(layout.__file__).parent
pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")

ENUMS = {
    "GB_COMMAND_": layout.Command,
    "GB_STATE_": layout.State,
    "GB_MODE_": layout.Mode,
    "GB_FEATURE_": layout.Feature,
    "GB_CAPABILITY_": layout.Capability,
    "GB_SCOPE_": layout.Scope,
    "GB_CHUNK_": layout.ChunkFlag,
    "GB_BLOCK_": layout.BlockFlag,
    "GB_EVENT_": layout.Event,
    "GB_STOP_": layout.Stop,
    "GB_LEARNED_": layout.Learned,
    "GB_REASON_": layout.Reason,
    "GB_GATE_": layout.Gate,
}
CONSTANTS = {
    "GB_TRACE_VERSION": layout.VERSION,
    "GB_PAGE_BYTES": layout.PAGE_BYTES,
    "GB_MAX_VCPUS": layout.MAX_VCPUS,
    "GB_MAX_RANGES": layout.MAX_RANGES,
    "GB_MAX_ROOTS": layout.MAX_ROOTS,
    "GB_MAX_POINTS": layout.MAX_POINTS,
    "GB_MAX_REGIONS": layout.MAX_REGIONS,
    "GB_MAX_LEARNED": layout.MAX_LEARNED,
    "GB_MAX_CALLS": layout.MAX_CALLS,
    "GB_TEXT_OF_LENGTH": layout.TEXT_OF_LENGTH,
    "GB_LEARNED_REASONS": len(layout.Reason),
    "GB_LEARNED_REGISTERS": len(layout.LEARNED_REGISTERS),
    "GB_GENERAL_REGISTERS": len(layout.REGISTERS),
    "GB_MIN_CHUNK_BYTES": layout.MIN_CHUNK_BYTES,
    "GB_MIN_CHUNKS": layout.MIN_CHUNKS,
    "GB_NO_OFFSET": layout.NO_OFFSET,
    "GB_KIND_MEMORY": layout.KIND_MEMORY,
    "GB_KIND_EVENT": layout.KIND_EVENT,
    "GB_EVENT_WORD(6, 4, 14)": layout.event_word(layout.Event.EXCEPTION, 4, 14),
}


def expectations():
    """What Python says of every size, offset and constant, by the C expression for the same."""
    wanted = dict(CONSTANTS)
    for name, record in layout.RECORDS.items():
        wanted[f"sizeof({name})"] = layout.ctypes.sizeof(record)
        for field, *_ in record._fields_:
            wanted[f"offsetof({name}, {field})"] = getattr(record, field).offset
            wanted[f"sizeof((({name} *)0)->{field})"] = getattr(record, field).size
    for prefix, kind in ENUMS.items():
        wanted |= {f"{prefix}{member.name}": int(member) for member in kind}
    return wanted


def test_every_size_offset_and_constant_is_the_compilers(tmp_path):
    wanted = expectations()
    lines = "\n".join(f'printf("%llu\\n", (unsigned long long)({expression}));' for expression in wanted)
    probe = tmp_path / "probe.c"
    probe.write_text(
        f'#include "trace_abi.h"\n#include <stddef.h>\n#include <stdio.h>\nint main(void) {{\n{lines}\n}}\n'
    )
    subprocess.run(
        ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{SOURCES}", "-o", tmp_path / "probe", probe], check=True
    )
    answer = subprocess.run([tmp_path / "probe"], capture_output=True, text=True, check=True).stdout.split()
    assert dict(zip(wanted, map(int, answer), strict=True)) == wanted


def test_the_mirror_leaves_no_enumerator_out():
    text = (SOURCES / "trace_abi.h").read_text()
    for prefix, kind in ENUMS.items():
        declared = {word.strip(" {") for word in text.replace("\n", " ").split() if word.startswith(prefix)}
        declared -= {"GB_CHUNK_BYTES", "GB_EVENT_WORD(type,"}
        assert {name.removeprefix(prefix) for name in declared if name.isupper()} <= {member.name for member in kind}


def test_magic_and_examples_hold():
    assert f'"{layout.MAGIC[:-1].decode()}"' in (SOURCES / "trace_abi.h").read_text()
    assert doctest.testmod(layout).failed == 0
