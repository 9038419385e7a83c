"""A kernel as stages: where it is cut, and what it passes on there."""

from __future__ import annotations

import numpy as np
import pytest
import z3
from lane_kernels import COLLATZ, module

from pixel_cpu.backends.launch import Launch
from pixel_cpu.backends.reference import Executor
from pixel_cpu.verify.examples import evaluate
from pixel_cpu.verify.execution import Execution, NotModelledError
from pixel_cpu.verify.world import World


def stages(text: str):
    found = module(text)
    world = World()
    return Execution(found, found.kernels["main"], world).run(), world


def test_a_loop_is_cut_into_entry_round_and_exit():
    found, _ = stages(COLLATZ)
    names = [stage.name for stage in found]
    assert names[0] == "a trap before loop 1" and names[-1] == "the end"
    assert [name for name in names if name.startswith("loop 1")] == [
        "loop 1 is entered", "loop 1 goes on", "loop 1 is left by way 1",
    ]  # fmt: skip


STRAIGHT = """
kernel main(%a: i32, %b: u32) group 1 {
  buffer @y: u32
  %zero = const 0 : u32
  %c = convert %a : u32
  %s = shl %c, %b : u32
  %low = lt %s, %b : bool
  %v = if %low : u32 {
    %d = sub %b, %s : u32
    yield %d
  } else {
    %r = rotl %s, %b : u32
    yield %r
  }
  store @y %zero, %v trap
  return
}
"""


@pytest.mark.parametrize(("a", "b"), [(0, 0), (-1, 3), (12345, 40), (7, 2**32 - 1), (-(2**31), 31)])
def test_values_are_those_of_the_reference(a, b):
    found, _ = stages(STRAIGHT)
    log = next(stage for stage in found if stage.name == "memory before the end").memories["y"]
    value = log.read(z3.BitVecVal(0, 64), ())
    model = {"input a": a & 0xFFFFFFFF, "input b": b, "length y": 1}
    y = np.zeros(1, np.uint32)
    Executor(module(STRAIGHT), "main").run(Launch(1, 1, {"a": a, "b": b}, {"y": y}))
    assert evaluate(value, model) == y[0]


@pytest.mark.parametrize("line", ["workgroup @w: u32[4]", "barrier", '%v = host_call "f" : u32'])
def test_what_has_no_formulas_is_said(line):
    with pytest.raises(NotModelledError):
        stages(f"kernel main() group 32 {{\n{line}\nreturn\n}}")
