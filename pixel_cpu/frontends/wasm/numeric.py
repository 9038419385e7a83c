"""Numeric instructions as operations of the IR, which are total: what WebAssembly traps on is checked before.

Integers are held as signed ones; an instruction that reads them as unsigned takes their bits so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...ir.builder import Builder
from ...ir.model import Value
from ...ir.types import Type
from .opcodes import OPCODES, ValueType

DIVIDE_BY_ZERO = "integer divide by zero"
OVERFLOW = "integer overflow"
BAD_CONVERSION = "invalid conversion to integer"

TYPES = {
    ValueType.I32: Type.I32,
    ValueType.I64: Type.I64,
    ValueType.F32: Type.F32,
    ValueType.F64: Type.F64,
    # References are the numbers of functions, or -1.
    ValueType.FUNCREF: Type.I32,
    ValueType.EXTERNREF: Type.I32,
}
"""The IR's type of what a value is held as."""
_SAME = {"add", "sub", "mul", "div", "and", "or", "xor", "shl", "rotl", "clz", "ctz", "min", "max", "abs", "neg"} | {
    *("ceil", "floor", "trunc", "nearest", "sqrt", "eq", "ne", "lt", "gt", "le", "ge")
}
"""Instructions that the IR calls alike."""
_SIGNED = {"div": "div", "rem": "rem", "shr": "shr", "lt": "lt", "gt": "gt", "le": "le", "ge": "ge"}

Lowered = Callable[["Numeric", Sequence[Value]], Value]


class Numeric:
    """Appends numeric instructions. A comparison's `bool` is remembered, so that a branch on it needs no other."""

    def __init__(self, build: Builder) -> None:
        self.build = build
        self._bools: dict[Value, Value] = {}

    def lower(self, name: str, operands: Sequence[Value]) -> Value:
        """The value of an instruction of `NUMERIC`."""
        found = NUMERIC[name](self, operands)
        return self.integer(found) if found.type is Type.BOOL else found

    def integer(self, condition: Value) -> Value:
        """A `bool` as WebAssembly's 0 or 1."""
        found = self.build.value("convert", condition, type=Type.I32)
        self._bools[found] = condition
        return found

    def condition(self, value: Value) -> Value:
        """Whether an integer is not zero."""
        if value in self._bools:
            return self._bools[value]
        return self.build.value("ne", value, self.build.const(value.type, 0))

    def bits(self, value: Value, kind: Type) -> Value:
        """The same bits as another type."""
        return value if value.type is kind else self.build.value("bitcast", value, type=kind)

    def converted(self, value: Value, kind: Type) -> Value:
        """The value as another type."""
        return value if value.type is kind else self.build.value("convert", value, type=kind)

    def const(self, kind: Type, bits: int) -> Value:
        """A constant by its bits; those of a NaN are kept."""
        if kind.is_float:
            return self.bits(self.build.const(kind.signed, bits), kind)
        return self.build.const(kind, bits)

    def demand(self, condition: Value, reason: str) -> None:
        """End the lane where a condition does not hold."""

        def fail() -> tuple[()]:
            self.build.end("trap", text=reason)
            return ()

        self.build.if_(condition, otherwise=fail)


def _plain(name: str) -> Lowered:
    return lambda own, operands: own.build.value(name, *operands)


def _unsigned(name: str) -> Lowered:
    def lower(own: Numeric, operands: Sequence[Value]) -> Value:
        kind = operands[0].type
        found = own.build.value(name, *(own.bits(each, kind.unsigned) for each in operands))
        return found if found.type is Type.BOOL else own.bits(found, kind)

    return lower


def _division(name: str, *, signed: bool) -> Lowered:
    def lower(own: Numeric, operands: Sequence[Value]) -> Value:
        build, (a, b) = own.build, operands
        own.demand(own.condition(b), DIVIDE_BY_ZERO)
        if name == "div" and signed:
            is_least = build.value("ne", a, build.const(a.type, a.type.least))
            is_one = build.value("ne", b, build.const(b.type, -1))
            own.demand(build.value("or", is_least, is_one), OVERFLOW)
        return (_plain if signed else _unsigned)(name)(own, operands)

    return lower


