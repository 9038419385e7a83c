"""The one table of WebAssembly's instructions: code, name, immediates and, where it is fixed, the signature.

Codes with a prefix byte are that byte times 256 plus the number behind it. What is missing here is refused, by name where
`OTHER_PROPOSALS` knows the byte.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ValueType(enum.Enum):
    """A type of values; its value is its name in the text format. `UNKNOWN` is what unreachable code leaves on the stack."""

    I32 = "i32"
    I64 = "i64"
    F32 = "f32"
    F64 = "f64"
    FUNCREF = "funcref"
    EXTERNREF = "externref"
    UNKNOWN = "any type"

    def __repr__(self) -> str:
        return self.value

    @property
    def is_reference(self) -> bool:
        """Whether it is a reference to a function or to something of the host."""
        return self in (ValueType.FUNCREF, ValueType.EXTERNREF)


VALUE_TYPES = {
    0x7F: ValueType.I32,
    0x7E: ValueType.I64,
    0x7D: ValueType.F32,
    0x7C: ValueType.F64,
    0x70: ValueType.FUNCREF,
    0x6F: ValueType.EXTERNREF,
}
"""Value types by their byte."""

OTHER_PROPOSALS = {
    0xFD: "SIMD",
    0xFE: "threads",
    0x12: "tail calls",
    0x13: "tail calls",
    0xFB: "garbage collection",
} | {
    **dict.fromkeys((0x06, 0x07, 0x08, 0x09, 0x0A, 0x18, 0x19, 0x1F), "exceptions"),
    **dict.fromkeys((0x14, 0x15, 0xD3, 0xD4, 0xD5, 0xD6), "function references"),
}
"""Extensions of WebAssembly that are refused, by the first byte of their instructions."""


@dataclass(frozen=True, eq=False)
class Opcode:
    """A row. `immediate` names what follows the code in the file; `operands` is None where they depend on more than the code."""

    code: int
    name: str
    immediate: str
    operands: tuple[ValueType, ...] | None
    results: tuple[ValueType, ...]
    access_bytes: int = 0
    """Width of a load or store in memory."""


def _types(words: str) -> tuple[ValueType, ...]:
    return tuple(map(ValueType, words.split()))


def _width(name: str) -> int:
    kind, _, rest = name.partition(".")
    digits = rest.removesuffix("_s").removesuffix("_u").removeprefix("load").removeprefix("store")
    return int(digits or kind[1:]) // 8


def _rows() -> list[Opcode]:
    found: list[Opcode] = []

    def row(code: int, name: str, signature: str | None = None, immediate: str = "", width: int = 0) -> None:
        operands, _, results = (signature or "").partition("->")
        found.append(
            Opcode(code, name, immediate, None if signature is None else _types(operands), _types(results), width)
        )

    def run(code: int, kind: str, names: str, signature: str) -> int:
        for name in names.split():
            row(code, f"{kind}.{name}", signature)
            code += 1
        return code

    for code, name, immediate in (
        (0x00, "unreachable", ""),
        (0x02, "block", "block type"),
        (0x03, "loop", "block type"),
        (0x04, "if", "block type"),
        (0x05, "else", ""),
        (0x0B, "end", ""),
        (0x0C, "br", "label"),
        (0x0D, "br_if", "label"),
        (0x0E, "br_table", "labels"),
        (0x0F, "return", ""),
        (0x10, "call", "function"),
        (0x11, "call_indirect", "type and table"),
        (0x1A, "drop", ""),
        (0x1B, "select", ""),
        (0x1C, "select_typed", "types"),
        (0x20, "local.get", "local"),
        (0x21, "local.set", "local"),
        (0x22, "local.tee", "local"),
        (0x23, "global.get", "global"),
        (0x24, "global.set", "global"),
        (0x25, "table.get", "table"),
        (0x26, "table.set", "table"),
        (0xD0, "ref.null", "reference type"),
        (0xD1, "ref.is_null", ""),
        (0xD2, "ref.func", "function"),
        (0xFC0C, "table.init", "element and table"),
        (0xFC0D, "elem.drop", "element"),
        (0xFC0E, "table.copy", "two tables"),
        (0xFC0F, "table.grow", "table"),
        (0xFC10, "table.size", "table"),
        (0xFC11, "table.fill", "table"),
    ):
        row(code, name, None, immediate)
    row(0x01, "nop", "->")
    for place, name in enumerate("i32 i64 f32 f64".split()):
        row(0x41 + place, f"{name}.const", f"-> {name}", name)
    for place, name in enumerate(_LOADS.split()):
        row(0x28 + place, name, f"i32 -> {name[:3]}", "access", _width(name))
    for place, name in enumerate(_STORES.split()):
        row(0x36 + place, name, f"i32 {name[:3]} ->", "access", _width(name))
    row(0x3F, "memory.size", "-> i32", "memory")
    row(0x40, "memory.grow", "i32 -> i32", "memory")
    row(0xFC08, "memory.init", "i32 i32 i32 ->", "data and memory")
    row(0xFC09, "data.drop", "->", "data")
    row(0xFC0A, "memory.copy", "i32 i32 i32 ->", "two memories")
    row(0xFC0B, "memory.fill", "i32 i32 i32 ->", "memory")
    for kind, tests in (("i32", 0x45), ("i64", 0x50)):
        run(tests, kind, "eqz", f"{kind} -> i32")
        run(tests + 1, kind, "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u", f"{kind} {kind} -> i32")
    for kind, tests in (("f32", 0x5B), ("f64", 0x61)):
        run(tests, kind, "eq ne lt gt le ge", f"{kind} {kind} -> i32")
    for kind, first in (("i32", 0x67), ("i64", 0x79)):
        rest = run(first, kind, "clz ctz popcnt", f"{kind} -> {kind}")
        both = "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr"
        run(rest, kind, both, f"{kind} {kind} -> {kind}")
    for kind, first in (("f32", 0x8B), ("f64", 0x99)):
        rest = run(first, kind, "abs neg ceil floor trunc nearest sqrt", f"{kind} -> {kind}")
        run(rest, kind, "add sub mul div min max copysign", f"{kind} {kind} -> {kind}")
    for place, words in enumerate(_CONVERSIONS.split()):
        name, target, source = words.split(":")
        row(0xA7 + place, f"{target}.{name}", f"{source} -> {target}")
    run(0xC0, "i32", "extend8_s extend16_s", "i32 -> i32")
    run(0xC2, "i64", "extend8_s extend16_s extend32_s", "i64 -> i64")
    place = 0xFC00
    for target in ("i32", "i64"):
        for source in ("f32", "f64"):
            run(place, target, f"trunc_sat_{source}_s trunc_sat_{source}_u", f"{source} -> {target}")
            place += 2
    return found


_LOADS = (
    "i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u "
    "i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u"
)
_STORES = "i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16 i64.store32"
_CONVERSIONS = (
    "wrap_i64:i32:i64 trunc_f32_s:i32:f32 trunc_f32_u:i32:f32 trunc_f64_s:i32:f64 trunc_f64_u:i32:f64 "
    "extend_i32_s:i64:i32 extend_i32_u:i64:i32 "
    "trunc_f32_s:i64:f32 trunc_f32_u:i64:f32 trunc_f64_s:i64:f64 trunc_f64_u:i64:f64 "
    "convert_i32_s:f32:i32 convert_i32_u:f32:i32 convert_i64_s:f32:i64 convert_i64_u:f32:i64 demote_f64:f32:f64 "
    "convert_i32_s:f64:i32 convert_i32_u:f64:i32 convert_i64_s:f64:i64 convert_i64_u:f64:i64 promote_f32:f64:f32 "
    "reinterpret_f32:i32:f32 reinterpret_f64:i64:f64 reinterpret_i32:f32:i32 reinterpret_i64:f64:i64"
)

OPCODES: dict[int, Opcode] = {row.code: row for row in _rows()}
"""Every instruction by its code."""
BY_NAME: dict[str, Opcode] = {row.name: row for row in OPCODES.values()}
"""Every instruction by its name; ``select`` with types is ``select_typed``."""
