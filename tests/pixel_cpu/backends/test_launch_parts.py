"""A launch in parts is the launch: every lane runs once, whatever the cuts."""

import os
import random
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from programs import EXACT_FLOAT, Options, check_seeds

import pixel_cpu
from pixel_cpu.backends import reference, wgsl
from pixel_cpu.backends.lane_c import compile_kernel
from pixel_cpu.backends.launch import Launch, Part, check, joined
from pixel_cpu.backends.numba_lanes import compile_kernel as compile_numba
from pixel_cpu.errors import LaunchError
from pixel_cpu.ir.text import read
from pixel_cpu.ir.verifier import verify


class InParts:
    """A kernel whose launches are cut at random lanes, within groups too; a line is printed once, as the lanes' lines are few."""

    def __init__(self, executable, seed=1):
        self.executable, self.backend, self.chance = executable, executable.backend, random.Random(seed)

    def run(self, launch):
        found, first = None, 0
        while first is not None:
            last = self.chance.choice([None, first + self.chance.randint(1, max(launch.lanes // 2, 1))])
            outcome = self.executable.run(replace(launch, part=Part(first, last)))
            assert outcome.next_lane is None or outcome.next_lane >= last
            found, first = joined(found, outcome) if found else outcome, outcome.next_lane
        return found


PORTABLE = Options(statements=8, host_calls=False, float_operations=tuple(n for n in EXACT_FLOAT if n != "fma"))


@pytest.mark.parametrize("scalar", [True, False])
def test_random_programs_in_parts_give_the_same_on_lane_c(scalar):
    make = lambda module, kernel: InParts(compile_kernel(module, kernel, scalar=scalar, level="-O0"))  # noqa: E731
    check_seeds(make, range(20 * scalar, 20 * scalar + 6), PORTABLE, shrink=False)


def test_random_programs_in_parts_give_the_same_on_the_reference_and_numba():
    check_seeds(lambda *given: InParts(reference.Executor(*given)), range(15), PORTABLE, shrink=False)
    check_seeds(lambda *given: InParts(compile_numba(*given)), range(1), PORTABLE, shrink=False)


def test_random_programs_in_parts_give_the_same_on_wgsl():
    check_seeds(lambda *given: InParts(wgsl.compile_kernel(*given)), range(3), PORTABLE, shrink=False)


COUNT = """
kernel count(%rounds: u32) group 32 {
  buffer @y: u32
  %i = global_id : u32
  %zero = const 0 : u32
  %one = const 1 : u32
  %n = loop ^again (%k: u32 = %zero) : u32 {
    %more = lt %k, %rounds : bool
    if %more {
      yield
    } else {
      break ^again %k
    }
    %next = add %k, %one : u32
    continue ^again %next
  }
  %v = load @y %i trap : u32
  %w = add %v, %one : u32
  %a = add %w, %n : u32
  %b = sub %a, %n : u32
  store @y %i, %b trap
  return
}
"""


@pytest.fixture(scope="module")
def count():
    module = verify(read(COUNT))
    return module, compile_kernel(module, "count")


def launch_of(module, lanes, rounds, part):
    y = np.zeros(lanes, np.uint32)
    return y, check(module.kernels["count"], Launch(lanes, 32, {"rounds": rounds}, {"y": y}, part=part))


def test_a_stopped_launch_has_run_all_lanes_before_its_next_one_and_none_behind(count):
    module, kernel = count
    stop = np.zeros(1, np.uint32)
    y, launch = launch_of(module, 1 << 22, 2000, Part(stop=stop))
    began = threading.Event()

    def end():
        began.wait()
        time.sleep(0.02)
        stop[0] = 1

    thread = threading.Thread(target=end)
    thread.start()
    began.set()
    outcome = kernel.run(launch)
    thread.join()
    assert outcome.next_lane is not None and 0 < outcome.next_lane < 1 << 22
    assert (y[: outcome.next_lane] == 1).all() and not y[outcome.next_lane :].any()
    # With the word still set each run makes some way.
    launch.part.first = before = outcome.next_lane
    outcome = kernel.run(launch)
    assert outcome.next_lane > before and (y[: outcome.next_lane] == 1).all()
    assert not y[outcome.next_lane :].any()


def test_a_budget_ends_a_run_soon_and_the_parts_together_are_the_launch(count):
    module, kernel = count
    rounds = 200
    y, launch = launch_of(module, 1 << 20, rounds, Part())
    whole_ns = 1 << 60
    for _ in range(5):  # the least: on a busy host one alone may take many times as long as the parts do later
        began = time.perf_counter_ns()
        kernel.run(launch)
        whole_ns = min(whole_ns, time.perf_counter_ns() - began)
    y, launch = launch_of(module, 1 << 20, rounds, Part(budget_ns=whole_ns // 10))
    runs = 0
    while True:
        outcome = kernel.run(launch)
        runs += 1
        if outcome.next_lane is None:
            break
        assert outcome.next_lane > launch.part.first
        launch.part.first = outcome.next_lane
    assert runs > 2 and (y == 1).all()


def test_a_device_runs_parts_in_its_process_and_is_stopped_from_here(count):
    module, _ = count
    with pixel_cpu.Device("cpu") as device:
        y, stop = device.zeros(1 << 20, "u4"), device.zeros(1, "u4")
        stop[0] = 1
        first, runs = 0, 0
        while first is not None:
            launch = check(
                module.kernels["count"], Launch(1 << 20, 32, {"rounds": 50}, {"y": y}, part=Part(first, stop=stop))
            )
            if runs % 2:
                pending = device.begin(module, "count", launch)
                outcome = pending.finish()
            else:
                outcome = device.run(module, "count", launch)
            first, runs = outcome.next_lane, runs + 1
            if runs == 4:
                stop[0] = 0
        assert runs >= 5 and (y == 1).all()


def test_a_device_is_asked_without_waiting(count):
    module, _ = count
    with pixel_cpu.Device("cpu") as device:
        pending = device.begin_prepare(module, "count", 32)
        assert pending.finish() is None and device.begin_prepare(module, "count", 32) is None
        with pytest.raises(LaunchError, match="not in the device's memory"):
            _, launch = launch_of(module, 32, 1, None)
            device.begin(module, "count", launch)


def test_memory_of_others_is_seen_in_place_and_not_counted(count):
    module, _ = count
    descriptor = os.memfd_create("other")
    os.ftruncate(descriptor, 8192)
    with pixel_cpu.Device("cpu") as device:
        region = device.adopt(descriptor, 8192)
        os.close(descriptor)
        y = region[100:4196].view("u4")
        launch = check(module.kernels["count"], Launch(1024, 32, {"rounds": 1}, {"y": y}))
        device.run(module, "count", launch)
        assert (y == 1).all() and not region[:100].any() and not region[4196:].any()
        assert device.ledger.bytes == 0 and device._place_of(y) == "shared"


def test_a_part_begins_within_its_launch(count):
    module, _ = count
    with pytest.raises(LaunchError, match="0 to 64, not 65"):
        launch_of(module, 64, 1, Part(65))
