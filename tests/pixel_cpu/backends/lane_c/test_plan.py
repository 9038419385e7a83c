"""How a kernel is compiled."""

from lane_kernels import COLLATZ, REVERSE, SAXPY, module

from pixel_cpu.backends.lane_c.plan import MAX_REGISTERS, plan

SORT = """
kernel main(%n: u32) group 32 {
  private @p: u32[256]
  buffer @y: u32
  %i = global_id : u32
  %one = const 1 : u32
  %r = loop ^L (%k: u32 = %i) : u32 {
    %end = ge %k, %n : bool
    if %end { break ^L %k } else { yield }
    %a = load @p %k clamp : u32
    %b = load @y %a clamp : u32
    store @p %b, %a clamp
    store @y %a, %b clamp
    %k2 = add %b, %one : u32
    continue ^L %k2
  }
  return
}
"""
"""A loop of addresses that each lane has its own of."""


def test_lanes_unless_they_lose():
    assert plan(module(COLLATZ).kernels["main"], 8, 16).width == 8
    assert plan(module(SORT).kernels["main"], 8, 16).width == 1
    assert plan(module(SORT).kernels["main"], 8, 16, scalar=False).width == 8


def test_a_chunk_is_no_larger_than_its_group_needs():
    kernel = module(REVERSE).kernels["main"]
    for group, registers in ((1, 1), (8, 1), (9, 2), (64, MAX_REGISTERS)):
        kernel.group = group
        assert plan(kernel, 8, 16).registers == registers


def test_chunks_reach_over_groups_where_nothing_tells_them_apart():
    assert plan(module(SAXPY).kernels["main"], 8, 16).is_flat
    assert not plan(module(REVERSE).kernels["main"], 8, 16).is_flat
