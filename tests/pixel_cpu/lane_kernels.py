"""Kernels that tests of back ends share."""

from __future__ import annotations

import numpy as np
from programs import compare

from pixel_cpu.backends.lane_c import compile_kernel
from pixel_cpu.backends.launch import Launch, Outcome
from pixel_cpu.ir.model import Module
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify

SAXPY = """
kernel main(%a: f32) group 32 {
  buffer @x: f32 read
  buffer @y: f32
  %i = global_id : u32
  %xi = load @x %i trap : f32
  %yi = load @y %i trap : f32
  %sum = fma %a, %xi, %yi : f32
  store @y %i, %sum trap
  return
}
"""

COLLATZ = """
kernel main() group 64 {
  buffer @y: u32
  %i = global_id : u32
  %zero = const 0 : u32
  %one = const 1 : u32
  %three = const 3 : u32
  %n = loop ^L (%k: u32 = %zero, %v: u32 = %i) : u32 {
    %end = le %v, %one : bool
    if %end { break ^L %k } else { yield }
    %odd = and %v, %one : u32
    %is_odd = eq %odd, %one : bool
    %w = if %is_odd : u32 {
      %t = mul %v, %three : u32
      %u = add %t, %one : u32
      yield %u
    } else {
      %h = shr %v, %one : u32
      yield %h
    }
    %k2 = add %k, %one : u32
    continue ^L %k2, %w
  }
  store @y %i, %n trap
  return
}
"""
"""A loop that lanes leave at different times."""

REVERSE = """
kernel main() group 64 {
  buffer @x: u32 read
  buffer @y: u32
  workgroup @t: u32[1024]
  %i = global_id : u32
  %l = local_id : u32
  %g = group_size : u32
  %one = const 1 : u32
  %xi = load @x %i trap : u32
  store @t %l, %xi trap
  barrier
  %last = sub %g, %one : u32
  %other = sub %last, %l : u32
  %r = load @t %other trap : u32
  %s = add %r, %xi : u32
  store @y %i, %s trap
  return
}
"""
"""Values and workgroup memory that live across a barrier."""

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


PARTING = """
kernel main() group 16 {
  buffer @x: u32 read
  buffer @y: u32
  workgroup @t: u32[1024]
  workgroup @u: u32[1024]
  %i = global_id : u32
  %l = local_id : u32
  %one = const 1 : u32
  %five = const 5 : u32
  %xi = load @x %i trap : u32
  %b = and %xi, %one : u32
  %odd = eq %b, %one : bool
  %few = lt %l, %five : bool
  %outer = block ^A : u32 {
    %inner = block ^B : u32 {
      store @t %l, %xi trap
      barrier
      if %odd { break ^B %l } else { yield }
      if %few { break ^A %five } else { yield }
      %r = load @t %one trap : u32
      %s = add %r, %xi : u32
      yield %s
    }
    %more = add %inner, %one : u32
    yield %more
  }
  store @u %l, %outer trap
  barrier
  %zero = const 0 : u32
  %first = load @u %zero trap : u32
  %sum = add %first, %outer : u32
  store @y %i, %sum trap
  return
}
"""
"""Lanes leave blocks that hold a barrier, each in its own way, and wait for each other behind them."""


def module(text: str) -> Module:
    """A verified program."""
    return verify(read(text))


def same_as_reference(text: str, launch: Launch, *, scalar: bool = False, **options: int) -> Outcome:
    """Run a program here and by the reference, and compare; gives the outcome."""
    return compare(
        lambda found, name: compile_kernel(found, name, scalar=scalar, level="-O1", **options), module(text), launch
    )


def saxpy_launch(lanes: int, elements: int, group: int = 32) -> Launch:
    """A launch of `SAXPY` over arrays of `elements`."""
    x, y = np.arange(elements, dtype=np.float32), np.ones(elements, np.float32)
    return Launch(lanes, group, {"a": 0.5}, {"x": x, "y": y})
