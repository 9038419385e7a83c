"""The table of operations: every row over the edge values of its types, against its words and between its forms."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from programs import edges
from scalar import meaning

from pixel_cpu.backends.reference import evaluate
from pixel_cpu.ir.operations import OPERATIONS, TERMINATORS, Operation
from pixel_cpu.ir.types import FLOATS, Type

TRANSCENDENTAL = "sin cos tan asin acos atan tanh exp exp2 log log2 pow".split()
VALUES = [row for row in OPERATIONS.values() if row.effect == "value" and row.numpy]
MOST = 1500
"""Combinations of edge values of one row and type."""


def operand_kinds(row: Operation, kind: Type) -> list[Type]:
    words = row.signature.partition("->")[0].split()
    return [Type.BOOL if word == "bool" else kind for word in words]


def results_of(row: Operation, kind: Type) -> list[Type]:
    word = row.signature.partition("->")[2].strip()
    if word == "T":
        return [kind]
    if word == "bool":
        return [Type.BOOL]
    return [other for other in row.over if row.name != "bitcast" or other.bits == kind.bits]


def combinations(row: Operation, kind: Type, most: int) -> list[tuple]:
    lists = [edges(each) for each in operand_kinds(row, kind)]
    if math.prod(map(len, lists)) <= most:
        return list(itertools.product(*lists))
    own = random.Random(f"{row.name} {kind.value}")
    # Equal and opposite operands meet more often than by chance.
    found = [tuple(own.choice(values) for values in lists) for _ in range(most)]
    return [(each[0],) * len(each) if own.random() < 0.1 and row.name != "select" else each for each in found]


def cases(rows) -> list:
    return [pytest.param(row, kind, id=f"{row.name}-{kind.value}") for row in rows for kind in row.over]


def in_numpy(row: Operation, kind: Type, operands: list[tuple], result: Type) -> list:
    arrays = [
        np.array(column, each.dtype)
        for column, each in zip(zip(*operands, strict=True), operand_kinds(row, kind), strict=True)
    ]
    return evaluate(row.name, arrays, result).tolist()


def is_same(found, wanted) -> bool:
    if isinstance(wanted, float):
        if math.isnan(wanted):
            return math.isnan(found)
        return found == wanted and math.copysign(1, found) == math.copysign(1, wanted)
    return type(found) is type(wanted) and found == wanted


@pytest.mark.parametrize(("row", "kind"), cases(row for row in VALUES if row.name not in TRANSCENDENTAL))
def test_the_numpy_form_does_what_the_meaning_says(row, kind):
    operands = combinations(row, kind, MOST)
    if row.name == "bitcast" and kind.is_float:
        operands = [each for each in operands if not math.isnan(each[0])]
    for result in results_of(row, kind):
        for given, found in zip(operands, in_numpy(row, kind, operands, result), strict=True):
            wanted = meaning(row.name, kind, list(given), result)
            assert is_same(found, wanted), f"{row.name} of {given} as {result!r} is {found!r}, not {wanted!r}"


@pytest.mark.parametrize(("row", "kind"), cases(row for row in VALUES if row.z3))
def test_the_z3_form_is_the_numpy_form(row, kind):
    import z3

    from pixel_cpu.ir.symbolic import constant, express

    operands = combinations(row, kind, 25)
    for result in results_of(row, kind):
        if row.name == "bitcast" and kind.is_float:
            operands = [each for each in operands if not math.isnan(each[0])]
        for given, found in zip(operands, in_numpy(row, kind, operands, result), strict=True):
            terms = [constant(value, each) for value, each in zip(given, operand_kinds(row, kind), strict=True)]
            same = express(row.name, terms, kind, result)
            wanted = constant(found, result)
            # Structural equality: every NaN is the one NaN, and -0 differs from +0.
            assert z3.is_true(z3.simplify(same == wanted)), f"{row.name} of {given}: {z3.simplify(same)}, not {found!r}"


def is_odd(power: float) -> bool:
    return math.isfinite(power) and math.fmod(abs(power), 2) == 1


def in_c(name: str, operands: tuple) -> float:
    """What the C library says, with its results where Python raises."""
    a = operands[0]
    try:
        found = getattr(math, name)(*operands)
    except OverflowError:
        return -math.inf if name == "pow" and a < 0 and is_odd(operands[1]) else math.inf
    except ValueError:
        if name in ("log", "log2") and a == 0:
            return -math.inf
        if name == "pow" and a == 0:
            return math.copysign(math.inf, a) if is_odd(operands[1]) else math.inf
        return math.nan
    return found


def distance_ulp(found: float, wanted: float, kind: Type) -> float:
    if is_same(found, wanted):
        return 0
    if not (math.isfinite(found) and math.isfinite(wanted)):
        greatest = float(np.finfo(kind.dtype).max)
        is_edge = abs(found) >= greatest and abs(wanted) >= greatest and found * wanted > 0
        return 1 if is_edge else math.inf
    return abs(found - wanted) / float(np.spacing(kind.dtype.type(abs(wanted))))


@pytest.mark.parametrize(("row", "kind"), cases(OPERATIONS[name] for name in TRANSCENDENTAL))
def test_transcendental_functions_are_the_c_library_s_within_the_stated_error(row, kind):
    operands = combinations(row, kind, MOST)
    for given, found in zip(operands, in_numpy(row, kind, operands, kind), strict=True):
        with np.errstate(all="ignore"):
            wanted = float(kind.dtype.type(in_c(row.name, given)))
        assert distance_ulp(found, wanted, kind) <= row.c_ulp, f"{row.name} of {given} is {found!r}, not {wanted!r}"


@pytest.mark.parametrize("row", OPERATIONS.values(), ids=lambda row: row.name)
def test_every_row_says_what_it_means(row):
    assert row.meaning.endswith(".")
    assert row.effect in ("value", "id", "memory", "control")
    assert "->" in row.signature


@pytest.mark.parametrize("row", VALUES, ids=lambda row: row.name)
@pytest.mark.parametrize("language", ["numpy", "c", "wgsl", "z3"])
def test_a_language_has_a_form_for_every_type_that_the_row_is_over(row, language):
    found = {kind: row.form(language, kind) for kind in row.over}
    if language == "z3" and row.z3 is None:
        assert row.name in TRANSCENDENTAL
    elif language == "wgsl" and row.name in TRANSCENDENTAL:
        assert found[Type.F32]
    else:
        assert all(found.values())


def test_terminators_are_rows():
    assert {OPERATIONS[name].effect for name in TERMINATORS} == {"control"}


def test_only_floats_may_differ_between_back_ends():
    for row in VALUES:
        if not set(row.over) & set(FLOATS):
            assert row.c_ulp == row.wgsl_ulp == row.wgsl_absolute == 0
