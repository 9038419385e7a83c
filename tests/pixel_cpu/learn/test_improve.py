"""What is made of a proved loop, and what stands of it in its library."""

from __future__ import annotations

import json
from dataclasses import replace

from learned_loops import learned
from x86_loops import CRC32

import pixel_cpu as px
from pixel_cpu.learn.improve import _best, improve
from pixel_cpu.learn.loop_library import read_library, write_loop
from pixel_cpu.learn.prove import Prover
from pixel_cpu.learn.synthesise import Attempt


def test_the_best_program_stands_beside_the_loop(tmp_path):
    with Prover(limit_s=10, cache=tmp_path / "proofs") as prover:
        found = improve(tmp_path, learned(CRC32), prover)
        left = improve(tmp_path, replace(learned(CRC32), facts={"verdict": "unknown"}), prover)
    assert left.facts == {"verdict": "unknown"}
    assert json.loads(json.dumps(found.facts)) == found.facts
    assert "slices" in found.facts["speed"] and "lanes" in found.facts["speed"]
    write_loop(tmp_path, found)
    assert [each.name for each in read_library(tmp_path)] == ["loop"]
    assert "loop" in px.load(tmp_path / "loop.fast").module.functions
    assert len((tmp_path / "loop.tables").read_bytes()) == 8 * 1024


def test_of_programs_that_differ_in_their_contract_alone_the_first_is_taken():
    """Which of them gains a little more is noise, and would give the same loop another program each time."""
    first, other = (Attempt("slices", 8, "proved", why, gain=gain) for why, gain in (("CRC-32", 3.0), ("CRC-32C", 3.1)))
    assert _best([first, other]) is first
    assert _best([first, Attempt("words", 8, "proved", "", gain=3.2), other]).template == "words"
    assert _best([Attempt("words", 4, "unknown", ""), Attempt("words", 8, "proved", "", gain=0.9)]) is None
