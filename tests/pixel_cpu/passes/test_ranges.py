"""Intervals hold what values are, as the reference computes them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pixel_cpu.backends.reference import evaluate
from pixel_cpu.ir.types import Type
from pixel_cpu.passes.ranges import Range, arithmetic

OPERATIONS = ("add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor", "shl", "shr", "neg", "abs")
KINDS = (Type.I32, Type.U32, Type.I8, Type.U8, Type.I64, Type.U64)


@st.composite
def cases(draw):
    kind = draw(st.sampled_from(KINDS))
    name = draw(st.sampled_from(OPERATIONS if kind.is_signed else OPERATIONS[:-2]))
    near = st.integers(-5, 40).map(lambda n: min(max(n, kind.least), kind.greatest))
    value = st.one_of(near, st.integers(kind.least, kind.greatest), st.sampled_from([kind.least, kind.greatest]))
    bounds = [sorted((draw(value), draw(value))) for _ in range(2)]
    values = [draw(st.integers(low, high)) for low, high in bounds]
    return name, kind, [Range(*each) for each in bounds], values


@given(cases())
def test_a_result_lies_in_the_range_of_its_operation(case):
    name, kind, ranges, values = case
    count = 1 if name in ("neg", "abs") else 2
    found = arithmetic(name, kind, ranges[:count])
    result = int(evaluate(name, [np.array([value], kind.dtype) for value in values[:count]], kind)[0])
    assert found is None or found.low <= result <= found.high, (name, kind, ranges, values, result, found)
    assert found is None or (kind.least <= found.low and found.high <= kind.greatest)


def test_an_addition_that_may_wrap_says_nothing():
    top = Range(0, Type.U32.greatest)
    assert arithmetic("add", Type.U32, [top, Range(1, 1)]) is None
    assert arithmetic("mul", Type.I32, [Range(0, 1 << 16), Range(0, 1 << 15)]) is None
    assert arithmetic("sub", Type.U32, [Range(0, 5), Range(0, 1)]) is None
