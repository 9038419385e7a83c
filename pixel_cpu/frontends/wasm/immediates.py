"""What follows an instruction's code in the file, by the word of its row."""

from __future__ import annotations

from typing import Any

from .opcodes import OPCODES, OTHER_PROPOSALS, Opcode
from .reader import Reader
from .types import read_reference_type, read_value_type


def read_opcode(part: Reader) -> Opcode:
    """The row of the next instruction; `WasmError` where there is none, with the extension's name where it has one."""
    begin = part.offset
    code = part.byte()
    if code == 0xFC:
        code = 0xFC00 | min(part.u32(), 0xFFFF)
    found = OPCODES.get(code)
    if found is None:
        if code in OTHER_PROPOSALS:
            raise part.malformed(f"{OTHER_PROPOSALS[code]} is not supported: instruction {code:#x}", begin)
        raise part.malformed(f"illegal opcode {code:#x}", begin)
    return found


def _zero(part: Reader) -> int:
    begin = part.offset
    if part.byte() != 0:
        raise part.malformed("zero byte expected", begin)
    return 0


def read_immediate(part: Reader, op: Opcode) -> Any:  # noqa: ANN401  # as the row says
    """The immediate of an instruction, but for the one of a block; None where the row has none."""
    match op.immediate:
        case "":
            return None
        case "label" | "function" | "local" | "global" | "table" | "data" | "element":
            return part.u32()
        case "access":
            begin = part.offset
            align = part.u32()
            if align & 0x40:
                raise part.malformed("multiple memories", begin)
            if align >= 32:
                raise part.malformed("malformed memop flags", begin)
            return align, part.u32()
        case "i32":
            return part.signed(32)
        case "i64":
            return part.signed(64)
        case "f32":
            return int.from_bytes(part.take(4), "little")
        case "f64":
            return int.from_bytes(part.take(8), "little")
        case "labels":
            return (*part.vector(part.u32), part.u32())
        case "memory":
            return _zero(part)
        case "data and memory":
            return part.u32(), _zero(part)
        case "two memories":
            return _zero(part), _zero(part)
        case "type and table" | "element and table" | "two tables":
            return part.u32(), part.u32()
        case "types":
            return tuple(part.vector(lambda: read_value_type(part)))
        case "reference type":
            return read_reference_type(part)
        case other:
            raise AssertionError(other)
