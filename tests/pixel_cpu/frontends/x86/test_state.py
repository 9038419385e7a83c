"""Parts of registers, read and written in any order, as numbers do it."""

from __future__ import annotations

import random

import numpy as np
import pytest
from x86_loops import calculate

from pixel_cpu.frontends.x86.emitter import Emitter
from pixel_cpu.frontends.x86.pcode import Varnode
from pixel_cpu.frontends.x86.registers import CELLS
from pixel_cpu.frontends.x86.state import UNSIGNED, State
from pixel_cpu.ir.model import Region, Value
from pixel_cpu.ir.types import Type


@pytest.mark.parametrize("seed", range(20))
def test_parts_are_those_of_the_whole(seed):
    dice = random.Random(seed)
    region = Region()
    emit = Emitter(region)
    whole, start = dice.getrandbits(64), Value(Type.U64)
    values = {start: np.array([whole], np.uint64)}
    state, wanted = State(emit, {CELLS["rax"]: start}), []
    for _ in range(30):
        size = dice.choice((1, 2, 4, 8))
        first = dice.randrange(0, 9 - size)
        part = Varnode("register", first, size)
        mask = (1 << 8 * size) - 1
        if dice.random() < 0.5:
            number, value = dice.getrandbits(8 * size), Value(UNSIGNED[size])
            values[value] = np.array([number], UNSIGNED[size].dtype)
            whole = whole & ~(mask << 8 * first) | number << 8 * first
            state.write(part, [value])
            state = state.copy()
        else:
            wanted.append((*state.read(part), whole >> 8 * first & mask))
    wanted.append((state.get(CELLS["rax"]), whole))
    found = calculate(region, values)
    assert all(int(found[value][0]) == number for value, number in wanted)


def test_a_wide_register_is_read_in_parts():
    emit = Emitter(Region())
    low, high = Value(Type.U64), Value(Type.U64)
    state = State(emit)
    vector = Varnode("register", CELLS["xmm1_0"].offset, 16)
    state.write(vector, [low, high])
    assert state.read(vector) == [low, high] and state.get(CELLS["xmm1_1"]) is high
