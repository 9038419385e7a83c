"""The Z3 forms of the operation table as expressions: integers are bit-vectors, floats IEEE 754 floats, `bool` a Boolean.

NaNs are one value here, so that the bits of a NaN are any of a NaN's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from types import CodeType
from typing import Any

import z3

from .operations import OPERATIONS
from .types import Type

Term = Any
"""A Z3 expression; the package is untyped."""


def express(name: str, operands: Sequence[Term], kind: Type, result: Type) -> Term:
    """The result of a row of the table; `kind` is the type of the operands (of ``select`` the second and third).

    Raises `KeyError` where the row has no Z3 form for it.
    """
    names = dict(zip("abc", operands, strict=False)) | {"t": kind, "r": result}
    return eval(_code(name, kind), _NAMES, names)  # the table's own text, nobody else's


@cache
def _code(name: str, kind: Type) -> CodeType:
    form = OPERATIONS[name].form("z3", kind)
    if not form:
        raise KeyError(f"{name} has no Z3 form for {kind!r}")
    return compile(form, f"<Z3 form of {name}>", "eval")


def sort(kind: Type) -> Term:
    """The Z3 sort of a type."""
    if kind is Type.BOOL:
        return z3.BoolSort()
    if kind.is_float:
        return z3.Float32() if kind is Type.F32 else z3.Float64()
    return z3.BitVecSort(kind.bits)


def constant(value: float | bool, kind: Type) -> Term:
    """A literal."""
    if kind is Type.BOOL:
        return z3.BoolVal(bool(value))
    return z3.FPVal(value, sort(kind)) if kind.is_float else z3.BitVecVal(int(value), kind.bits)


def is_outside(index: Term, kind: Type, length: Term, width: int) -> Term:
    """Whether an access of `width` elements at an index of type `kind` leaves a memory of `length` elements, a `u32`."""
    # 66 bits hold every index, signed or not, and every length.
    wide = (z3.SignExt if kind.is_signed else z3.ZeroExt)(66 - kind.bits, index)
    return z3.Or(wide < 0, wide + width > z3.ZeroExt(66 - 32, length))


def convert(a: Term, t: Type, r: Type) -> Term:
    """A value of type `t` in type `r`, as the table's ``convert``."""
    if t is r:
        return a
    if t is Type.BOOL:
        return z3.If(a, constant(1, r), constant(0, r))
    if r is Type.BOOL:
        return z3.Not(z3.fpIsZero(a)) if t.is_float else a != 0
    if r.is_float:
        if t.is_float:
            return z3.fpFPToFP(z3.RNE(), a, sort(r))
        return (z3.fpSignedToFP if t.is_signed else z3.fpUnsignedToFP)(z3.RNE(), a, sort(r))
    if t.is_float:
        # A float that is not below the least nor at or above the power of two after the greatest truncates to what fits.
        whole = (z3.fpToSBV if r.is_signed else z3.fpToUBV)(z3.RTZ(), a, sort(r))
        low, high = z3.fpLT(a, constant(float(r.least), t)), z3.fpGEQ(a, constant(float(r.greatest + 1), t))
        inside = z3.If(low, constant(r.least, r), z3.If(high, constant(r.greatest, r), whole))
        return z3.If(z3.fpIsNaN(a), constant(0, r), inside)
    if r.bits <= t.bits:
        return z3.Extract(r.bits - 1, 0, a)
    return (z3.SignExt if t.is_signed else z3.ZeroExt)(r.bits - t.bits, a)


def bitcast(a: Term, t: Type, r: Type) -> Term:
    """The bits of a value of type `t` as type `r` of the same width."""
    if r.is_float and not t.is_float:
        return z3.fpBVToFP(a, sort(r))
    return z3.fpToIEEEBV(a) if t.is_float and not r.is_float else a


def minimum(a: Term, b: Term) -> Term:
    """The smaller float; NaN where either is, -0 below +0."""
    is_first = z3.Or(z3.fpLT(a, b), z3.And(z3.fpEQ(a, b), z3.fpIsNegative(a)))
    return z3.If(z3.fpIsNaN(a), a, z3.If(z3.fpIsNaN(b), b, z3.If(is_first, a, b)))


def maximum(a: Term, b: Term) -> Term:
    """The larger float; NaN where either is, +0 above -0."""
    return z3.fpNeg(minimum(z3.fpNeg(a), z3.fpNeg(b)))


def leading_zeros(a: Term, t: Type) -> Term:
    """Zero bits above the highest set one; the width for 0."""
    found = constant(t.bits, t)
    for place in range(t.bits):
        found = z3.If(z3.Extract(place, place, a) == 1, constant(t.bits - 1 - place, t), found)
    return found


def trailing_zeros(a: Term, t: Type) -> Term:
    """Zero bits below the lowest set one; the width for 0."""
    found = constant(t.bits, t)
    for place in reversed(range(t.bits)):
        found = z3.If(z3.Extract(place, place, a) == 1, constant(place, t), found)
    return found


def count_ones(a: Term, t: Type) -> Term:
    """Set bits."""
    return z3.Sum(*(z3.ZeroExt(t.bits - 1, z3.Extract(place, place, a)) for place in range(t.bits)))


_NAMES = {
    form.__name__: form for form in (convert, bitcast, minimum, maximum, leading_zeros, trailing_zeros, count_ones)
} | {"z3": z3}
