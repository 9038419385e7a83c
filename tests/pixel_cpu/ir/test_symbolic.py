"""Z3 forms as expressions; `test_operations` compares each with the NumPy form."""

from __future__ import annotations

import pytest

from pixel_cpu.ir.symbolic import constant, express, sort
from pixel_cpu.ir.types import Type


@pytest.mark.parametrize("kind", Type, ids=lambda kind: kind.value)
def test_a_constant_has_the_sort_of_its_type(kind):
    assert constant(1, kind).sort() == sort(kind)


def test_a_row_without_a_form_is_refused():
    with pytest.raises(KeyError, match="sin has no Z3 form for f32"):
        express("sin", [constant(1.0, Type.F32)], Type.F32, Type.F32)


def test_a_rewrite_is_proved_from_the_forms():
    import z3

    a, b = z3.BitVecs("a b", 32)
    halves = express("shr", [a, constant(1, Type.U32)], Type.U32, Type.U32)
    solver = z3.Solver()
    solver.add(halves != express("div", [a, constant(2, Type.U32)], Type.U32, Type.U32))
    assert solver.check() == z3.unsat
    solver.reset()
    solver.add(express("rem", [a, b], Type.I32, Type.I32) != express("rem", [a, b], Type.U32, Type.U32))
    assert solver.check() == z3.sat
