"""From a loop to its facts, and to a program that is proved."""

from __future__ import annotations

import json

import pytest
from learn_samples import record_checksum

import pixel_cpu as px
from pixel_cpu.ir.text import write
from pixel_cpu.learn.loop_library import read_library, write_library, write_loop
from pixel_cpu.learn.mine import find_loops
from pixel_cpu.learn.prove import Prover
from pixel_cpu.learn.study import study
from qemu_bridge.trace.analysis.mining import mine


@pytest.fixture
def loop(tmp_path):
    with mine(record_checksum(tmp_path), workers=1) as found:
        (written,) = write_library(tmp_path / "library", find_loops(found))
    return written


def test_a_proved_kernel_is_the_program_of_its_loop(loop, tmp_path):
    with Prover(cache=tmp_path / "proofs") as prover:
        studied = study(loop, prover)
    assert studied.facts["class"] == "serial" and studied.facts["verdict"] == "proved"
    assert studied.facts["operations"][1] <= studied.facts["operations"][0] and studied.facts["contract"]["bounded"]
    assert json.loads(json.dumps(studied.facts)) == studied.facts
    write_loop(tmp_path / "library", studied)
    (again,) = read_library(tmp_path / "library")
    assert again.facts == studied.facts and write(again.lifted.module) == write(studied.lifted.module)
    program = px.load(tmp_path / "library" / again.name)
    assert program.kernel("batch").name == "batch"


def test_a_kernel_that_is_not_proved_is_not_the_program(loop):
    class Unsure:
        def prove(self, *programs):
            return {"verdict": "unknown", "why": "no time", "seconds": 0.0, "solvers": {}, "was_cached": False}

    studied = study(loop, Unsure())
    assert studied.facts["verdict"] == "unknown" and studied.facts["why"] == "no time"
    assert studied.lifted.module is loop.lifted.module
