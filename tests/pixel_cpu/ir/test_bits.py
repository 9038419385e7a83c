import math

import numpy as np
import pytest
from programs import edges

from pixel_cpu.ir.bits import from_bits, rounded, to_bits
from pixel_cpu.ir.types import Type


@pytest.mark.parametrize("kind", Type, ids=repr)
def test_bits_are_numpys_and_give_the_value_back(kind):
    for value in edges(kind):
        array = np.array([value]).astype(kind.dtype)
        assert to_bits(value, kind) == int.from_bytes(array.tobytes(), "little")
        found = from_bits(to_bits(value, kind), kind)
        assert type(found) is type(array.item())
        assert found == array.item() or (math.isnan(found) and math.isnan(array.item()))


def test_narrow_integers_fill_a_word_by_their_sign():
    assert to_bits(-2, Type.I16, 32) == 0xFFFFFFFE
    assert to_bits(254, Type.U8, 32) == 254
    assert from_bits(0xFFFFFFFE, Type.I16) == -2


def test_floats_are_rounded_to_their_type():
    assert rounded(0.1, Type.F32) == float(np.float32(0.1))
    assert rounded(1e300, Type.F32) == math.inf
    assert rounded(1e300, Type.F64) == 1e300
