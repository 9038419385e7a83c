"""Functions that the NumPy forms of the operation table use: total for every input, on arrays of any shape."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from .types import Type

Lanes = Any
"""An array of lanes; NumPy's operators on arrays of any type are untyped."""


def divide(a: Lanes, b: Lanes) -> Lanes:
    """`a / b` truncated towards zero; the dividend where `b` is 0, and for the least by -1."""
    odd = (b == 0) | ((b == -1) if a.dtype.kind == "i" else False)
    safe = np.where(odd, a.dtype.type(1), b)
    quotient = a // safe
    if a.dtype.kind == "i":
        # NumPy's floor division rounds down; C's rounds towards zero.
        quotient = quotient + ((a % safe != 0) & ((a < 0) != (safe < 0)))
        return np.where(b == 0, a, np.where(b == -1, -a, quotient)).astype(a.dtype)
    return np.where(odd, a, quotient)


def remainder(a: Lanes, b: Lanes) -> Lanes:
    """What `divide` leaves, with the sign of `a`; 0 where `b` is 0."""
    return np.where(b == 0, a.dtype.type(0), a - divide(a, b) * b)


def multiply_high(a: Lanes, b: Lanes) -> Lanes:
    """The upper half of the product of twice the width."""
    bits = a.dtype.itemsize * 8
    if bits == 32:
        wide = np.int64 if a.dtype.kind == "i" else np.uint64
        return ((a.astype(wide) * b.astype(wide)) >> wide(32)).astype(a.dtype)
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    x, y = a.astype(np.uint64), b.astype(np.uint64)
    low = (x & mask) * (y & mask)
    middle = (x >> half) * (y & mask) + (low >> half)
    other = (x & mask) * (y >> half) + (middle & mask)
    high = (x >> half) * (y >> half) + (middle >> half) + (other >> half)
    if a.dtype.kind == "i":
        high = high - np.where(a < 0, y, np.uint64(0)) - np.where(b < 0, x, np.uint64(0))
    return high.astype(a.dtype)


def minimum(a: Lanes, b: Lanes) -> Lanes:
    """IEEE 754-2019 minimum: a quiet NaN where either is NaN, -0 below +0."""
    return np.where(np.isnan(a) | np.isnan(b), a + b, np.where((a < b) | ((a == b) & np.signbit(a)), a, b))


def maximum(a: Lanes, b: Lanes) -> Lanes:
    """IEEE 754-2019 maximum: a quiet NaN where either is NaN, +0 above -0."""
    return np.where(np.isnan(a) | np.isnan(b), a + b, np.where((a > b) | ((a == b) & np.signbit(b)), a, b))


def shift_count(b: Lanes) -> Lanes:
    """A count of bits modulo the width of its type."""
    return b & b.dtype.type(b.dtype.itemsize * 8 - 1)


def rotate_left(a: Lanes, b: Lanes) -> Lanes:
    """`a` rotated left by `b` modulo the width."""
    unsigned = np.dtype(f"u{a.dtype.itemsize}")
    bits = a.dtype.itemsize * 8
    x, count = a.astype(unsigned), shift_count(b.astype(unsigned))
    back = (unsigned.type(bits) - count) & unsigned.type(bits - 1)
    return ((x << count) | (x >> back)).astype(a.dtype)


def count_ones(a: Lanes) -> Lanes:
    """Set bits of each lane."""
    return np.bitwise_count(a.astype(np.dtype(f"u{a.dtype.itemsize}"))).astype(a.dtype)


def leading_zeros(a: Lanes) -> Lanes:
    """Zero bits above the highest set one; the width for 0."""
    unsigned = np.dtype(f"u{a.dtype.itemsize}")
    x = a.astype(unsigned)
    step = 1
    while step < a.dtype.itemsize * 8:  # every bit below the highest becomes 1
        x = x | (x >> unsigned.type(step))
        step *= 2
    return (a.dtype.itemsize * 8 - np.bitwise_count(x).astype(np.int64)).astype(a.dtype)


def trailing_zeros(a: Lanes) -> Lanes:
    """Zero bits below the lowest set one; the width for 0."""
    x = a.astype(np.dtype(f"u{a.dtype.itemsize}"))
    return np.bitwise_count(~x & (x - x.dtype.type(1))).astype(a.dtype)


def convert(a: Lanes, r: Type) -> Lanes:
    """The values as type `r`: integers wrap, a float to an integer truncates and saturates, NaN gives 0."""
    if r is Type.BOOL:
        return a != 0
    if a.dtype.kind == "f" and r.is_integer:
        wide = a.astype(np.float64)
        low, high = float(r.least), float(r.greatest + 1)
        inside = (wide > low - 1) & (wide < high)
        whole = np.where(inside, np.trunc(wide), 0.0)
        found = whole.astype(r.dtype) if r is not Type.U64 else _to_u64(whole)
        return np.where(
            wide >= high, r.dtype.type(r.greatest), np.where(inside | np.isnan(wide), found, r.dtype.type(r.least))
        )
    return a.astype(r.dtype)


def _to_u64(whole: Lanes) -> Lanes:
    # NumPy converts through the processor's signed conversion on some hosts: halve what is beyond it.
    upper = whole >= 2.0**63
    return np.where(upper, whole - 2.0**63, whole).astype(np.int64).astype(np.uint64) + (
        upper.astype(np.uint64) << np.uint64(63)
    )


def fused_multiply_add(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    """`a * b + c` rounded once."""
    if a.dtype == np.float32:
        return _fma_f32(a, b, c)
    found = [
        _fma_f64(*operands) for operands in zip(a.ravel().tolist(), b.ravel().tolist(), c.ravel().tolist(), strict=True)
    ]
    return np.array(found, dtype=np.float64).reshape(a.shape)


def _fma_f32(a: Lanes, b: Lanes, c: Lanes) -> Lanes:
    # The product is exact in float64. The sum is rounded to odd there, so that rounding it again to float32 is right:
    # Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd" (2008).
    product, addend = a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64)
    total = product + addend
    other = total - product
    error = (product - (total - other)) + (addend - other)  # Knuth's exact error of a sum
    bits = total.view(np.int64)
    inexact = np.isfinite(total) & (error != 0) & ((bits & 1) == 0)
    towards = np.where((error > 0) == (total > 0), np.int64(1), np.int64(-1))
    return np.where(inexact, bits + towards, bits).view(np.float64).astype(np.float32)


def _fma_f64(a: float, b: float, c: float) -> float:
    if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return c if math.isfinite(a) and math.isfinite(b) else float(np.multiply(a, b) + c)
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        product_sign = math.copysign(1.0, a) * math.copysign(1.0, b)
        # An exact zero is +0 unless both terms are negative zeros or negative and zero.
        return -0.0 if product_sign < 0 and math.copysign(1.0, c) < 0 and (a == 0 or b == 0) else 0.0
    try:
        found = float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
    return found  # what is too small to hold keeps its sign
