"""Speed of loops in lanes: numbers where they can be run, a reason where not."""

from __future__ import annotations

from compiled_loops import compiled_loop
from learned_loops import learned

from pixel_cpu.learn.speed import measure_lanes


def test_a_loop_is_measured_or_it_is_said_why_not():
    found = measure_lanes(learned(compiled_loop("sum", "-O1")))
    assert isinstance(found, dict) and 0 < found["ns"] and found["times"] > 0
    assert measure_lanes(learned(compiled_loop("matrix", "-O1"))) == "it has loops inside"
