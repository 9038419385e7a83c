"""Solvers agree, and their models are ones."""

from __future__ import annotations

import pytest
import z3

from pixel_cpu.verify import solvers
from pixel_cpu.verify.examples import evaluate
from pixel_cpu.verify.solvers import FEW_STEPS, ask

X, Y = z3.BitVecs("x y", 32)
CHOSEN = z3.Bool("chosen")
POSSIBLE = [
    [X * Y == 0x12345678, z3.ULT(X, 0x10000), z3.UGT(X, 1)],
    [CHOSEN, z3.If(CHOSEN, X, Y) == 7, X != Y],
    [z3.fpBVToFP(X, z3.Float32()) > 2.5],
]
IMPOSSIBLE = [
    [X * 8 != X << 3],
    [X & Y != X + Y - (X | Y)],
    [z3.UDiv(X, 2) != z3.LShR(X, 1)],
]


def z3_alone(formulas):
    return solvers._ask_z3(formulas, 100 * FEW_STEPS)


@pytest.mark.parametrize("how", [ask, z3_alone, solvers._ask_bitwuzla])
@pytest.mark.parametrize("formulas", POSSIBLE, ids=range(len(POSSIBLE)))
def test_a_model_is_one(formulas, how):
    reply = how(formulas)
    if how is solvers._ask_bitwuzla and reply.is_possible is None:
        pytest.skip("floats are Z3's")
    assert reply.is_possible and all(evaluate(formula, reply.model) for formula in formulas)


@pytest.mark.parametrize("how", [ask, z3_alone, solvers._ask_bitwuzla])
@pytest.mark.parametrize("formulas", IMPOSSIBLE, ids=range(len(IMPOSSIBLE)))
def test_what_is_impossible(formulas, how):
    assert how(formulas).is_possible is False


def test_what_takes_too_long_is_not_known():
    a, b = z3.BitVecs("a b", 64)
    # A product of two primes of 31 bits.
    hard = [a * b == 2147483629 * 2147483587, z3.ULT(1, a), z3.ULT(a, b), z3.ULT(b, 1 << 32)]
    assert ask(hard, is_thorough=False).is_possible is None
