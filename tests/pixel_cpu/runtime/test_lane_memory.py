"""How many lanes fit."""

from __future__ import annotations

import numpy as np
import pytest
from gpu_lanes import MANY

import pixel_cpu as px
from pixel_cpu.errors import LimitError
from pixel_cpu.ir.limits import MAX_LENGTH
from pixel_cpu.runtime.lane_memory import bytes_of_lane, lanes_of_wave, largest_buffer, most_lanes
from pixel_cpu.runtime.rounds import Rounds


def test_the_bytes_of_a_lane_are_those_of_the_buffers_of_a_run():
    program = px.wasm(MANY, pages=2)
    with px.Device("cpu", isolated=False) as device:
        rounds = Rounds(program.instances(3, device=device), "_start", host=None)
        per_lane = {name: array.nbytes / 3 for name, array in rounds.buffers.items()}
    found = bytes_of_lane(program)
    assert found["memory"] == 2 << 16
    for name, size in per_lane.items():
        key = "frames" if name.startswith("frames") else name
        if key in found:
            assert found[key] == size, name
        else:
            assert not name.startswith("lane."), name
    assert {key for key in found if key not in ("frames", "pages")} <= set(per_lane)


@pytest.mark.parametrize(("budget", "buffer", "wanted"), [(100, 1000, 4), (10_000, 60, 3), (26, 26, 1)])
def test_the_budget_and_the_largest_buffer_bound_lanes(budget, buffer, wanted):
    assert most_lanes({"memory": 20, "frames": 5}, budget, buffer) == wanted


def test_a_lane_that_does_not_fit_says_what_it_needs():
    with pytest.raises(
        LimitError, match=r"a lane needs 25 bytes, 20 of them for memory; .* fewer pages, or more memory"
    ):
        most_lanes({"memory": 20, "frames": 5}, 24, 100)


def test_buffers_of_the_software_gpu_are_bounded_by_what_is_addressed():
    assert largest_buffer("cpu") == MAX_LENGTH
    with px.Device("cpu", memory=1 << 40) as device:
        assert lanes_of_wave(px.wasm(MANY, pages=1), device) == MAX_LENGTH // (1 << 16)
    assert np.iinfo(np.int32).max >= MAX_LENGTH
