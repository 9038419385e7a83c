import itertools

import numpy as np
import pytest

from pixel_cpu.frontends.primitives.conversion import Constant, common, promoted, widens
from pixel_cpu.frontends.primitives.lexer import Token
from pixel_cpu.ir.types import INTEGERS, NUMBERS, Type

AT = Token("int", "0", 1, 1)


@pytest.mark.parametrize(("source", "target"), list(itertools.product(NUMBERS, NUMBERS)))
def test_what_widens_loses_nothing_or_is_a_small_integer_to_a_float(source, target):
    if not widens(source, target):
        return
    if source in INTEGERS and target.is_float:
        assert source.bits <= 32
        return
    edges = [source.least, source.greatest] if source.is_integer else [np.finfo(source.dtype).max, 0.1]
    for edge in edges:
        value = source.dtype.type(edge)
        assert value.astype(target.dtype) == value


def test_bools_mix_with_nothing():
    assert not any(widens(Type.BOOL, kind) or widens(kind, Type.BOOL) or common(Type.BOOL, kind) for kind in NUMBERS)


@pytest.mark.parametrize(("left", "right"), list(itertools.product(NUMBERS, NUMBERS)))
def test_what_two_types_meet_in_both_widen_to(left, right):
    kind = common(left, right)
    assert kind is common(right, left)
    if kind:
        assert widens(left, kind) and widens(right, kind)
    else:
        assert left.bits >= 32 or right.bits >= 32


def test_small_integers_are_promoted():
    assert [promoted(kind) for kind in (Type.U8, Type.I16, Type.U32, Type.F32)] == [
        Type.I32,
        Type.I32,
        Type.U32,
        Type.F32,
    ]


def test_a_number_has_the_first_type_that_holds_it():
    kinds = [Constant(AT, value, False).own_type for value in (7, -(1 << 31), 1 << 31, 1 << 32, 1 << 63, 1 << 64)]
    assert kinds == [Type.I32, Type.I32, Type.U32, Type.I64, Type.U64, None]
    assert Constant(AT, 1.5, True).own_type is Type.F32


def test_what_rounds_to_infinity_does_not_fit():
    limit = float(np.finfo(np.float32).max)
    assert Constant(AT, limit, True).fits(Type.F32) and not Constant(AT, limit * 1.0000001, True).fits(Type.F32)
    assert Constant(AT, float("inf"), True).fits(Type.F32) and Constant(AT, float("nan"), True).fits(Type.F64)
    assert not Constant(AT, 10**39, False).fits(Type.F32)
