"""Exits of several levels, and functions."""

import numpy as np
import pytest
from wgsl_runs import BOTH, run_both

from pixel_cpu.backends.launch import Launch

EXITS = """
function f(%n: u32) -> u32, i64 {
  buffer @out: u32
  %one = const 1 : u32
  %zero = const 0 : u32
  %w = const -5 : i64
  %bad = const 55 : u32
  %0 = loop ^a (%i: u32 = %zero) : u32 {
    %r = block ^b : u32 {
      %x = loop ^c (%j: u32 = %zero, %k: u32 = %one) : u32 {
        %s = add %i, %j : u32
        switch %s case 3 {
          break ^b %k
        } case 7 {
          break ^a %s
        } case 9 {
          return %k, %w
        } default {
          yield
        }
        %e = gt %j, %n : bool
        if %e {
          %i2 = add %i, %one : u32
          continue ^a %i2 fuel 2
        } else {
          yield
        }
        %j2 = add %j, %one : u32
        continue ^c %k, %j2
      }
      yield %x
    }
    %q = add %r, %i : u32
    %z = eq %q, %bad : bool
    if %z {
      trap "odd"
    } else {
      yield
    }
    %n2 = add %i, %one : u32
    %stop = gt %n2, %n : bool
    if %stop {
      break ^a %q
    } else {
      yield
    }
    continue ^a %n2
  }
  %1 = convert %0 : i64
  store @out %n, %0 trap
  return %0, %1
}
kernel main() group 8 {
  buffer @out: u32
  buffer @wide: i64
  %0 = global_id : u32
  %1, %2 = call @f %0 : u32, i64
  %3 = const 3 : u32
  %4 = rem %0, %3 : u32
  %5, %6 = call @f %4 : u32, i64
  %7 = add %2, %6 : i64
  store @wide %0, %7 clamp
  return
}
"""


@BOTH
@pytest.mark.parametrize("fuel", [1000, 5])
def test_exits_of_several_levels_and_functions_that_end_a_lane(machine, fuel):
    buffers = {"out": np.zeros(38, np.uint32), "wide": np.zeros(40, np.int64)}
    run_both(EXITS, Launch(40, 8, {}, buffers, fuel=fuel), machine=machine, pairs=machine)
