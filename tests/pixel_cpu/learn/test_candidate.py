"""Candidates: a guard that reads beyond memory, too few rounds left, and wrong rounds are not proved."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compiled_loops import compiled_loop
from learned_loops import learned

from pixel_cpu.ir.types import Type
from pixel_cpu.learn.candidate import Frame, prove_candidate
from pixel_cpu.learn.prove import Prover
from pixel_cpu.learn.words import find_words


@pytest.fixture(scope="module")
def frame():
    loop = learned(compiled_loop("find", "-O1"))
    return Frame(loop, loop.lifted.module.functions["loop"])


@pytest.fixture(scope="module")
def prover(tmp_path_factory):
    with Prover(limit_s=8, cache=tmp_path_factory.mktemp("proofs")) as opened:
        yield opened


def always(emit, *given):
    return emit.const(Type.BOOL, 1)


def test_a_candidate_whose_guard_or_rounds_are_wrong_is_not_proved(frame, prover):
    (good,) = find_words(frame)
    assert prove_candidate(frame, good, prover)["verdict"] == "proved"
    for wrong in (
        replace(good, guard=always),  # it reads beyond memory
        replace(good, fits=always),  # data end the loop meanwhile
        replace(good, rounds=9),
        replace(good, block=lambda emit, values, read: tuple(values[value] for value in frame.line.parameters)),
    ):
        assert prove_candidate(frame, wrong, prover)["verdict"] != "proved"
