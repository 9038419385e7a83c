"""Rounds of a loop behind one another: what leaves it, what a round needs, what is refused."""

from __future__ import annotations

import pytest
from compiled_loops import compiled_loop
from learned_loops import learned
from x86_loops import CRC32

from pixel_cpu.errors import UsageError
from pixel_cpu.learn.rounds import Leave, Line


def line_of(code):
    return Line(learned(code).lifted.module.functions["loop"])


def test_a_round_is_what_leaves_it_and_what_goes_on():
    line = line_of(CRC32)
    assert sum(isinstance(step, Leave) for step in line.steps) == 1
    # edi is made anew by each round, before it is read.
    assert {value.name.partition(".")[0] for value in line.live} == {"rax", "rsi"}
    assert not any(line.rounds in getattr(step, "operands", ()) for step in line.steps)


def test_loops_that_branch_are_refused():
    with pytest.raises(UsageError, match=r"branch|loops inside"):
        line_of(compiled_loop("matrix", "-O1"))
