"""Kernels whose functions stay functions of C: which ones, and that they do what the reference does."""

import numpy as np
import pytest
from part_machines import program

from pixel_cpu.backends.lane_c import compile_kernel
from pixel_cpu.backends.lane_c.executable import compile_kernels
from pixel_cpu.backends.lane_c.separate import LEAST_REGIONS, is_separate
from pixel_cpu.backends.launch import Launch
from pixel_cpu.backends.reference import Executor

LANES = 40


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


def test_machines_compiled_together_are_what_they_are_alone():
    modules = [program(), program(LEAST_REGIONS + 1)]
    for module, made in zip(modules, compile_kernels([(each, "run") for each in modules], level="-O0"), strict=True):
        found, alone = (np.arange(LANES, dtype=np.uint32) for _ in range(2))
        made.run(Launch(LANES, 32, {"start": 2}, {"out": found}, 1 << 20))
        Executor(module, "run").run(Launch(LANES, 32, {"start": 2}, {"out": alone}, 1 << 20))
        assert found.tolist() == alone.tolist()
