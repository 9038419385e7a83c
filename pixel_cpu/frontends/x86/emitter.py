"""Appends operations and folds them meanwhile: constants, what changes nothing, extensions that are cut again, comparisons.

p-code spells out what an instruction does, so much of it says nothing here: a shift count is masked before it is bounded, a flag is compared
with another to say "less than". What folds here neither runs nor has to be proved.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from ...ir.bits import from_bits
from ...ir.builder import Builder
from ...ir.model import Memory, Op, Region, Value
from ...ir.types import Type

_INVERSE = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}
_EVALUATE: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}
_SAME = {"sub": 0, "xor": 0, "eq": True, "ne": False, "lt": False, "le": True, "gt": False, "ge": True}


class Emitter:
    """Appends to the region that is open; constants stand at the beginning of `body`, where everything sees them."""

    def __init__(self, body: Region) -> None:
        self.build = Builder(body)
        self._body, self._constants = body, 0
        self._known: dict[tuple[Type, int], Value] = {}
        self._literals: dict[Value, int] = {}
        self._made: dict[Value, tuple[str, tuple[Value, ...]]] = {}
        self._most: dict[Value, int] = {}
        self._scopes: list[dict[tuple[object, ...], Value]] = [{}]

    @contextlib.contextmanager
    def inside(self, region: Region) -> Iterator[None]:
        """Append to `region` meanwhile; what was computed outside is not computed again."""
        self._scopes.append({})
        try:
            with self.build.inside(region):
                yield
        finally:
            self._scopes.pop()

    def _value(self, name: str, *operands: Value, type: Type | None = None) -> Value:
        """An operation that depends on its operands alone: the one that is visible here already, or a new one."""
        key = (name, type, *operands)
        for scope in self._scopes:
            if key in scope:
                return scope[key]
        found = self._scopes[-1][key] = self.build.value(name, *operands, type=type)
        return found

    def const(self, kind: Type, literal: int) -> Value:
        """A literal, modulo the width of its type."""
        number = bool(literal) if kind is Type.BOOL else from_bits(literal, kind)
        key = (kind, int(number))
        if key not in self._known:
            value = Value(kind)
            self._body.operations.insert(self._constants, Op("const", (), (value,), literal=number))
            self._constants += 1
            self._known[key], self._literals[value] = value, int(number)
        return self._known[key]

    def literal(self, value: Value) -> int | None:
        """The number that a value always is, if it is known."""
        return self._literals.get(value)

    def most(self, value: Value) -> int:
        """The largest number that an unsigned value can be, as far as it is known."""
        known = self.literal(value)
        return known if known is not None else self._most.get(value, value.type.greatest)

    def op(self, name: str, *operands: Value) -> Value:
        """An operation whose result's type its operands say."""
        folded = self._fold(name, operands)
        if folded is not None:
            return folded
        found = self._value(name, *operands)
        self._made[found] = (name, operands)
        if name == "and" and found.type is not Type.BOOL and not found.type.is_signed:
            self._most[found] = min(map(self.most, operands))
        return found

    def convert(self, value: Value, kind: Type) -> Value:
        """The value in another type, modulo its width; a `bool` is 0 or 1, and a number as a `bool` is whether it differs from 0."""
        if value.type is kind:
            return value
        known = self.literal(value)
        if known is not None:
            return self.const(kind, known)
        name, operands = self._made.get(value, ("", ()))
        if name == "convert":
            inner = operands[0]
            # Nothing is lost in between, or no more than will be.
            keeps = inner.type.bits <= value.type.bits and not (inner.type.is_signed and not value.type.is_signed)
            if inner.type is not Type.BOOL and kind is not Type.BOOL and (keeps or kind.bits <= value.type.bits):
                return self.convert(inner, kind)
            if inner.type is Type.BOOL:
                return self.convert(inner, kind)
        found = self._value("convert", value, type=kind)
        self._made[found] = ("convert", (value,))
        if not kind.is_signed and kind is not Type.BOOL:
            widest = 1 if value.type is Type.BOOL else kind.greatest if value.type.is_signed else self.most(value)
            self._most[found] = min(widest, kind.greatest)
        return found

    def signed(self, value: Value) -> Value:
        """The same bits as a signed integer."""
        return self._cast(value, value.type.signed)

    def unsigned(self, value: Value) -> Value:
        """The same bits as an unsigned integer."""
        return self._cast(value, value.type.unsigned)

    def _cast(self, value: Value, kind: Type) -> Value:
        if value.type is kind:
            return value
        known = self.literal(value)
        if known is not None:
            return self.const(kind, known)
        name, operands = self._made.get(value, ("", ()))
        if name == "bitcast" and operands[0].type is kind:
            return operands[0]
        found = self._value("bitcast", value, type=kind)
        self._made[found] = ("bitcast", (value,))
        return found

    def select(self, condition: Value, then: Value, otherwise: Value) -> Value:
        """`then` where the condition is true, else `otherwise`."""
        known = self.literal(condition)
        if known is not None or then is otherwise:
            return then if known != 0 else otherwise
        return self._value("select", condition, then, otherwise)

    def negated(self, condition: Value) -> Value:
        """The opposite of a `bool`."""
        known = self.literal(condition)
        if known is not None:
            return self.const(Type.BOOL, not known)
        name, operands = self._made.get(condition, ("", ()))
        if name == "not":
            return operands[0]
        if name in _INVERSE and not operands[0].type.is_float:
            return self.op(_INVERSE[name], *operands)
        found = self._value("not", condition)
        self._made[found] = ("not", (condition,))
        return found

    def load(self, memory: Memory, index: Value, kind: Type) -> Value:
        """Read guest memory."""
        return self.build.load(memory, index, kind)

    def borrow(self, one: Value, other: Value) -> Value:
        """Whether the difference of two signed numbers overflows."""
        difference = self.op("sub", one, other)
        zero = self.const(one.type.signed, 0)
        bits = self.op("and", self.op("xor", one, other), self.op("xor", one, difference))
        found = self.op("lt", self.signed(bits), zero)
        # Remembered, as "the sign differs from the overflow" means "less than".
        if self.literal(found) is None:
            self._made[found] = ("borrow", (one, other))
        return found

    def negative(self, value: Value) -> Value:
        """The sign of an integer."""
        found = self.op("lt", self.signed(value), self.const(value.type.signed, 0))
        if self.literal(found) is None:
            self._made[found] = ("negative", (value,))
        return found

    def _less(self, operands: tuple[Value, ...]) -> Value | None:
        """Signed "less than", where it is spelled as overflow that differs from the sign of the difference."""
        (one, first), (other, second) = (self._made.get(value, ("", ())) for value in operands)
        if one == "negative" and other == "borrow":
            one, first, other, second = other, second, one, first
        if (one, other) != ("borrow", "negative"):
            return None
        if self.literal(first[1]) == 0:
            made = second[0] is first[0]
        else:
            made = self._made.get(second[0]) == ("sub", first)
        return self.op("lt", self.signed(first[0]), self.signed(first[1])) if made else None

    def _fold(self, name: str, operands: tuple[Value, ...]) -> Value | None:
        if len(operands) != 2:
            return None
        one, other = operands
        kind, numbers = one.type, (self.literal(one), self.literal(other))
        result = Type.BOOL if name in _INVERSE else kind
        if name in _EVALUATE and numbers[0] is not None and numbers[1] is not None:
            return self.const(result, int(_EVALUATE[name](numbers[0], numbers[1])))
        if one is other:
            if name in ("and", "or"):
                return one
            if name in _SAME:
                return self.const(result, int(_SAME[name]))
        if kind is Type.BOOL and name in ("ne", "xor", "eq"):
            less = self._less(operands)
            if less is not None:
                return self.negated(less) if name == "eq" else less
        if numbers[0] is not None and name in ("add", "mul", "and", "or", "xor", "eq", "ne"):
            return self.op(name, other, one)
        return None if numbers[1] is None else self._fold_known(name, one, other, numbers[1])

    def _fold_known(self, name: str, one: Value, other: Value, number: int) -> Value | None:
        """With a second operand that is known and a first that is not."""
        kind = one.type
        ones = 1 if kind is Type.BOOL else -1 if kind.is_signed else kind.greatest
        made, inner = self._made.get(one, ("", ()))
        match name:
            case "add" | "sub" | "or" | "xor" | "shl" | "shr" if number == 0:
                return one
            case "and" | "mul" if number == 0:
                return other
            case "mul" if number == 1:
                return one
            case "or" if number == ones:
                return other
            case "xor" if kind is Type.BOOL:
                return self.negated(one)
            case "and" if number == ones or (not kind.is_signed and self._is_mask(number) and self.most(one) <= number):
                return one
            case "and" if made == "and" and (mask := self.literal(inner[1])) is not None:
                return self.op("and", inner[0], self.const(kind, mask & number))
            case "add" | "sub" if made in ("add", "sub") and (before := self.literal(inner[1])) is not None:
                total = (before if made == "add" else -before) + (number if name == "add" else -number)
                return self.op("add", inner[0], self.const(kind, total))
            case "eq" | "ne" if kind is Type.BOOL:
                return one if (name == "eq") == bool(number) else self.negated(one)
            case "eq" | "ne" if made == "convert" and inner[0].type is Type.BOOL and number in (0, 1):
                return self.op(name, inner[0], self.const(Type.BOOL, number))
            case "lt" if not kind.is_signed and kind is not Type.BOOL and self.most(one) < number:
                return self.const(Type.BOOL, 1)
            case "ge" if not kind.is_signed and kind is not Type.BOOL and self.most(one) < number:
                return self.const(Type.BOOL, 0)
        return None

    @staticmethod
    def _is_mask(number: int) -> bool:
        return number & (number + 1) == 0
