"""Back ends beside each other: many random programs give the same bits on each."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import agreement
import pytest
from agreement import check_range, options_of
from programs import random_case

from pixel_cpu.backends.reference import Executor
from pixel_cpu.ir.types import Type

PROGRAMS = 20_000
AS_SHIPPED = 20
"""One in so many programs is optimised as users get it, which takes lane C six times as long."""
PARTS = 10


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(PARTS))
def test_many_random_programs_agree(part, tmp_path):
    count = PROGRAMS // PARTS
    first, shipped = part * count, count // AS_SHIPPED
    run_range(tmp_path, str(first), str(count - shipped))
    run_range(tmp_path, str(first + count - shipped), str(shipped), "--as-shipped")


def run_range(folder, *options):
    """Run a range in a process of its own, which says how its drivers compile; its kernels are of use to nobody else."""
    script = Path(agreement.__file__)
    path = os.pathsep.join((str(script.parents[1]), str(script.parent), os.environ.get("PYTHONPATH", "")))
    found = subprocess.run(
        [sys.executable, str(script), *options],
        env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
    )
    print(found.stdout)
    assert not found.returncode, found.stdout + found.stderr


class Wrong(Executor):
    """An executor whose first bool is the other one."""

    def run(self, launch):
        outcome = super().run(launch)
        launch.buffers["out_bool"][:1] ^= True
        return outcome


def test_a_back_end_that_differs_is_told_with_its_program(monkeypatch):
    monkeypatch.setattr(agreement, "compile_kernels", lambda kernels, **_: [Wrong(*each) for each in kernels])
    tally = check_range(range(3, 5), wgsl_every=1000, numba_every=1000)
    assert tally.programs == {"reference": 2, "lane C": 2, "WGSL": 0, "Numba": 0}
    assert len(tally.failures) == 2 and "2 failed" in str(tally)
    assert tally.failures[0].startswith("seed 3 on lane C: AssertionError: out_bool[0] is ")
    assert "; seed 3: 1 lanes" in tally.failures[0] and tally.failures[0].count("\n") < 60


def test_a_program_that_fails_only_beside_others_is_told_whole(monkeypatch):
    def together(kernels, **_):
        kernels = list(kernels)
        return [(Wrong if len(kernels) > 1 else Executor)(*each) for each in kernels]

    monkeypatch.setattr(agreement, "compile_kernels", together)
    tally = check_range(range(3, 5), wgsl_every=1000, numba_every=1000)
    assert "only beside others" in tally.failures[0] and random_case(3, options_of(3)).text in tally.failures[0]


def test_programs_differ_in_types_and_size():
    cases = [random_case(seed, options_of(seed)) for seed in range(40)]
    assert len({case.text for case in cases}) == 40
    assert {kind for seed in range(40) for kind in options_of(seed).kinds} == set(Type)
