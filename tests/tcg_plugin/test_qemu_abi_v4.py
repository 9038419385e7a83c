"""What we declare of QEMU's plugin interface is what QEMU declares: each prototype, each field, each constant.

The oracle is QEMU's own ``qemu-plugin.h``, which few machines have: `QEMU_PLUGIN_HEADER` names one (the header of any
release from 9.2 on), or it lies where ``make install`` puts it. The compiler compares: a prototype that is declared twice must
have the same type twice.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from qemu_bridge.machine.config import find_qemu
from tcg_plugin import build

GLIB = """
#include <stdint.h>
typedef struct { char *data; unsigned len; } GArray;
typedef struct { uint8_t *data; unsigned len; } GByteArray;
"""
ASSERT = '_Static_assert({}, "{}");\n'


def find_header():
    named = os.environ.get("QEMU_PLUGIN_HEADER")
    installed = Path(find_qemu()).resolve().parent.parent / "include" / "qemu-plugin.h"
    return Path(named) if named else installed if installed.is_file() else None


def ours(version):
    """Our declarations as the compiler sees them for `version`, without those of glib and of the C library."""
    source = build.FOLDER / "qemu_abi_v4.h"
    command = ["cc", "-E", "-P", "-fdirectives-only", f"-DGB_PLUGIN_API={version}", "-x", "c", str(source)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    text = text[text.index("typedef uint64_t qemu_plugin_id_t") :]
    return re.sub(r"/\*.*?\*/|^#.*?$", "", text, flags=re.DOTALL | re.MULTILINE)


def prototypes(text):
    """Ours, in the words of QEMU's header: there a callback's type is a pointer's, here a function's."""
    for found in re.findall(r"^(?!typedef)[a-zA-Z][\w ]*\*?qemu_plugin_\w+\([^;{]*\);", text, re.MULTILINE):
        yield re.sub(r"(\w+_cb_t) \*", r"\1 ", found)


def callbacks(text):
    """Our types of callbacks, each beside QEMU's of the same name."""
    for name, parameters in re.findall(r"typedef void (\w+_cb_t)(\([^;]*\));", text):
        yield f"typedef void gb_{name}{parameters};\n"
        yield ASSERT.format(f"__builtin_types_compatible_p(gb_{name} *, {name})", name)


def fields(text):
    """Offsets and sizes of what QEMU fills in or takes by value, and the values of constants."""
    for name, members in (
        ("qemu_info_t", "target_name version.min version.cur system_emulation system.smp_vcpus system.max_vcpus"),
        ("qemu_plugin_u64", "score offset"),
        ("qemu_plugin_mem_value", "type data.u8 data.u16 data.u32 data.u64 data.u128.low data.u128.high"),
        ("qemu_plugin_reg_descriptor", "handle name feature"),
    ):
        for member in members.split():
            yield ASSERT.format(f"offsetof({name}, {member}) == offsetof(gb_{name}, {member})", member)
            sizes = (f"sizeof ((({kind}{name} *)0)->{member})" for kind in ("", "gb_"))
            yield ASSERT.format(" == ".join(sizes), member)
    yield ASSERT.format("sizeof(qemu_plugin_u64) == sizeof(gb_qemu_plugin_u64)", "by value")
    yield ASSERT.format("sizeof(qemu_plugin_mem_value) == sizeof(gb_qemu_plugin_mem_value)", "by value")
    for name in re.findall(r"\bQEMU_PLUGIN_[A-Z0-9_]+", "".join(re.findall(r"enum \w+ \{(.*?)\}", text, re.DOTALL))):
        yield ASSERT.format(f"(int){name} == (int)gb_{name}", name)


def renamed(text):
    """Our structures and constants under names of their own, so that both can be there."""
    kept = re.findall(r"typedef struct \{.*?\n\} \w+;|enum qemu_\w+ \{.*?\};", text, re.DOTALL)
    names = r"\b(qemu_info_t|qemu_plugin_u64|qemu_plugin_mem_value|qemu_plugin_reg_descriptor|QEMU_PLUGIN_[A-Z0-9_]+)\b"
    both = "\n".join(part for part in kept if "GArray" not in part and "GByteArray" not in part)
    return re.sub(r"enum (qemu_\w+)", r"enum gb_\1", re.sub(names, r"gb_\1", both))


def compare(header, folder, version=None, change=lambda text: text):
    """What the compiler says about our declarations beside QEMU's; empty if they agree."""
    stated = int(re.search(r"#define QEMU_PLUGIN_VERSION (\d+)", header.read_text())[1])
    text = change(ours(version or stated))
    (folder / "glib.h").write_text(GLIB)
    wanted = list(prototypes(text))
    assert len(wanted) > 25
    if stated >= 6:
        wanted = [re.sub(r"^int (qemu_plugin_read_register)", r"bool \1", line) for line in wanted]
    lines = [f'#include "{header}"\n', renamed(text), "\n", *callbacks(text), *fields(text), "\n".join(wanted), "\n"]
    (folder / "both.c").write_text("".join(lines))
    command = ["cc", "-std=gnu11", "-Wall", "-Werror", "-fsyntax-only", f"-I{folder}", str(folder / "both.c")]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@pytest.fixture
def header():
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    if (found := find_header()) is None:
        pytest.skip("no qemu-plugin.h on this machine; QEMU_PLUGIN_HEADER names one")
    return found


def test_what_is_declared_is_what_qemus_header_declares(header, tmp_path):
    assert compare(header, tmp_path) == ""


@pytest.mark.parametrize(
    ("ours", "wrong"),
    [
        ("uint64_t qemu_plugin_tb_vaddr", "uint32_t qemu_plugin_tb_vaddr"),
        ("QEMU_PLUGIN_COND_GE = 7", "QEMU_PLUGIN_COND_GE = 6"),
        ("int min, cur;", "long min, cur;"),
        ("qemu_plugin_vcpu_udata_cb_t *cb,", "void *cb,"),
        ("mem_cb_t(unsigned vcpu,", "mem_cb_t(unsigned long vcpu,"),
    ],
)
def test_a_wrong_declaration_is_found(ours, wrong, header, tmp_path):
    assert "error" in compare(header, tmp_path, change=lambda text: text.replace(ours, wrong, 1))


def test_another_versions_declarations_are_refused(header, tmp_path):
    stated = int(re.search(r"#define QEMU_PLUGIN_VERSION (\d+)", header.read_text())[1])
    assert "error" in compare(header, tmp_path, version=4 if stated >= 7 else 7)
