"""Kernels whose functions stay functions of C: which ones, and that they do what the reference does."""

import numpy as np
import pytest

from pixel_cpu.backends.lane_c import compile_kernel, is_there, load_prepared, prepare
from pixel_cpu.backends.lane_c.executable import NOT_COMPILED
from pixel_cpu.backends.lane_c.separate import LEAST_REGIONS, is_separate
from pixel_cpu.backends.launch import Launch
from pixel_cpu.backends.reference import Executor
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify

LANES = 40


def program(regions: int = LEAST_REGIONS, extra: str = ""):
    """A machine whose region n adds n and goes on with the next; the one before the last divides its lanes, the last one leaves."""
    parts = []
    for number in range(regions - 1):
        parts.append(f"""{"}" if number else ""} case {number} {{
      %n{number} = const {number} : u32
      %s{number} = call @step %sum, %n{number} : u32
      %p{number} = const {number + 1} : i32
      continue ^again %p{number}, %s{number}""")
    return verify(
        read(f"""
function step(%a: u32, %b: u32) -> u32 {{
  buffer @out: u32
  %i = global_id : u32
  %old = load @out %i trap : u32
  %c = add %a, %b : u32
  %d = add %c, %old : u32
  return %d
}}
kernel run(%start: i32) group 32 {{
  buffer @out: u32
  %zero = const 0 : u32
  %total = loop ^again (%part: i32 = %start, %sum: u32 = %zero) : u32 {{
    switch %part {" ".join(parts)}
      }} default {{
        break ^again %sum
    }}
    trap "unreachable"
  }}
  %i = global_id : u32
  {extra}
  store @out %i, %total trap
  return
}}""")
    )


def test_a_machine_is_separate_and_what_needs_its_calls_in_place_is_not():
    assert is_separate(program(), program().kernels["run"])
    few = program(4)
    assert not is_separate(few, few.kernels["run"])
    printing = program(extra='print "sum" %total')
    assert not is_separate(printing, printing.kernels["run"])


@pytest.mark.parametrize("fuel", [1 << 20, 5])
def test_it_gives_what_the_reference_gives_and_every_trap(fuel):
    module = program()
    found = []
    for made in (compile_kernel(module, "run", level="-O0"), Executor(module, "run")):
        out = np.arange(LANES - 3, dtype=np.uint32)
        launch = Launch(LANES, 32, {"start": 2}, {"out": out}, fuel, wants_traps=True)
        outcome = made.run(launch)
        found.append((out.tolist(), outcome.trap, outcome.traps, outcome.every_trap))
    assert found[0] == found[1]
    assert found[0][2] == (3 if fuel > 5 else LANES) == len(found[0][3])


def test_a_lane_ends_before_a_region_that_is_left_out_until_it_is_added():
    module = program()
    first = prepare(module, "run", {2, 3, 4}, level="-O0")
    for start, reason in ((2, NOT_COMPILED), (0, NOT_COMPILED), (4, NOT_COMPILED), (LEAST_REGIONS - 1, "")):
        outcome = load_prepared(first).run(Launch(8, 32, {"start": start}, {"out": np.ones(8, np.uint32)}))
        assert outcome.traps == (8 if reason else 0) and (not reason or outcome.trap.reason == reason)
    rest = set(range(LEAST_REGIONS)) - {2, 3, 4}
    whole = prepare(module, "run", rest, first, level="-O0")
    out = np.ones(8, np.uint32)
    assert not load_prepared(whole).run(Launch(8, 32, {"start": 0}, {"out": out})).traps
    # The numbers of all regions but the last, and what each adds from `out`.
    assert out.tolist() == [sum(range(LEAST_REGIONS - 1)) + LEAST_REGIONS - 1] * 8


def test_what_was_prepared_is_loaded_by_another_process_until_its_library_goes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    module = program()
    assert prepare(program(4), "run") is None
    prepared = prepare(module, "run", level="-O0")
    assert is_there(prepared)
    out = np.ones(8, np.uint32)
    load_prepared(prepared).run(Launch(8, 32, {"start": LEAST_REGIONS - 2}, {"out": out}))
    assert out.tolist() == [LEAST_REGIONS - 1] * 8
    for library in tmp_path.rglob("*.so"):
        library.unlink()
    assert not is_there(prepared)
