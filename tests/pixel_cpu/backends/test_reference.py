"""The reference executor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from programs import Options, check_seeds, compare, copy_of, random_case, small_options
from scalar import Interpreter

from pixel_cpu.backends import reference
from pixel_cpu.backends.launch import Launch, check
from pixel_cpu.backends.reference import Executor
from pixel_cpu.errors import LaunchError
from pixel_cpu.ir.text import read
from pixel_cpu.ir.types import Type
from pixel_cpu.ir.verifier import verify


def test_a_seed_names_one_program():
    first, second = random_case(7), random_case(7)
    assert first.text == second.text
    for name, array in first.launch.buffers.items():
        assert array.tobytes() == second.launch.buffers[name].tobytes()


def test_the_reference_gives_the_same_twice():
    for seed in range(8):
        case = random_case(seed)
        compare(Executor, case.module, case.launch)


class WrongRotation(Executor):
    """An executor whose rotation turns one bit too far."""

    def run(self, launch):
        right = reference.evaluate

        def wrong(name, operands, *others):
            if name == "rotl":
                operands = [operands[0], operands[1] + np.ones_like(operands[1])]
            return right(name, operands, *others)

        reference.evaluate = wrong
        try:
            return super().run(launch)
        finally:
            reference.evaluate = right


def test_a_wrong_back_end_is_found_and_shown_by_a_small_program():
    with pytest.raises(AssertionError) as caught:
        check_seeds(WrongRotation, range(100))
    text = str(caught.value)
    assert "rotl" in text
    assert text.count("\n") < 60


# Against the scalar interpreter


def test_random_programs_do_what_lanes_one_at_a_time_do():
    check_seeds(Interpreter, range(30), Options(lanes=16))
    for seed in range(1000, 1200):
        check_seeds(Interpreter, [seed], replace(small_options(seed), lanes=16))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_random_programs_do_what_lanes_one_at_a_time_do():
    check_seeds(Interpreter, range(200_000, 205_000), Options(lanes=24))


def test_counters_count_what_lanes_one_at_a_time_do():
    for seed in range(20):
        case = random_case(seed, Options(lanes=16))
        found = Executor(case.module, case.kernel).run(copy_of(case.launch)).counters
        wanted = Interpreter(case.module, case.kernel).run(copy_of(case.launch)).counters
        # An interpreter of one lane sees no branches of groups.
        assert replace(found, branches=0, divergent=0) == wanted, case.text


# By hand


def run(body: str, lanes: int, group: int = 4, fuel: int = 100, **buffers):
    module = verify(read(f"kernel main() group {group} {{\n buffer @x: u32\n %g = global_id : u32\n{body}\n}}"))
    arrays = {"x": np.zeros(lanes, np.uint32)} | buffers
    launch = check(module.kernels["main"], Launch(lanes, group, {}, arrays, fuel))
    outcome = Executor(module, "main").run(launch)
    return arrays["x"].tolist(), outcome


def test_the_trap_is_that_of_the_lowest_lane_and_the_others_go_on():
    x, outcome = run(
        """%two = const 2 : u32
        %h = mul %g, %two : u32 !7
        store @x %h, %g trap !8
        return""",
        lanes=6,
    )
    assert x == [0, 0, 1, 0, 2, 0]
    assert (outcome.trap.lane, outcome.trap.reason, outcome.trap.line) == (3, "index 6 outside x[6]", 8)
    assert outcome.traps == 3


@pytest.mark.parametrize(("fuel", "turns"), [(0, 0), (1, 1), (5, 5)])
def test_fuel_is_exact(fuel, turns):
    x, outcome = run(
        """%zero = const 0 : u32
        %one = const 1 : u32
        loop ^a (%i: u32 = %zero) {
          store @x %g, %i trap
          %next = add %i, %one : u32
          continue ^a %next !9
        }
        return""",
        lanes=3,
        fuel=fuel,
    )
    assert x == [turns] * 3
    assert (outcome.trap.lane, outcome.trap.reason, outcome.trap.line) == (0, "out of fuel", 9)
    assert outcome.traps == 3


def test_branches_are_counted_by_group():
    _, outcome = run(
        """%five = const 5 : u32
        %c = lt %g, %five : bool
        if %c {
          yield
        } else {
          yield
        }
        return""",
        lanes=12,
    )
    assert (outcome.counters.branches, outcome.counters.divergent) == (3, 1)


def test_a_last_group_may_be_smaller_and_barriers_do_not_wait_for_it():
    x, outcome = run(
        """barrier
        %n = group_count : u32
        store @x %g, %n trap
        return""",
        lanes=9,
    )
    assert x == [3] * 9
    assert outcome.counters.barriers == 3


def test_no_lanes_are_a_launch():
    assert run("return", lanes=0)[1].trap is None


def test_clamped_accesses_outside():
    x, outcome = run(
        """%m = const -5 : i32
        %big = const 9000000000000000000 : u64
        %first = load @x %m clamp : u32
        %last = load @x %big clamp : u32
        store @x %big, %last clamp
        store @x %m, %last clamp
        %old = atomic_add @x %big, %last clamp : u32
        %sum = sub %last, %first : u32
        %both = add %sum, %old : u32
        store @x %g, %both trap
        return""",
        lanes=3,
        x=np.array([10, 20, 35], np.uint32),
    )
    assert x == [25, 25, 25]
    assert outcome.trap is None


def test_a_host_function_that_is_missing_is_named():
    with pytest.raises(LaunchError, match="host's 'ask'"):
        run('host_call "ask" %g\nreturn', lanes=1)


def test_a_million_lanes_trap_in_time():
    _, outcome = run('trap "no"', lanes=1_000_000, group=64)
    assert outcome.traps == 1_000_000
    _, outcome = run("%far = const 4000000000 : u32\nstore @x %far, %g trap\nreturn", lanes=200_000, group=64)
    assert (outcome.traps, outcome.trap.lane) == (200_000, 0)


def test_operations_are_counted_by_name_and_type_over_launches():
    text = """
kernel k() {
  buffer @y: f32
  %i = global_id : u32
  %three = const 3 : u32
  %few = lt %i, %three : bool
  %f = convert %i : f32
  if %few {
    %s = add %f, %f : f32
    store @y %i, %s trap
    yield
  } else { yield }
  return
}
"""
    executor = Executor(verify(read(text)), "k")
    for _ in range(2):
        executor.run(Launch(10, 4, {}, {"y": np.zeros(10, np.float32)}))
    assert executor.executed["add", Type.F32] == 6 and executor.executed["lt", Type.BOOL] == 20
