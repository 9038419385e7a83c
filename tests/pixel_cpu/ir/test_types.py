"""The scalar types."""

from __future__ import annotations

import numpy as np
import pytest

from pixel_cpu.ir.types import INTEGERS, Type, type_of


@pytest.mark.parametrize("kind", Type, ids=lambda kind: kind.value)
def test_a_type_is_numpy_s_of_the_same_layout(kind):
    assert kind.bytes == kind.dtype.itemsize
    assert type_of(kind.dtype) is kind


@pytest.mark.parametrize("kind", INTEGERS, ids=lambda kind: kind.value)
def test_limits_are_numpy_s(kind):
    info = np.iinfo(kind.dtype)
    assert (kind.least, kind.greatest) == (info.min, info.max)
    assert kind.signed.unsigned is kind.unsigned
    assert kind.signed.bits == kind.unsigned.bits == kind.bits


def test_a_foreign_type_is_none():
    with pytest.raises(KeyError):
        type_of(np.dtype("complex64"))
