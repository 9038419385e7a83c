"""Kernels as Python texts mean what the reference says."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from edge_values import SHAPES, check_atomics, check_empty, check_indexes, check_wide
from lane_kernels import COLLATZ, PARTING, REVERSE, SAXPY, SCAN, module, saxpy_launch
from programs import check_seeds, compare, small_options

from pixel_cpu.backends.launch import Launch
from pixel_cpu.backends.numba_lanes import compile_kernel
from pixel_cpu.backends.numba_lanes.source import MAX_LOOPS, source
from pixel_cpu.errors import DeviceError
from pixel_cpu.ir.types import Type


@pytest.fixture(autouse=True)
def fast_compiler(monkeypatch):
    """Machine code that is made quickly instead of being quick."""
    monkeypatch.setattr(numba.config, "OPT", numba.core.config._OptLevel("0"))


@pytest.mark.parametrize(("lanes", "group"), [(0, 32), (1, 1), (100, 7), (600, 256)])
def test_every_size_of_group_and_launch(lanes, group):
    assert not compare(compile_kernel, module(COLLATZ), Launch(lanes, group, {}, {"y": np.zeros(1000, np.uint32)})).trap
    x = np.arange(1000, dtype=np.uint32)
    compare(compile_kernel, module(REVERSE), Launch(lanes, group, {}, {"x": x, "y": np.zeros(1000, np.uint32)}))


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed):
    check_seeds(compile_kernel, [seed], small_options(seed))


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        (Type.BOOL, "varying"),
        (Type.U64, "linear"),
        *(
            pytest.param(kind, shape, marks=pytest.mark.long)
            for kind in (Type.I8, Type.U16, Type.F32)
            for shape in SHAPES
        ),
    ],
)
def test_each_index_and_bound(kind, shape):
    check_indexes(compile_kernel, kind, shape)


def test_an_empty_memory():
    check_empty(compile_kernel)


@pytest.mark.parametrize("kind", ["i16", "u32", "f64"])
def test_bytes_are_read_and_written_as_wider_types_at_any_alignment(kind):
    check_wide(compile_kernel, kind)


@pytest.mark.parametrize("space", ["buffer", "workgroup"])
@pytest.mark.parametrize("kind", ["i32", "u64"])
def test_atomics(space, kind):
    check_atomics(compile_kernel, space, kind)


def test_loops_around_barriers():
    for lanes, group, steps, fuel in ((256, 64, 6, 100), (100, 100, 7, 100), (100, 32, 5, 3), (20, 8, 0, 0)):
        buffers = {"x": np.arange(256, dtype=np.uint32), "y": np.zeros(256, np.uint32)}
        outcome = compare(compile_kernel, module(SCAN), Launch(lanes, group, {"steps": steps}, buffers, fuel))
        assert bool(outcome.trap) == (fuel < steps)


def test_lanes_that_trapped_are_not_waited_for():
    x = np.arange(90, dtype=np.uint32)
    outcome = compare(compile_kernel, module(REVERSE), Launch(100, 32, {}, {"x": x, "y": np.zeros(100, np.uint32)}))
    assert outcome.traps == 10


def test_lanes_leave_a_block_one_by_one_after_its_last_barrier():
    launch = Launch(50, 16, {}, {"x": np.arange(50, dtype=np.uint32), "y": np.zeros(50, np.uint32)})
    compare(compile_kernel, module(PARTING), launch)


def test_a_lane_burns_its_own_fuel():
    for fuel in (0, 1, 111, 112, 117, 118, 1 << 40):
        outcome = compare(compile_kernel, module(COLLATZ), Launch(100, 64, {}, {"y": np.zeros(100, np.uint32)}, fuel))
        assert bool(outcome.trap) == (fuel < 118), fuel


def test_the_lowest_lane_s_trap_is_told():
    outcome = compare(compile_kernel, module(SAXPY), saxpy_launch(110, 100))
    assert (outcome.traps, outcome.trap.lane, outcome.trap.reason) == (10, 100, "index 100 outside x[100]")


CONSTANT_WAYS = """
kernel main() group 8 {{
  buffer @x: u32 read
  buffer @y: u32
  %i = global_id : u32
  %seven = const 7 : u32
  %eight = const 8 : u32
  %chosen = const {chosen} : bool
  %r = {head} : u32 {{
    {first}
    block ^around {{
      %a = load @x %i trap : u32
      yield
    }}
    {last}
  }}
  store @y %i, %r trap
  return
}}
"""
BRANCH = "if %chosen {{\nyield\n}} else {{\n{leave}\n}}"


@pytest.mark.parametrize("chosen", ["true", "false"])
@pytest.mark.parametrize("leave", ["break ^out %seven", "return", pytest.param("trap", marks=pytest.mark.long)])
@pytest.mark.parametrize("is_first", [False, True])
@pytest.mark.parametrize(
    ("head", "end"),
    [("block ^out", "yield %eight"), ("loop ^out ()", "continue ^out"), ("loop ^out ()", "break ^out %eight")],
)
def test_ways_that_a_constant_closes(head, end, is_first, leave, chosen):
    branch = BRANCH.format(leave=leave)
    first, last = (branch, end) if is_first else ("", f"{branch}\n{end}")
    text = CONSTANT_WAYS.format(chosen=chosen, head=head, first=first, last=last)
    buffers = {"x": np.arange(5, dtype=np.uint32), "y": np.zeros(8, np.uint32)}
    compare(compile_kernel, module(text), Launch(8, 8, {}, buffers, fuel=5))


def nested(count: int) -> str:
    heads = "".join(f"block ^L{place} {{\n" for place in range(count))
    # The innermost leaves for the outermost, over all that are between.
    return (
        f"kernel main() group 1 {{\nbuffer @y: u32\n%i = global_id : u32\n{heads}break ^L0\n}}\n"
        + "trap\n}\n" * (count - 1)
        + "store @y %i, %i trap\nreturn\n}"
    )


def test_a_way_out_of_many_loops():
    compare(compile_kernel, module(nested(MAX_LOOPS - 2)), Launch(3, 1, {}, {"y": np.zeros(3, np.uint32)}))


def test_what_nests_too_deep_is_refused_by_name():
    with pytest.raises(DeviceError, match="block is nested too deep for the numba device"):
        compile_kernel(module(nested(MAX_LOOPS - 1)), "main")
    deep = "kernel main(%c: bool) {\n" + "if %c {\n" * 100 + "yield\n} else {\nyield\n}\n" * 100 + "return\n}"
    with pytest.raises(DeviceError, match="if is nested too deep"):
        compile_kernel(module(deep), "main")


def test_nothing_that_a_program_says_is_python():
    text = """
kernel main(%os: u32) group 1 {
  buffer @__import__: u32
  print "\\"); import os; (\\"" %os
  store @__import__ %os, %os trap
  trap "'''"
}
"""
    found, _ = source(module(text).kernels["main"])
    assert "import os" not in found and "__import__" not in found and "'''" not in found
