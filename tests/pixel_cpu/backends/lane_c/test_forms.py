"""Every operation of the table on values over edge values of every type, in lanes and as scalar C."""

from __future__ import annotations

import pytest
from edge_values import check_kind

from pixel_cpu.backends.lane_c import compile_kernel
from pixel_cpu.backends.lane_c.forms import literal, wrapped
from pixel_cpu.ir.types import Type


def make(**options: object):
    return lambda module, name: compile_kernel(module, name, **options)


@pytest.mark.parametrize("kind", [Type.BOOL, Type.I8, Type.U16, Type.U32, Type.I32, Type.I64], ids=repr)
def test_operations_in_lanes(kind):
    check_kind(make(scalar=False, level="-O1"), kind)


@pytest.mark.long
@pytest.mark.parametrize("level", ["-O1", "-O3"])
@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize("kind", Type, ids=repr)
def test_all_operations(kind, scalar, level):
    check_kind(make(scalar=scalar, level=level), kind)


def test_literals_keep_every_bit():
    assert literal(-(2**63), Type.I64) == "(-9223372036854775807ll - 1)"
    assert literal(-0.0, Type.F32) == "gb_bits_f32(0x80000000u)"
    assert literal(True, Type.BOOL) == "1"


def test_narrow_types_are_wrapped():
    assert wrapped("x", Type.U8) == "((x) & 255)" and wrapped("x", Type.F32) == "x"
