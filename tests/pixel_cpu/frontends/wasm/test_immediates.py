"""What follows the code of an instruction."""

import pytest

from pixel_cpu.errors import WasmError
from pixel_cpu.frontends.wasm.immediates import read_immediate, read_opcode
from pixel_cpu.frontends.wasm.opcodes import BY_NAME, OPCODES, ValueType
from pixel_cpu.frontends.wasm.reader import Reader


def test_every_row_has_an_immediate_that_is_known():
    for op in OPCODES.values():
        if op.immediate == "reference type":
            read_immediate(Reader(b"\x70"), op)
        elif op.immediate != "block type":
            read_immediate(Reader(bytes(8)), op)


@pytest.mark.parametrize(
    ("name", "data", "wanted"),
    [
        ("i32.const", b"\x7f", -1),
        ("f32.const", b"\0\0\xc0\x7f", 0x7FC00000),
        ("br_table", b"\2\0\1\2", (0, 1, 2)),
        ("i32.load", b"\2\x80\1", (2, 128)),
        ("select_typed", b"\1\x7e", (ValueType.I64,)),
        ("ref.null", b"\x6f", ValueType.EXTERNREF),
    ],
)
def test_immediates(name, data, wanted):
    assert read_immediate(Reader(data), BY_NAME[name]) == wanted


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"\xfd\x0c", "SIMD is not supported"),
        (b"\xfe\0", "threads is not supported"),
        (b"\x12", "tail calls"),
        (b"\x06", "exceptions"),
        (b"\xff", "illegal opcode 0xff"),
        (b"\xfc\x80\x01", "illegal opcode 0xfc80"),
        (b"\xfc", "unexpected end"),
    ],
)
def test_other_instructions_are_refused_by_name(data, rule):
    with pytest.raises(WasmError, match=rule):
        read_opcode(Reader(data))


def test_an_access_to_another_memory_is_refused():
    with pytest.raises(WasmError, match="multiple memories"):
        read_immediate(Reader(b"\x42\1\0"), BY_NAME["i32.load"])
