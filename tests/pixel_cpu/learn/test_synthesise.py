"""Cheaper programs of loops: found, proved, the same when they run; what is wrong is refuted."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from compiled_loops import compiled_loop
from learned_loops import learned
from x86_loops import CRC32

from pixel_cpu.learn import slices
from pixel_cpu.learn.prove import Prover
from pixel_cpu.learn.synthesise import synthesise


@pytest.fixture(scope="module")
def prover(tmp_path_factory):
    with Prover(limit_s=10, cache=tmp_path_factory.mktemp("proofs")) as opened:
        yield opened


@pytest.mark.parametrize(("code", "template"), [("find", "words"), ("table", "slices")])
def test_a_cheaper_program_is_proved_and_does_the_same(code, template, prover):
    loop = learned(CRC32 if code == "table" else compiled_loop(code, "-O1"))
    found = {each.template: each for each in synthesise(loop, prover)}
    best = found[template]
    # The gain is measured over the same inputs, and both give the same registers.
    assert best.verdict == "proved", best.why
    assert best.gain is not None and best.gain > 1 and best.module is not None
    assert all(each.module is None for each in found.values() if each.verdict != "proved")


def test_a_table_that_is_another_is_not_proved(prover, monkeypatch):
    parts = slices._parts
    chance = random.Random(0)

    def wrong(run):
        found = parts(run)
        place = chance.randrange(len(found))
        own, other, table = found[place]
        found[place] = own, other, [value ^ (table[1] if number & 4 else 0) for number, value in enumerate(table)]
        return found

    monkeypatch.setattr(slices, "_parts", wrong)
    verdicts = {each.verdict for each in synthesise(learned(CRC32), prover) if each.template == "slices"}
    assert verdicts and "proved" not in verdicts


def test_a_loop_that_no_template_fits_says_why(prover):
    found = synthesise(learned(compiled_loop("linked list", "-O1")), prover)
    assert {each.verdict for each in found} == {"refused"} and all(each.why for each in found)
    late = synthesise(replace(learned(CRC32)), prover, limit_s=-1)
    assert {each.why for each in late} == {"more than -1 s"}
