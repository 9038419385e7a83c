"""Control flow as WGSL: multi-level exits, functions, barriers, deep nesting, random programs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from programs import EXACT_FLOAT, NO_FLOATS, NO_WIDE, Case, Options, check_seeds, compare, random_case

from pixel_cpu.backends.launch import Executable, Launch, Outcome
from pixel_cpu.backends.wgsl.executable import compile_kernel
from pixel_cpu.errors import DeviceError
from pixel_cpu.ir.model import Module
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify

BOTH = pytest.mark.parametrize("machine", [False, True])


def run_both(source: str, launch: Launch, **options: object) -> Outcome:
    return compare(lambda module, name: compile_kernel(module, name, **options), verify(read(source)), launch, "main")


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


def nested(depth: int) -> str:
    """A program with so many regions inside each other."""
    head = "kernel main() group 8 {\n  buffer @out: u32\n  %lane = global_id : u32\n  %v0 = const 0 : u32\n"
    head += "  %one = const 1 : u32\n"
    body = "  %done = add %lane, %one : u32\n  store @out %lane, %done trap\n  break ^b0\n"
    for level in reversed(range(1, depth)):
        name = f"%c{level}"
        body = (
            f"  %k{level} = const {level} : u32\n  {name} = gt %lane, %k{level} : bool\n  if {name} {{\n{body}"
            f"  }} else {{\n  store @out %lane, %k{level} trap\n  yield\n  }}\n  yield\n"
        )
    return f"{head}  block ^b0 {{\n{body}  }}\n  return\n}}\n"


@pytest.mark.parametrize("depth", [40, 90])
def test_deep_nesting(depth):
    source = nested(depth)
    run_both(source, Launch(180, 8, {}, {"out": np.zeros(180, np.uint32)}))
    strategy = compile_kernel(verify(read(source)), "main").shader(8).strategy
    assert strategy == ("machine" if depth > 60 else "structured")


def many_loads(count: int) -> str:
    """A program with so many accesses."""
    lines = ["kernel main() group 8 {", "buffer @x: u32", "buffer @out: u32", "%lane = global_id : u32"]
    total = "%lane"
    for number in range(count):
        lines += [f"%i{number} = const {number} : u32", f"%l{number} = load @x %i{number} trap : u32"]
        lines.append(f"%s{number} = add {total}, %l{number} : u32")
        total = f"%s{number}"
    return "\n".join([*lines, f"store @out %lane, {total} trap", "return", "}", ""])


def test_many_accesses_go_through_one_place():
    source = many_loads(150)
    launch = Launch(150, 8, {}, {"x": np.arange(140, dtype=np.uint32), "out": np.zeros(150, np.uint32)})
    run_both(source, launch)
    shader = compile_kernel(verify(read(source)), "main").shader(8)
    assert shader.strategy == "machine"
    assert shader.text.count("gb_m0_load_u32(") == 2  # its definition and the one place


def test_names_of_a_program_never_become_text():
    source = EXITS.replace("@f", "@workgroup_size").replace("function f", "function workgroup_size")
    text = compile_kernel(verify(read(source)), "main").shader(8).text
    assert "fn workgroup_size" not in text


def test_f64_in_pairs_mode_is_refused():
    source = "kernel main(%x: f64) group 8 {\n  return\n}\n"
    with pytest.raises(DeviceError, match="f64"):
        compile_kernel(verify(read(source)), "main", pairs=True)


FLOATS = tuple(name for name in EXACT_FLOAT if name != "fma")
"""WGSL's fma may round twice."""
SMALL = {"statements": 15, "host_calls": False, "float_operations": FLOATS}


def without_wide_atomics(case: Case) -> bool:
    """Whether a program in pairs mode asks for nothing that 64-bit words would be needed for."""
    try:
        compile_kernel(case.module, "main", pairs=True)
    except DeviceError:
        return False
    return True


def make(**options: object) -> object:
    def build(module: Module, name: str) -> Executable:
        return compile_kernel(module, name, **options)

    return build


@pytest.mark.parametrize(
    ("options", "seeds", "pairs", "machine"),
    [
        (replace(NO_WIDE, **SMALL), range(2), True, None),
        (replace(Options(), **SMALL), range(10, 12), False, None),
        (replace(NO_FLOATS, **SMALL), range(20, 22), False, True),
    ],
)
def test_random_programs_give_what_the_reference_gives(options, seeds, pairs, machine):
    check_seeds(make(pairs=pairs, machine=machine), seeds, options, shrink=False)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("machine", [None, True])
@pytest.mark.parametrize("pairs", [False, True])
def test_many_random_programs(machine, pairs):
    options = replace(NO_FLOATS if pairs else Options(), **SMALL)
    seeds = range(1000, 1400)
    if pairs:
        seeds = [seed for seed in seeds if without_wide_atomics(random_case(seed, options))]
    check_seeds(make(pairs=pairs, machine=machine), seeds, options)
