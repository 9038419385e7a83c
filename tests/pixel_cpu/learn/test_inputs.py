"""Inputs that are made for measurements: with them loops go round as often as they should."""

from __future__ import annotations

import pytest
from compiled_loops import compiled_loop
from learned_loops import learned

from pixel_cpu.errors import UsageError
from pixel_cpu.learn.inputs import inputs_for, readable
from pixel_cpu.learn.speed import prepare


@pytest.mark.parametrize("name", ["copy", "sum", "two inputs", "table checksum"])
def test_a_loop_goes_round_so_often_and_then_is_left(name):
    loop = learned(compiled_loop(name, "-O1"))
    inputs = inputs_for(loop.lifted, 3, 20)
    ready = prepare(loop, inputs)
    found = ready.launch("reference")
    assert all(19 <= rounds <= 20 for rounds in found.rounds.tolist())


def test_memory_that_is_read_may_be_for_all_lanes():
    loop = learned(compiled_loop("two inputs", "-O1"))
    first, second = readable(loop.lifted)
    inputs = inputs_for(loop.lifted, 3, 20, shared=[first])
    assert first in inputs.tables and second in inputs.slices
    assert readable(learned(compiled_loop("copy", "-O1")).lifted) == []


def test_what_it_does_not_see_is_said():
    with pytest.raises(UsageError, match="loops inside"):
        inputs_for(learned(compiled_loop("matrix", "-O1")).lifted, 3, 20)
