"""Sums modulo 2: the same ones are seen to be, others never; concrete bits say what is right."""

from __future__ import annotations

import random

import pytest
import z3

from pixel_cpu.verify.parity import same_parity

X, Y = z3.BitVec("x", 16), z3.BitVec("y", 16)


def looked_up(index, entries):
    total = z3.BitVecVal(0, 16)
    for place, entry in enumerate(entries):
        total = total ^ z3.If(z3.Extract(place, place, index) == 1, z3.BitVecVal(entry, 16), z3.BitVecVal(0, 16))
    return total


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (X ^ Y, Y ^ X),
        ((X ^ Y) << 3, (X << 3) ^ (Y << 3)),
        (z3.LShR(X, 4) | (X << 12), z3.RotateRight(X, 4) ^ 0),
        (looked_up(X ^ Y, [9, 7, 300]), looked_up(X, [9, 7, 300]) ^ looked_up(Y, [9, 7, 300])),
        (z3.If(X * Y == 5, X ^ Y, Y), z3.If(X * Y == 5, Y ^ X, Y)),
    ],
    ids=["turned", "shifted", "rotated", "looked up", "chosen"],
)
def test_the_same_sums_are_seen(one, other):
    assert same_parity(z3.simplify(one), z3.simplify(other)) or same_parity(one, other)


def test_what_is_seen_to_be_the_same_is_so_for_random_bits():
    chance = random.Random(0)

    def term(depth):
        if not depth:
            return chance.choice([X, Y, z3.BitVecVal(chance.getrandbits(16), 16)])
        one, other = term(depth - 1), term(depth - 1)
        bit = z3.Extract(3, 3, one) == chance.getrandbits(1)
        return chance.choice(
            [
                one ^ other,
                ~one,
                one << chance.randrange(16),
                z3.LShR(one, chance.randrange(16)),
                one & 0xFF,
                one | 0xF0,
                z3.If(bit, one, other),
            ]
        )

    seen = 0
    for _ in range(300):
        one, other = term(2), term(2)
        is_same = same_parity(one, other)
        seen += is_same
        values = [(X, z3.BitVecVal(chance.getrandbits(16), 16)), (Y, z3.BitVecVal(chance.getrandbits(16), 16))]
        if is_same:
            assert z3.simplify(z3.substitute(one ^ other, *values)).as_long() == 0
    assert seen
    assert not same_parity(X, Y) and not same_parity(X ^ 1, X)
