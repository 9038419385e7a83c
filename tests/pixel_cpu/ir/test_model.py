"""Walks over programs."""

from __future__ import annotations

from pixel_cpu.ir.model import Op, Region, calls, reachable, walk
from pixel_cpu.ir.text import read

TEXT = """
function a() {
  return
}
function b() {
  call @a
  return
}
function c() {
  return
}
kernel k(%t: bool) group 1 {
  if %t {
    call @b
    yield
  } else {
    block ^l {
      break ^l
    }
    yield
  }
  return
}
"""


def test_a_walk_goes_through_regions_in_order_of_the_text():
    body = read(TEXT).kernels["k"].body
    assert [op.name for op in walk(body)] == ["if", "call", "yield", "block", "break", "yield", "return"]


def test_callees_come_before_callers_and_what_is_not_called_does_not_come():
    module = read(TEXT)
    assert calls(module.kernels["k"].body) == {"b"}
    assert [function.name for function in reachable(module, module.kernels["k"])] == ["a", "b"]


def test_a_walk_is_not_bounded_by_recursion():
    region = Region()
    for _ in range(10_000):
        region = Region([Op("block", regions=(region,))])
    assert sum(1 for _ in walk(region)) == 10_000
