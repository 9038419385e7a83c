"""Which types turn into which without a cast, and what two types make together.

Nothing is lost without a cast, with one exception that the language states: an integer of at most 32 bits becomes a float by rounding.
Arithmetic of integers below 32 bits is arithmetic of `int`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...ir.types import Type
from .lexer import Token


@dataclass(frozen=True)
class Constant:
    """A number of the text, which takes the type of what it stands beside."""

    at: Token
    value: int | float
    is_float: bool

    @property
    def own_type(self) -> Type | None:
        """The type where nothing else states one: `float`, or the first of int, u32, i64, u64 that holds it; None: none does."""
        if self.is_float:
            return Type.F32
        kinds = (Type.I32, Type.U32, Type.I64, Type.U64)
        return next((kind for kind in kinds if kind.least <= self.value <= kind.greatest), None)

    def fits(self, kind: Type) -> bool:
        """Whether it is a value of `kind`, as written."""
        if kind.is_float:
            return abs(self.value) < _LARGEST[kind] or self.value != self.value or self.value in _INFINITE
        return not self.is_float and kind.is_integer and kind.least <= self.value <= kind.greatest


_INFINITE = (float("inf"), float("-inf"))
_LARGEST = {Type.F32: 2**128 - 2**103, Type.F64: 2**1024 - 2**970}
"""The least magnitudes that round to infinity."""


def widens(source: Type, target: Type) -> bool:
    """Whether a value of `source` becomes one of `target` without a cast."""
    if source is target:
        return True
    if Type.BOOL in (source, target):
        return False
    if target.is_float:
        return source.bits <= 32 if source.is_integer else source.bits < target.bits
    if source.is_float:
        return False
    if source.is_signed == target.is_signed:
        return source.bits < target.bits
    return target.is_signed and source.bits < target.bits


def promoted(kind: Type) -> Type:
    """The type that arithmetic of `kind` is done in."""
    return Type.I32 if kind.is_integer and kind.bits < 32 else kind


def common(left: Type, right: Type) -> Type | None:
    """The type that two numbers meet in, before `promoted`; None where one of them needs a cast."""
    if Type.BOOL in (left, right):
        return None
    if left.is_float or right.is_float:
        kind = Type.F64 if Type.F64 in (left, right) else Type.F32
        return kind if widens(left, kind) and widens(right, kind) else None
    if widens(left, right):
        return right
    if widens(right, left):
        return left
    return Type.I32 if left.bits < 32 and right.bits < 32 else None
