"""Folding: what is emitted keeps its meaning, and what says nothing is not emitted."""

from __future__ import annotations

import random

import numpy as np
import pytest
from x86_loops import calculate

from pixel_cpu.backends.reference import evaluate
from pixel_cpu.frontends.x86.emitter import Emitter
from pixel_cpu.ir.bits import from_bits
from pixel_cpu.ir.model import Region, Value
from pixel_cpu.ir.types import Type

NAMES = ("add", "sub", "mul", "and", "or", "xor", "eq", "ne", "lt", "le", "gt", "ge")


@pytest.mark.parametrize("seed", range(40))
def test_folded_programs_compute_the_same(seed):
    """Random operations on numbers that are hidden, and on the same numbers as constants."""
    dice = random.Random(seed)
    kinds = [Type.U8, Type.U32, Type.U64, Type.I32, Type.BOOL]
    region, plain = Region(), {}
    emit = Emitter(region)
    inputs = {Value(kind): from_bits(dice.getrandbits(64), kind) for kind in kinds for _ in range(2)}
    values = {value: np.array([number], value.type.dtype) for value, number in inputs.items()}
    pairs = [(value, values[value]) for value in inputs]
    pairs += [
        (emit.const(kind, number), np.array([from_bits(number, kind)], kind.dtype))
        for kind in kinds
        for number in (0, 1, 255, -1)
    ]
    for _ in range(60):
        value, number = dice.choice(pairs)
        if dice.random() < 0.4:
            kind = dice.choice(kinds)
            pairs.append((emit.convert(value, kind), evaluate("convert", [number], kind, value.type)))
            continue
        if value.type is Type.BOOL and dice.random() < 0.3:
            pairs.append((emit.negated(value), ~number))
            continue
        other, second = dice.choice([pair for pair in pairs if pair[0].type is value.type])
        names = ("and", "or", "xor", "eq", "ne") if value.type is Type.BOOL else NAMES
        name = dice.choice(names)
        made = emit.op(name, value, other)
        pairs.append((made, evaluate(name, [number, second], made.type, value.type)))
    plain = calculate(region, values)
    assert all(plain[value] == number for value, number in pairs if value in plain)


def emitted(make, *kinds):
    region = Region()
    emit = Emitter(region)
    inputs = [Value(kind) for kind in kinds]
    return make(emit, *inputs), inputs, [op.name for op in region.operations if op.name != "const"]


def test_an_extension_that_is_cut_again_is_the_value():
    found, (value,), names = emitted(lambda emit, a: emit.convert(emit.convert(a, Type.U64), Type.U32), Type.U32)
    assert found is value and names == ["convert"]


def test_signed_less_than_is_found_in_its_flags():
    def flags(emit, a, b):
        return emit.op("ne", emit.borrow(a, b), emit.negative(emit.op("sub", a, b)))

    found, _, names = emitted(flags, Type.U64, Type.U64)
    assert names[-1] == "lt" and names.count("lt") == 3 and found.type is Type.BOOL


def test_a_masked_count_is_known_to_be_small():
    def count(emit, a):
        small = emit.op("and", a, emit.const(Type.U8, 31))
        return emit.op("lt", small, emit.const(Type.U8, 32))

    _, _, names = emitted(count, Type.U8)
    assert names == ["and"]


def test_what_was_computed_is_not_computed_again_but_not_seen_outside():
    region, inner = Region(), Region()
    emit, a = Emitter(region), Value(Type.U64)
    with emit.inside(inner):
        first = emit.op("add", a, a)
        assert emit.op("add", a, a) is first
    assert emit.op("add", a, a) is not first
