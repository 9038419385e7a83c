"""p-code's integer operations against Python's own numbers."""

from __future__ import annotations

import random

import numpy as np
import pytest
from x86_loops import calculate

from pixel_cpu.frontends.x86 import arithmetic
from pixel_cpu.frontends.x86.emitter import Emitter
from pixel_cpu.frontends.x86.state import UNSIGNED
from pixel_cpu.ir.model import Region, Value
from pixel_cpu.ir.types import Type

EDGES = (
    0,
    1,
    2,
    7,
    8,
    31,
    32,
    63,
    64,
    0x7F,
    0x80,
    0xFF,
    0x7FFFFFFF,
    1 << 31,
    1 << 63,
    (1 << 64) - 1,
    0x123456789ABCDEF0,
)


def signed(number, bits):
    return number - (1 << bits) if number >> (bits - 1) else number


WANTED = {
    "INT_ADD": lambda a, b, n: a + b,
    "INT_SUB": lambda a, b, n: a - b,
    "INT_MULT": lambda a, b, n: a * b,
    "INT_AND": lambda a, b, n: a & b,
    "INT_OR": lambda a, b, n: a | b,
    "INT_XOR": lambda a, b, n: a ^ b,
    "INT_EQUAL": lambda a, b, n: a == b,
    "INT_NOTEQUAL": lambda a, b, n: a != b,
    "INT_LESS": lambda a, b, n: a < b,
    "INT_LESSEQUAL": lambda a, b, n: a <= b,
    "INT_SLESS": lambda a, b, n: signed(a, n) < signed(b, n),
    "INT_SLESSEQUAL": lambda a, b, n: signed(a, n) <= signed(b, n),
    "INT_LEFT": lambda a, b, n: a << b if b < n else 0,
    "INT_RIGHT": lambda a, b, n: a >> b if b < n else 0,
    "INT_SRIGHT": lambda a, b, n: signed(a, n) >> min(b, n),
    "INT_CARRY": lambda a, b, n: a + b >> n,
    "INT_SCARRY": lambda a, b, n: not -(1 << n - 1) <= signed(a, n) + signed(b, n) < 1 << n - 1,
    "INT_SBORROW": lambda a, b, n: not -(1 << n - 1) <= signed(a, n) - signed(b, n) < 1 << n - 1,
}


@pytest.mark.parametrize("size", UNSIGNED)
@pytest.mark.parametrize("name", WANTED)
def test_two_operands(name, size):
    kind, bits = UNSIGNED[size], 8 * size
    numbers = sorted({number & kind.greatest for number in EDGES})
    region = Region()
    emit, one, other = Emitter(region), Value(kind), Value(kind)
    found = arithmetic.binary(emit, name, one, other)
    grid = np.array([(a, b) for a in numbers for b in numbers], kind.dtype)
    values = calculate_many(region, {one: grid[:, 0], other: grid[:, 1]})[found]
    for (a, b), value in zip(grid.tolist(), values.tolist(), strict=True):
        assert int(value) == int(WANTED[name](a, b, bits)) & kind.greatest, (name, a, b)


def calculate_many(region, values):
    """As `calculate`, for arrays: constants are as long as they."""
    count = len(next(iter(values.values())))
    for op in region.operations:
        if op.name == "const":
            values[op.result] = np.full(count, op.literal, op.result.type.dtype)
    region.operations = [op for op in region.operations if op.name != "const"]
    return calculate(region, values)


@pytest.mark.parametrize("size", UNSIGNED)
def test_one_operand(size):
    kind, bits = UNSIGNED[size], 8 * size
    numbers = np.array(sorted({number & kind.greatest for number in EDGES}), kind.dtype)
    wanted = {
        "INT_NEGATE": lambda a: ~a & kind.greatest,
        "INT_2COMP": lambda a: -a & kind.greatest,
        "POPCOUNT": lambda a: a.bit_count(),
        "LZCOUNT": lambda a: bits - a.bit_length(),
    }
    for name, calculation in wanted.items():
        region = Region()
        emit, value = Emitter(region), Value(kind)
        found = arithmetic.unary(emit, name, value, kind)
        assert calculate_many(region, {value: numbers})[found].tolist() == [calculation(a) for a in numbers.tolist()]


@pytest.mark.parametrize("seed", range(10))
def test_wide_values(seed):
    dice = random.Random(seed)
    region = Region()
    emit = Emitter(region)
    parts = [[Value(Type.U64), Value(Type.U64)] for _ in range(2)]
    a, b = dice.getrandbits(128), dice.choice((dice.getrandbits(128), dice.getrandbits(64)))
    values = {
        part: np.array([number >> 64 * place & (1 << 64) - 1], np.uint64)
        for number, pair in zip((a, b), parts, strict=True)
        for place, part in enumerate(pair)
    }
    count = dice.randrange(128)
    shift = [emit.const(Type.U32, count)]
    wanted = [
        (arithmetic.wide(emit, "INT_MULT", *parts), a * b),
        (arithmetic.wide(emit, "INT_XOR", *parts), a ^ b),
        (arithmetic.wide(emit, "INT_RIGHT", parts[0], shift), a >> count),
        (arithmetic.wide(emit, "INT_LEFT", parts[0], shift), a << count),
        (arithmetic.wide(emit, "INT_EQUAL", *parts), int(a == b)),
        (arithmetic.extended(emit, parts[0][:1], 16, True), signed(a & (1 << 64) - 1, 64)),
        (arithmetic.extended(emit, parts[0][:1], 16, False), a & (1 << 64) - 1),
    ]
    found = calculate(region, values)
    for made, number in wanted:
        assert [int(found[part][0]) for part in made] == [
            number >> 64 * place & (1 << 64) - 1 for place in range(len(made))
        ]
