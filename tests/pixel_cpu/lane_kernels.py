"""Kernels that tests of the software GPU share."""

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
