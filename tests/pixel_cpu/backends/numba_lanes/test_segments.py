"""Kernels divided at their barriers."""

from __future__ import annotations

from lane_kernels import COLLATZ, REVERSE, module

from pixel_cpu.backends.numba_lanes.segments import Around, Segment, divide, find_kept

AROUND = """
kernel main(%n: u32) group 8 {
  buffer @y: u32
  %i = global_id : u32
  %zero = const 0 : u32
  %one = const 1 : u32
  %sum = loop ^L (%k: u32 = %zero) : u32 {
    %more = lt %k, %n : bool
    if %more { yield } else { break ^L %i }
    barrier
    %next = add %k, %one : u32
    continue ^L %next
  }
  store @y %i, %sum trap
  return
}
"""


def test_a_kernel_without_barriers_is_one_segment():
    kernel = module(COLLATZ).kernels["main"]
    (segment,) = divide(kernel)
    assert isinstance(segment, Segment) and segment.operations == kernel.body.operations
    assert find_kept(kernel, [segment]) == []


def test_what_crosses_a_barrier_is_kept():
    kernel = module(REVERSE).kernels["main"]
    items = divide(kernel)
    assert [item.operations[-1].name for item in items] == ["store", "return"]
    assert [value.name for value in find_kept(kernel, items)] == ["i", "l", "g", "xi"]


def test_what_holds_a_barrier_or_leaves_it_stands_around_segments():
    kernel = module(AROUND).kernels["main"]
    first, loop, _ = divide(kernel)
    assert isinstance(loop, Around) and loop.op.name == "loop"
    assert [value.name for value in first.onto] == ["k"]
    head, branch, turn, end = loop.inside[0]
    assert isinstance(branch, Around) and [inside[-1].leaves.name for inside in branch.inside] == ["yield", "break"]
    assert head.operations and turn.is_empty and end.burns
    assert {value.name for value in find_kept(kernel, divide(kernel))} == {"i", "sum", "k", "more"}
