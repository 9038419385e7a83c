"""Barriers."""

from __future__ import annotations

import numpy as np
import pytest
from lane_kernels import PARTING, REVERSE, SCAN, same_as_reference

from pixel_cpu.backends.launch import Launch


@pytest.mark.parametrize("scalar", [False, True])
def test_values_and_memory_cross_a_barrier(scalar):
    for lanes, group in ((64, 64), (100, 32), (100, 7), (1, 1), (2048, 1024), (300, 100)):
        x = np.arange(2048, dtype=np.uint32)
        # The last group may be smaller than what it reverses: those lanes read zeros.
        same_as_reference(REVERSE, Launch(lanes, group, {}, {"x": x, "y": np.zeros(2048, np.uint32)}), scalar=scalar)


@pytest.mark.parametrize("scalar", [False, True])
def test_loops_around_barriers(scalar):
    for lanes, group, steps, fuel in ((256, 64, 6, 100), (100, 100, 7, 100), (100, 32, 5, 3), (20, 8, 0, 0)):
        buffers = {"x": np.arange(256, dtype=np.uint32), "y": np.zeros(256, np.uint32)}
        outcome = same_as_reference(SCAN, Launch(lanes, group, {"steps": steps}, buffers, fuel), scalar=scalar)
        assert bool(outcome.trap) == (fuel < steps)


def test_lanes_that_trapped_are_not_waited_for():
    x = np.arange(90, dtype=np.uint32)
    outcome = same_as_reference(REVERSE, Launch(100, 32, {}, {"x": x, "y": np.zeros(100, np.uint32)}))
    assert outcome.traps == 10


@pytest.mark.parametrize("scalar", [False, True])
def test_lanes_leave_a_block_one_by_one_after_its_last_barrier(scalar):
    x = np.arange(50, dtype=np.uint32)
    same_as_reference(PARTING, Launch(50, 16, {}, {"x": x, "y": np.zeros(50, np.uint32)}), scalar=scalar)
