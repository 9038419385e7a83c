"""What is made of a proved loop, and what stands of it in its library."""

from __future__ import annotations

import json
from dataclasses import replace

from learned_loops import learned
from x86_loops import CRC32

import pixel_cpu as px
from pixel_cpu.learn.improve import improve
from pixel_cpu.learn.loop_library import read_library, write_loop
from pixel_cpu.learn.prove import Prover


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
