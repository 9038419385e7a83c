"""Kernels with barriers, in pieces."""

import numpy as np
import pytest
from wgsl_runs import BOTH, run_both

from pixel_cpu.backends.launch import Launch

REDUCTION = """
kernel main() group 16 {
  buffer @x: i32 read
  buffer @sums: i32
  workgroup @part: i32[16]
  %lane = global_id : u32
  %local = local_id : u32
  %group = group_id : u32
  %one = const 1 : u32
  %zero = const 0 : u32
  %half = const 8 : u32
  %0 = load @x %lane trap : i32
  store @part %local, %0 trap
  barrier
  loop ^l (%step: u32 = %half) {
    %1 = gt %step, %zero : bool
    if %1 {
      yield
    } else {
      break ^l
    }
    %2 = lt %local, %step : bool
    if %2 {
      %3 = add %local, %step : u32
      %4 = load @part %3 trap : i32
      %5 = load @part %local trap : i32
      %6 = add %4, %5 : i32
      store @part %local, %6 trap
      yield
    } else {
      yield
    }
    barrier
    %7 = shr %step, %one : u32
    continue ^l %7 fuel 1 !9
  }
  %8 = eq %local, %zero : bool
  if %8 {
    %9 = load @part %zero trap : i32
    store @sums %group, %9 trap
    yield
  } else {
    yield
  }
  return
}
"""


@BOTH
@pytest.mark.parametrize(
    ("lanes", "elements", "fuel"), [(64, 64, 99), (61, 61, 99), (64, 50, 99), (64, 64, 2), (5, 0, 9)]
)
def test_lanes_that_ended_or_never_were_reach_the_barriers(machine, lanes, elements, fuel):
    buffers = {"x": np.arange(max(elements, 1), dtype=np.int32)[-max(elements, 1) :], "sums": np.zeros(4, np.int32)}
    run_both(REDUCTION, Launch(lanes, 16, {}, buffers, fuel=fuel), machine=machine)


UNIFORM = """
kernel main(%way: u32) group 8 {
  buffer @out: u32
  workgroup @w: u32[8]
  %lane = global_id : u32
  %local = local_id : u32
  %group = group_id : u32
  %one = const 1 : u32
  %seven = const 7 : u32
  %both = add %way, %group : u32
  %r = block ^b : u32 {
    %x = switch %both : u32 case 0 {
      store @w %local, %lane trap
      barrier
      %0 = xor %local, %seven : u32
      %1 = load @w %0 trap : u32
      yield %1
    } case 1 {
      barrier
      %2 = lt %local, %one : bool
      if %2 {
        trap "first"
      } else {
        yield
      }
      yield %local
    } case 3 {
      return
    } case 4 {
      break ^b %way
    } default {
      yield %both
    }
    barrier
    %y = add %x, %one : u32
    yield %y
  }
  barrier
  store @out %lane, %r trap
  return
}
"""


@BOTH
@pytest.mark.parametrize("way", [0, 1, 3])
def test_barriers_in_uniform_branches(machine, way):
    run_both(UNIFORM, Launch(29, 8, {"way": way}, {"out": np.zeros(32, np.uint32)}), machine=machine)
