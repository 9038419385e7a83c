"""The programs of examples/gpu-run/lanes, by the crate and the header beside them."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np

import pixel_cpu as px
from pixel_cpu.frontends.wasm.in_place import IN_PLACE
from pixel_cpu.lane_host import Glassbox
from pixel_cpu.runtime.rounds import LaneState, Rounds

EXAMPLES = Path(__file__).resolve().parents[3] / "examples/gpu-run"


def run(name: str, lanes: int, host: Glassbox) -> Rounds:
    rounds = Rounds(px.wasm(EXAMPLES / "lanes" / name).instances(lanes), "run", host=host)
    rounds.run()
    assert (rounds.states == LaneState.RETURNED).all()
    return rounds


def test_lanes_take_turns():
    array = np.zeros(8, np.uint8)
    host = Glassbox(arrays={0: array}, shared=2)
    rounds = run("turns.wasm", 6, host)
    assert struct.unpack("<q", array.tobytes()) == (sum(lane * lane for lane in range(6)),)
    assert rounds.results[0].tolist() == [0, 0, 0, 0, 0, 1]
    assert [(each.lane, each.text, each.value) for each in host.records] == [
        *((lane, "own * own", lane * lane) for lane in range(6)),
        (5, "the last lane writes", None),
    ]


def test_a_wave_is_drawn():
    lanes = 24
    phase, heights = np.linspace(0, 1, lanes, dtype="f4").reshape(lanes, 1), np.zeros(lanes, "f4")
    picture = np.zeros((25, lanes, 4), np.uint8)
    host = Glassbox(arrays={0: phase, 1: heights}, shared=np.array([-100, 1000]), picture=picture)
    assert not run("wave.wasm", lanes, host).results[0].any()
    x = np.arange(lanes, dtype="f4") * np.float32(6) / np.float32(lanes) + phase[:, 0]
    y = np.sin(x) * np.sqrt(np.cos(x) ** 2 + 1)
    assert np.abs(heights - y).max() < 1e-5
    steps = np.trunc(heights * 8).astype(int)
    assert (picture[12 - steps, np.arange(lanes)] == [0xFF, 0x80, 0x00, 0xFF]).all() and picture[
        ..., 3
    ].sum() == 255 * lanes
    highest = np.flatnonzero(steps == steps.max())
    assert host.shared.tolist() == [steps.max(), highest[0]]
    values = {each.lane: each.value for each in host.records if each.text == "(y * 8.0) as i32"}
    assert values == dict(enumerate(steps.tolist()))
    printed = [each.text for each in host.records if each.value is None]
    assert printed == [f"lane {lane} is as high as any" for lane in highest]


def test_the_crate_and_the_header_import_what_is_served():
    served = {*Glassbox()._calls, *(name.removeprefix("glassbox.") for name in IN_PLACE)}
    crate = (EXAMPLES / "glassbox/src/lib.rs").read_text()
    block = crate[crate.index("mod imports") : crate.index("/// The number of this lane")]
    assert set(re.findall(r"pub fn (\w+)\(", block)) == served
    assert set(re.findall(r'GB_IMPORT\("(\w+)"\)', (EXAMPLES / "glassbox/glassbox.h").read_text())) == served
