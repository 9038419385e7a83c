"""What bytes mean; instructions against objdump, structs against BTF written here."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.wire.records import TypeField, TypeLayout
from viewer.view.inspector import decode_struct, disassemble, entropy, find_text, guess_types, hex_rows, typed_values


def test_values_are_what_struct_unpacks():
    content = struct.pack("<dQ", 2.5, 7)
    values = {value.name: value.text for value in typed_values(content, 0)}
    assert values["f64"] == "2.5" and values["u8"] == "0" and values["u64"] == str(struct.unpack("<Q", content[:8])[0])
    assert "u64" not in {value.name for value in typed_values(content, 12)}


@given(st.binary(max_size=64), st.integers(0, 70))
def test_any_bytes_have_a_reading(content, at):
    assert typed_values(content, at)
    find_text(content, at)
    assert all(step.code for step in disassemble(content, at, 0x1000, 8))


def test_text_is_the_run_around_a_byte():
    assert find_text(b"\0\0hello\0", 4) == (2, "hello")
    assert find_text(b"\0h\0", 1) is None and find_text(b"", 0) is None


@pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump is not installed")
def test_instructions_begin_where_objdump_says(tmp_path):
    from pathlib import Path

    code = Path("/bin/true").read_bytes()
    header = subprocess.run(["objdump", "-h", "-j", ".text", "/bin/true"], capture_output=True, text=True, check=True)
    _, _, size, _, _, place, *_ = next(line for line in header.stdout.splitlines() if ".text" in line).split()
    content = code[int(place, 16) : int(place, 16) + min(int(size, 16), 200)]
    (tmp_path / "code").write_bytes(content)
    words = ["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", str(tmp_path / "code")]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    starts = [int(found, 16) for found in re.findall(r"^ +([0-9a-f]+):\t[0-9a-f ]+\t", told, re.MULTILINE)]
    ours = [step.offset for step in disassemble(content, 0, 0x400000, 20)]
    assert ours == starts[: len(ours)] and len(ours) == 20


def test_bytes_that_are_no_instruction_are_a_line_each():
    steps = disassemble(b"\x06\x06\x90" + b"\x90" * 20, 0, 0, 4)
    assert [step.text for step in steps[:3]] == ["(bad)", "(bad)", "nop"]


def test_a_slab_is_guessed_by_its_name():
    assert guess_types("task_struct")[0] == "task_struct"
    assert guess_types("filp")[0] == "file"
    assert "ext4_inode_info" in guess_types("ext4_inode_cache")
    assert guess_types("kmalloc-64") == []


def test_a_struct_is_decoded_by_its_layout():
    fields = (
        TypeField("state", "int", 0, 4, kind="int"),
        TypeField("mode", "unsigned int", 33, 4, bit_size=3, kind="uint"),
        TypeField("next", "struct x *", 64, 8, kind="pointer"),
        TypeField("comm", "char[8]", 128, 1, count=8, kind="char"),
        TypeField("kind", "enum k", 192, 4, kind="uint", names={"2": "TWO"}),
        TypeField("flag", "bool", 224, 1, kind="bool"),
        TypeField("beyond", "u64", 512, 8, kind="uint"),
    )
    content = struct.pack("<iIQ8sIB", -5, 0b1010, 0xFFFF888000001000, b"init\0xx", 2, 1)
    values = {value.path: value for value in decode_struct(TypeLayout("struct x", 72, fields), content)}
    assert [values[name].text for name in ("state", "mode", "comm", "kind", "flag")] == [
        "-5",
        "5",
        "'init'",
        "TWO (2)",
        "true",
    ]
    assert values["next"].pointer == 0xFFFF888000001000 and values["beyond"].text == "beyond this page"


def test_rows_and_entropy():
    assert next(hex_rows(b"AB", 0x10)).endswith("AB")
    assert entropy(bytes(256)) == 0 and entropy(bytes(range(256))) == 8 and entropy(b"") == 0


def test_a_direct_call_has_a_target_and_nothing_else_has():
    steps = disassemble(bytes.fromhex("e8fb0000009075fdffd0"), 0, 0x1000)
    assert [step.target for step in steps] == [0x1100, None, 0x1005, None]
