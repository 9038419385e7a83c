"""p-code's operations on integers, over values of the IR.

Each takes and gives values as `state` has them. Shifts by the width or more give zeros or copies of the sign, as p-code has it; the IR takes
counts modulo the width.
"""

from __future__ import annotations

from ...ir.model import Value
from ...ir.types import Type
from .emitter import Emitter

_PLAIN = {
    "INT_ADD": "add",
    "INT_SUB": "sub",
    "INT_MULT": "mul",
    "INT_AND": "and",
    "INT_OR": "or",
    "INT_XOR": "xor",
}
_LOGIC = {
    **{"INT_AND": "and", "INT_OR": "or", "INT_XOR": "xor"},
    **{"BOOL_AND": "and", "BOOL_OR": "or", "BOOL_XOR": "xor"},
}
_COMPARE = {
    "INT_EQUAL": ("eq", False),
    "INT_NOTEQUAL": ("ne", False),
    "INT_LESS": ("lt", False),
    "INT_LESSEQUAL": ("le", False),
    "INT_SLESS": ("lt", True),
    "INT_SLESSEQUAL": ("le", True),
}
_SHIFTS = {"INT_LEFT": "shl", "INT_RIGHT": "shr", "INT_SRIGHT": "shr"}

BINARY = frozenset((*_PLAIN, *_LOGIC, *_COMPARE, *_SHIFTS, "INT_CARRY", "INT_SCARRY", "INT_SBORROW"))
"""Operations with two operands of up to eight bytes."""
UNARY = frozenset(("INT_NEGATE", "INT_2COMP", "BOOL_NEGATE", "POPCOUNT", "LZCOUNT"))
"""With one, whose result may be of another size."""


def number(emit: Emitter, value: Value) -> Value:
    """The value as an integer: a `bool` is a byte."""
    return emit.convert(value, Type.U8) if value.type is Type.BOOL else value


def truth(emit: Emitter, value: Value) -> Value:
    """The value as a `bool`."""
    return emit.convert(value, Type.BOOL)


def binary(emit: Emitter, name: str, one: Value, other: Value) -> Value:
    """The result of one of `BINARY`; a comparison gives a `bool`."""
    if name in _LOGIC and (name.startswith("BOOL") or one.type is other.type is Type.BOOL):
        return emit.op(_LOGIC[name], truth(emit, one), truth(emit, other))
    if name in ("INT_EQUAL", "INT_NOTEQUAL") and one.type is other.type is Type.BOOL:
        return emit.op(_COMPARE[name][0], one, other)
    one, other = number(emit, one), number(emit, other)
    if name in _SHIFTS:
        return _shift(emit, name, one, other)
    if name in _PLAIN:
        return emit.op(_PLAIN[name], one, other)
    if name == "INT_SLESS" and emit.literal(other) == 0:
        return emit.negative(one)
    if name in _COMPARE:
        word, is_signed = _COMPARE[name]
        return emit.op(word, *((emit.signed(one), emit.signed(other)) if is_signed else (one, other)))
    if name == "INT_SBORROW":
        return emit.borrow(one, other)
    total = emit.op("add", one, other)
    if name == "INT_CARRY":
        return emit.op("lt", total, one)
    bits = emit.op("and", emit.op("xor", one, total), emit.op("xor", other, total))
    return emit.negative(bits)


def unary(emit: Emitter, name: str, value: Value, kind: Type) -> Value:
    """The result of one of `UNARY`, of type `kind`."""
    if name == "BOOL_NEGATE":
        return emit.negated(truth(emit, value))
    value = number(emit, value)
    if name == "INT_NEGATE":
        return emit.op("xor", value, emit.const(value.type, -1))
    if name == "INT_2COMP":
        return emit.op("sub", emit.const(value.type, 0), value)
    wide = value if value.type.bits >= 32 else emit.convert(value, Type.U32)
    if name == "POPCOUNT":
        return emit.convert(emit.op("popcount", wide), kind)
    zeros = emit.op("clz", wide)
    return emit.convert(emit.op("sub", zeros, emit.const(wide.type, wide.type.bits - value.type.bits)), kind)


def _shift(emit: Emitter, name: str, one: Value, count: Value) -> Value:
    kind = one.type
    limit = emit.const(count.type, kind.bits) if count.type.greatest > kind.bits else None
    is_small = emit.most(count) < kind.bits
    fits = emit.const(Type.BOOL, 1) if is_small or limit is None else emit.op("lt", count, limit)
    low = emit.convert(count, kind)
    if name == "INT_SRIGHT":
        low = emit.select(fits, low, emit.const(kind, kind.bits - 1))
        return emit.unsigned(emit.op("shr", emit.signed(one), emit.signed(low)))
    return emit.select(fits, emit.op(_SHIFTS[name], one, low), emit.const(kind, 0))


def extended(emit: Emitter, parts: list[Value], size: int, is_signed: bool) -> list[Value]:
    """The value in `size` bytes, filled with zeros or copies of the sign."""
    last = number(emit, parts[-1])
    count = -(-size // 8)
    if len(parts) == count == 1:
        kind = {1: Type.U8, 2: Type.U16, 4: Type.U32, 8: Type.U64}[size]
        wide = emit.convert(emit.signed(last), kind.signed) if is_signed else last
        return [emit.unsigned(wide) if is_signed else emit.convert(wide, kind)]
    top = emit.unsigned(emit.convert(emit.signed(last), Type.I64)) if is_signed else emit.convert(last, Type.U64)
    zero, most = emit.const(Type.U64, 0), emit.const(Type.I64, 63)
    fill = emit.unsigned(emit.op("shr", emit.signed(top), most)) if is_signed else zero
    return [*parts[:-1], top, *[fill] * (count - len(parts))]


def wide(emit: Emitter, name: str, one: list[Value], other: list[Value]) -> list[Value] | None:
    """An operation on values of more than eight bytes; None where there is none."""
    if name in ("INT_AND", "INT_OR", "INT_XOR"):
        return [emit.op(_PLAIN[name], *pair) for pair in zip(one, other, strict=True)]
    if name == "INT_MULT" and len(one) == 2:
        (a, a_high), (b, b_high) = one, other
        cross = emit.op("add", emit.op("mul", a, b_high), emit.op("mul", a_high, b))
        return [emit.op("mul", a, b), emit.op("add", emit.op("mulhi", a, b), cross)]
    if name in ("INT_EQUAL", "INT_NOTEQUAL"):
        same = [emit.op("eq", *pair) for pair in zip(one, other, strict=True)]
        found = same[0]
        for part in same[1:]:
            found = emit.op("and", found, part)
        return [found if name == "INT_EQUAL" else emit.negated(found)]
    if name in ("INT_LEFT", "INT_RIGHT") and (count := emit.literal(other[0])) is not None:
        return _wide_shift(emit, one, count if name == "INT_RIGHT" else -count)
    return None


def _wide_shift(emit: Emitter, parts: list[Value], right: int) -> list[Value]:
    """Shifted right by a known number of bits, left where it is negative."""
    zero = emit.const(Type.U64, 0)
    words, bits = divmod(right, 64)

    def word(place: int) -> Value:
        return parts[place] if 0 <= place < len(parts) else zero

    if not bits:
        return [word(place + words) for place in range(len(parts))]
    down, up = emit.const(Type.U64, bits), emit.const(Type.U64, 64 - bits)
    return [
        emit.op("or", emit.op("shr", word(place + words), down), emit.op("shl", word(place + words + 1), up))
        for place in range(len(parts))
    ]
