"""Functions of the NumPy forms where edge values are not enough: random bits against exact fractions."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scalar import meaning

from pixel_cpu.ir.numerics import convert, divide, fused_multiply_add, multiply_high, remainder, rotate_left
from pixel_cpu.ir.types import Type


def random_floats(kind: Type, count: int, seed: int) -> np.ndarray:
    """Floats of random bits, many of them of like magnitude so that sums cancel."""
    own = random.Random(seed)
    found = np.frombuffer(own.randbytes(count * kind.bytes), kind.dtype).copy()
    found[::2] = [own.uniform(-4, 4) for _ in found[::2]]
    return found


@pytest.mark.parametrize("kind", [Type.F32, Type.F64], ids=lambda kind: kind.value)
def test_fused_multiply_add_rounds_once(kind):
    a, b, c = (random_floats(kind, 4000, seed) for seed in (1, 2, 3))
    with np.errstate(all="ignore"):
        # Sums that cancel all but the product's rounding error, and halfway cases.
        c[1::4] = -(a[1::4] * b[1::4])
        found = fused_multiply_add(a, b, c)
    for x, y, z, each in zip(a.tolist(), b.tolist(), c.tolist(), found.tolist(), strict=True):
        wanted = meaning("fma", kind, [x, y, z], kind)
        assert (math.isnan(each) and math.isnan(wanted)) or each == wanted, (x, y, z)


@pytest.mark.parametrize("kind", [Type.I8, Type.U8, Type.I16, Type.U16, Type.I32, Type.U32, Type.I64, Type.U64])
def test_integers_of_random_bits(kind):
    own = random.Random(kind.value)
    a, b = (np.frombuffer(own.randbytes(2000 * kind.bytes), kind.dtype) for _ in range(2))
    forms = {"div": divide, "rem": remainder, "rotl": rotate_left}
    forms |= {"mulhi": multiply_high} if kind.bits >= 32 else {}
    for name, form in forms.items():
        with np.errstate(all="ignore"):
            found = form(a, b).tolist()
        assert found == [meaning(name, kind, [x, y], kind) for x, y in zip(a.tolist(), b.tolist(), strict=True)]


@pytest.mark.parametrize("kind", [Type.F32, Type.F64], ids=lambda kind: kind.value)
@pytest.mark.parametrize("result", list(Type), ids=lambda kind: kind.value)
def test_floats_of_random_bits_convert(kind, result):
    a = random_floats(kind, 2000, 4)
    a[::2] *= 2.0 ** (np.arange(len(a[::2])) % 70)
    with np.errstate(all="ignore"):
        found = convert(a, result).tolist()
    for x, each in zip(a.tolist(), found, strict=True):
        wanted = meaning("convert", kind, [x], result)
        assert each == wanted or (math.isnan(each) and math.isnan(wanted)), x


@pytest.mark.parametrize("kind", [Type.I64, Type.U64], ids=lambda kind: kind.value)
@pytest.mark.parametrize("result", [Type.F32, Type.F64], ids=lambda kind: kind.value)
def test_long_integers_round_once_to_a_float(kind, result):
    own = random.Random(5)
    halves = [
        (1 << top) + (1 << (top - drop)) + step for top in range(54, 63) for drop in (24, 25, 53) for step in (-1, 0, 1)
    ]
    a = np.array([*halves, *(own.getrandbits(63) for _ in range(1000))], kind.dtype)
    assert convert(a, result).tolist() == [meaning("convert", kind, [x], result) for x in a.tolist()]
