"""Values and their bits, as memory and generated text hold them."""

from __future__ import annotations

import numpy as np

from .types import Type


def rounded(value: float, kind: Type) -> float:
    """A float as its type holds it; what is too large is infinite."""
    with np.errstate(over="ignore"):
        return float(kind.dtype.type(value))


def to_bits(value: int | float | bool, kind: Type, least: int = 0) -> int:
    """The bits of a value, as a number; integers fill `least` of them at least, by their sign.

    >>> hex(to_bits(-1, Type.I8)), hex(to_bits(-1, Type.I8, 32)), hex(to_bits(1.0, Type.F32))
    ('0xff', '0xffffffff', '0x3f800000')
    """
    if kind is Type.BOOL:
        return int(bool(value))
    if kind.is_integer:
        return int(value) & ((1 << max(kind.bits, least)) - 1)
    with np.errstate(over="ignore"):
        return int(np.asarray(value, kind.dtype).view(kind.unsigned.dtype))


def from_bits(bits: int, kind: Type) -> int | float | bool:
    """The value that the lowest bits of a number are.

    >>> from_bits(0xFFFFFFFF, Type.I8), from_bits(0x3F800000, Type.F32), from_bits(1, Type.BOOL)
    (-1, 1.0, True)
    """
    low = bits & ((1 << kind.bits) - 1)
    if kind is Type.BOOL:
        return bool(low)
    found: int | float = np.array(low, kind.unsigned.dtype).view(kind.dtype).item() if kind.is_float else low
    return found - (1 << kind.bits) if kind.is_signed and found > kind.greatest else found
