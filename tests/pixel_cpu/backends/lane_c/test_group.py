"""Barriers."""

from __future__ import annotations

import numpy as np
import pytest
from lane_kernels import REVERSE, same_as_reference

from pixel_cpu.backends.launch import Launch

SCAN = """
kernel main(%steps: u32) group 64 {
  buffer @x: u32 read
  buffer @y: u32
  workgroup @t: u32[1024]
  %i = global_id : u32
  %l = local_id : u32
  %zero = const 0 : u32
  %one = const 1 : u32
  %start = load @x %i clamp : u32
  store @t %l, %start trap
  %sum = loop ^L (%k: u32 = %zero, %own: u32 = %start, %other: u32 = %l) : u32 {
    %more = lt %k, %steps : bool
    if %more { yield } else { break ^L %own }
    barrier
    %d = shl %one, %k : u32
    %j = sub %l, %d : u32
    %has = ge %l, %d : bool
    %add = if %has : u32 {
      %v = load @t %j trap : u32
      yield %v
    } else {
      yield %zero
    }
    %new = add %own, %add : u32
    barrier
    store @t %l, %new trap
    %k2 = add %k, %one : u32
    %odd = and %k, %one : u32
    %is_odd = eq %odd, %one : bool
    if %is_odd { barrier yield } else { yield }
    continue ^L %k2, %new, %own
  }
  store @y %i, %sum trap
  return
}
"""
"""A scan of each group: a loop around barriers, values that go round it, a barrier in a branch."""


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
