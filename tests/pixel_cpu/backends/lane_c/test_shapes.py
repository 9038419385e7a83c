"""How values differ between lanes in step."""

from lane_kernels import COLLATZ, module

from pixel_cpu.backends.lane_c.shapes import Shapes
from pixel_cpu.ir.model import walk
from pixel_cpu.ir.uniformity import Shape


def shapes_of(text: str) -> dict[str, Shape]:
    kernel = module(text).kernels["main"]
    found = Shapes(kernel)
    values = [value for op in walk(kernel.body) for value in op.results]
    values += [value for op in walk(kernel.body) for region in op.regions for value in region.parameters]
    return {value.name: found.shape(value) for value in values}


def test_a_counter_stays_uniform_though_lanes_leave():
    found = shapes_of(COLLATZ)
    assert found["k"] is Shape.UNIFORM and found["v"] is Shape.VARYING and found["n"] is Shape.VARYING
    assert found["i"] is Shape.LINEAR


def test_a_counter_from_two_places_varies():
    text = """
kernel main() group 32 {
  %i = global_id : u32
  %zero = const 0 : u32
  %one = const 1 : u32
  loop ^L (%k: u32 = %zero) {
    %a = add %k, %one : u32
    %c = lt %i, %k : bool
    if %c { continue ^L %k } else { yield }
    %d = eq %i, %a : bool
    if %d { break ^L } else { yield }
    continue ^L %a
  }
  return
}
"""
    assert shapes_of(text)["k"] is Shape.VARYING


def test_uniform_and_linear_make_neither():
    text = """
kernel main(%u: bool) group 32 {
  %i = global_id : u32
  %zero = const 0 : u32
  %mixed = if %u : u32 { yield %i } else { yield %zero }
  %line = if %u : u32 { yield %i } else { yield %i }
  return
}
"""
    found = shapes_of(text)
    assert found["mixed"] is Shape.VARYING and found["line"] is Shape.LINEAR
