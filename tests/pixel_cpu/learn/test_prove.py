"""Proofs of kernels: what is the same is proved, planted faults never are, what takes too long is given up, verdicts are kept."""

from __future__ import annotations

import random

import pytest
from compiled_loops import CLASSES, compiled_loop
from learned_loops import learned
from mutants import mutant
from planted_faults import plant
from x86_loops import CRC32

from pixel_cpu.frontends.x86 import lift
from pixel_cpu.frontends.x86.registers import GENERAL
from pixel_cpu.ir.model import Module
from pixel_cpu.ir.verifier import verify
from pixel_cpu.learn.clean import clean
from pixel_cpu.learn.prove import Prover, entry_of, prove
from pixel_cpu.verify.examples import differ, random_examples
from pixel_cpu.verify.findings import Verdict

FAULTS = 12


def function(loop):
    return lift(loop, live_at=lambda _: GENERAL).module.functions["loop"]


@pytest.mark.parametrize("name", CLASSES)
def test_a_cleaned_kernel_is_proved(name):
    lifted = function(compiled_loop(name, "-O1"))
    kernel, kept = clean(lifted)
    assert prove(entry_of(lifted), entry_of(kernel), kept).verdict is Verdict.PROVED


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["xor", "table checksum", "prefix sum"])
def test_no_kernel_with_a_fault_that_shows_is_proved(name):
    lifted = function(compiled_loop(name, "-O1"))
    kernel, kept = clean(lifted)
    chance = random.Random(name)
    first, shown = entry_of(lifted), 0
    for _ in range(FAULTS):
        changed, said = mutant(verify(Module({}, {"loop": kernel})), chance)
        try:
            second = entry_of(changed.functions["loop"])
            finding = prove(first, second, kept, limit_s=5)
        except ValueError:  # other loops or other results
            continue
        if finding.verdict is Verdict.REFUTED:
            assert finding.example is not None and differ((first, "entry"), (second, "entry"), finding.example)
            shown += 1
        elif finding.verdict is Verdict.PROVED:
            launches = random_examples(first.kernels["entry"])
            assert not any(differ((first, "entry"), (second, "entry"), each) for each in launches), said
    assert shown


def test_a_verdict_is_kept_until_a_program_changes(tmp_path):
    lifted = function(CRC32)
    kernel, kept = clean(lifted)
    with Prover(cache=tmp_path) as prover:
        first, again = (prover.prove(lifted, kernel, kept) for _ in range(2))
        other = prover.prove(lifted, lifted, {})
    assert first["verdict"] == "proved" and (first["was_cached"], again["was_cached"], other["was_cached"]) == (
        False,
        True,
        False,
    )
    assert {**first, "was_cached": True} == again and len(list(tmp_path.iterdir())) == 2


def test_a_proof_that_takes_too_long_is_given_up(tmp_path):
    lifted = function(CRC32)
    with Prover(limit_s=-1, cache=tmp_path) as prover:
        assert prover.prove(lifted, lifted, {})["why"] == "it takes more than -1 s"


def test_a_prover_that_dies_is_said_and_followed_by_another(tmp_path):
    lifted = function(CRC32)
    kernel, kept = clean(lifted)
    with Prover(cache=tmp_path / "none") as prover:
        dead = prover._ask("no task")
        assert dead["verdict"] == "unknown" and dead["why"].startswith("the prover ended")
        assert prover.prove(lifted, kernel, kept)["verdict"] == "proved"


def test_faults_in_a_loop_of_a_library_are_not_proved():
    said = plant([learned(CRC32)], 4, 1.0)
    assert said["refuted"] and said.total() == 4