def _to_integer(target: Type, *, signed: bool, is_saturating: bool) -> Lowered:
    wanted = target if signed else target.unsigned

    def lower(own: Numeric, operands: Sequence[Value]) -> Value:
        build, (a,) = own.build, operands
        if not is_saturating:
            own.demand(build.value("eq", a, a), BAD_CONVERSION)
            whole = build.value("trunc", a)
            above = build.value("ge", whole, build.const(a.type, float(wanted.least)))
            below = build.value("lt", whole, build.const(a.type, float(wanted.greatest + 1)))
            own.demand(build.value("and", above, below), OVERFLOW)
        return own.bits(own.converted(a, wanted), target)

    return lower


def _from_integer(target: Type, *, signed: bool) -> Lowered:
    def lower(own: Numeric, operands: Sequence[Value]) -> Value:
        (a,) = operands
        return own.bits(own.converted(a if signed else own.bits(a, a.type.unsigned), target), target)

    return lower


def _extension(bits: int) -> Lowered:
    def lower(own: Numeric, operands: Sequence[Value]) -> Value:
        (a,) = operands
        return own.converted(own.converted(a, Type(f"i{bits}")), a.type)

    return lower


def _extend_unsigned(own: Numeric, operands: Sequence[Value]) -> Value:
    (a,) = operands
    return own.bits(own.converted(own.bits(a, Type.U32), Type.U64), Type.I64)


def _is_zero(own: Numeric, operands: Sequence[Value]) -> Value:
    return own.build.value("not", own.condition(operands[0]))


def _rotate_right(own: Numeric, operands: Sequence[Value]) -> Value:
    a, count = operands
    return own.build.value("rotl", a, own.build.value("neg", count))


def _copy_sign(own: Numeric, operands: Sequence[Value]) -> Value:
    a, sign = operands
    kind = a.type.signed
    build = own.build
    magnitude = build.value("and", own.bits(a, kind), build.const(kind, kind.greatest))
    return own.bits(
        build.value("or", magnitude, build.value("and", own.bits(sign, kind), build.const(kind, kind.least))), a.type
    )


def _lowered(kind: Type, name: str) -> Lowered:
    stem, _, sign = name.rpartition("_")
    is_signed = sign != "u"
    match name.split("_"):
        case ["eqz"]:
            return _is_zero
        case ["popcnt"]:
            return _plain("popcount")
        case ["rotr"]:
            return _rotate_right
        case ["copysign"]:
            return _copy_sign
        case ["reinterpret", _]:
            return lambda own, operands: own.bits(operands[0], kind)
        case ["wrap" | "demote" | "promote", _]:
            return lambda own, operands: own.converted(operands[0], kind)
        case ["extend", "i32", "u"]:
            return _extend_unsigned
        case ["extend", "i32", "s"]:
            return lambda own, operands: own.converted(operands[0], kind)
        case ["extend8" | "extend16" | "extend32" as word, "s"]:
            return _extension(int(word.removeprefix("extend")))
        case ["trunc", _, "s" | "u"]:
            return _to_integer(kind, signed=is_signed, is_saturating=False)
        case ["trunc", "sat", _, "s" | "u"]:
            return _to_integer(kind, signed=is_signed, is_saturating=True)
        case ["convert", _, "s" | "u"]:
            return _from_integer(kind, signed=is_signed)
        case ["div" | "rem", "s" | "u"]:
            return _division(stem, signed=is_signed)
        case [_, "s" | "u"]:
            return (_plain if is_signed else _unsigned)(_SIGNED[stem])
    assert name in _SAME, name
    return _plain(name)


NUMERIC: dict[str, Lowered] = {
    op.name: _lowered(Type(op.name[:3]), op.name[4:])
    for op in OPCODES.values()
    if op.name[:3] in ("i32", "i64", "f32", "f64") and not op.immediate
}
"""How each instruction on numbers becomes operations, by its name."""
