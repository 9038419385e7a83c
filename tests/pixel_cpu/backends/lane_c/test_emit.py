"""Kernels in lanes mean what the reference says."""

from __future__ import annotations

import platform

import capstone
import numpy as np
import pytest
from lane_kernels import COLLATZ, SAXPY, module, same_as_reference, saxpy_launch
from programs import Options, check_seeds, small_options

from pixel_cpu.backends.lane_c import compile_kernel, compiler, executable
from pixel_cpu.backends.lane_c.compiler import Machine, build, machine
from pixel_cpu.backends.launch import Launch


@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize(("lanes", "group"), [(0, 32), (1, 1), (100, 7), (100, 32), (1000, 100), (600, 256)])
def test_every_size_of_group_and_launch(scalar, lanes, group):
    y = np.zeros(1000, np.uint32)
    assert not same_as_reference(COLLATZ, Launch(lanes, group, {}, {"y": y}), scalar=scalar).trap


@pytest.mark.parametrize("seed", range(8))
def test_random_programs(seed):
    check_seeds(
        lambda found, name: compile_kernel(found, name, scalar=seed % 4 == 3, level="-O1"),
        [seed],
        Options(statements=50),
    )


@pytest.mark.parametrize(("part", "registers"), [(0, None), (1, 1), (2, 2), (3, 0)])
def test_small_random_programs(part, registers):
    for seed in range(1000 + 10 * part, 1010 + 10 * part):
        check_seeds(
            lambda found, name: compile_kernel(
                found, name, scalar=registers == 0, registers=registers or None, level="-O0"
            ),
            [seed],
            small_options(seed),
        )


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the processors named here are x86")
@pytest.mark.parametrize(("width", "processor"), [(4, "x86-64"), (16, "x86-64-v2")])
def test_other_widths_and_the_portable_gathers(monkeypatch, width, processor):
    monkeypatch.setattr(executable, "machine", lambda: Machine(width, 16, processor))
    flags = tuple(f"-march={processor}" if flag == "-march=native" else flag for flag in compiler.FLAGS)
    monkeypatch.setattr(compiler, "FLAGS", flags)
    check_seeds(
        lambda found, name: compile_kernel(found, name, scalar=False, level="-O1"), [500], Options(statements=50)
    )


def test_a_lane_burns_its_own_fuel():
    for fuel in (0, 1, 5, 20, 111, 112, 117, 118, 119, 1 << 40):
        outcome = same_as_reference(COLLATZ, Launch(100, 64, {}, {"y": np.zeros(100, np.uint32)}, fuel))
        assert bool(outcome.trap) == (fuel < 118), fuel


def test_the_lowest_lane_s_trap_is_told():
    outcome = same_as_reference(SAXPY, saxpy_launch(110, 100))
    assert outcome.traps == 10
    assert (outcome.trap.lane, outcome.trap.reason) == (100, "index 100 outside x[100]")


def test_prints_come_in_order_of_lane():
    text = """
kernel main(%f: f32) group 8 {
  %i = global_id : u32
  %one = const 1 : u32
  %b = and %i, %one : u32
  %odd = eq %b, %one : bool
  print "first" %i, %odd
  if %odd { print "odd" %f yield } else { yield }
  return
}
"""
    outcome = same_as_reference(text, Launch(20, 8, {"f": 0.1}))
    assert [line.text for line in outcome.printed[1:4]] == ["first 1 True", "odd 0.10000000149011612", "first 2 False"]
    short = compile_kernel(module(text), "main", level="-O1").run(Launch(20, 8, {"f": 0.1}, printed_lines=7))
    assert len(short.printed) == 7 and short.prints_dropped == 23 and short.counters is None


def test_the_host_is_called_in_order_of_lane():
    text = """
kernel main() group 4 {
  buffer @y: i16
  %i = global_id : u32
  %s = convert %i : i16
  %r = host_call "next" %s : i16
  store @y %i, %r trap
  return
}
"""
    calls = []

    def follow(lane, value):
        calls.append((lane, value))
        return [-value]

    y = np.zeros(10, np.int16)
    kernel = compile_kernel(module(text), "main", level="-O1")
    kernel.run(Launch(10, 4, {}, {"y": y}, host_functions={"next": follow}))
    assert calls == [(lane, lane) for lane in range(10)] and y.tolist() == [-lane for lane in range(10)]

    def fail(lane, value):
        del lane, value
        raise KeyError("of the host")

    with pytest.raises(KeyError, match="of the host"):
        kernel.run(Launch(10, 4, {}, {"y": y}, host_functions={"next": fail}))


@pytest.mark.skipif(machine().name not in ("avx2", "avx512"), reason="this host has no wide vectors")
def test_vector_instructions_are_there():
    kernel = compile_kernel(module(SAXPY), "main", scalar=False)
    code = build(kernel.source).read_bytes()
    decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    decoder.skipdata = True
    wide = "zmm" if machine().name == "avx512" else "ymm"
    found = {op.mnemonic for op in decoder.disasm(code[0x1000:], 0x1000) if wide in op.op_str}
    assert {"vfmadd213ps", "vfmadd231ps", "vfmadd132ps"} & found and {"vmovups", "vmovaps"} & found, found
    assert kernel.backend.startswith(f"lane-c {machine().name} ")


FROM_INSIDE = """
kernel main() {
  buffer @y: u32
  %lane = global_id : u32
  %zero = const 0 : u32
  %one = const 1 : u32
  %three = const 3 : u32
  %total = loop ^outer (%from: u32 = %zero, %rounds: u32 = %zero) : u32 {
    %stop = ge %rounds, %three : bool
    if %stop {
      break ^outer %from
    } else {
      yield
    }
    %less = add %rounds, %one : u32
    %left = loop ^inner (%i: u32 = %from) : u32 {
      %far = add %lane, %rounds : u32
      %is_far = gt %i, %far : bool
      if %is_far {
        WAY
      } else {
        yield
      }
      %more = add %i, %one : u32
      continue ^inner %more
    }
    END
  }
  store @y %lane, %total trap
  return
}
"""


@pytest.mark.parametrize("scalar", [False, True])
@pytest.mark.parametrize(
    ("way", "end"),
    [
        ("continue ^outer %i, %less", 'trap "unreachable"'),
        ("break ^inner %i", "continue ^outer %left, %less"),
        ("break ^outer %i", 'trap "unreachable"'),
    ],
)
def test_lanes_leave_an_inner_loop_one_after_another(scalar, way, end):
    text = FROM_INSIDE.replace("WAY", way).replace("END", end)
    same_as_reference(text, Launch(40, 32, {}, {"y": np.zeros(40, np.uint32)}), scalar=scalar)
