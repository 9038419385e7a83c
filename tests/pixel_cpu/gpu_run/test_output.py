"""Output of lanes that end in any order, and of a run that is interrupted."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest

from pixel_cpu.gpu_run.output import Files, Lines, Merged, lane_record
from pixel_cpu.runtime.printed import Printed
from pixel_cpu.runtime.rounds import LaneTrap
from pixel_cpu.supervisor import NO_CODE, TABLE


class Lanes:
    """What outputs see of a run: lanes print, end and are killed as a test says."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.printed = Printed()
        self.status = ["running"] * lanes
        self.traps: dict[int, LaneTrap] = {}

    def prints(self, lane: int, text: bytes, stream: int = 1) -> None:
        self.printed.write(stream, np.array([lane]), np.array([len(text)]), np.frombuffer(text, np.uint8))

    @property
    def has_ended(self):
        return np.array([each != "running" for each in self.status])

    def table(self):
        found = np.zeros(self.lanes, TABLE)
        found["lane"], found["status"] = np.arange(self.lanes), self.status
        found["exit_code"] = [0 if each == "exited" else NO_CODE for each in self.status]
        return found

    def output(self, lane):
        return self.printed.read(lane, 1), self.printed.read(lane, 2)

    def trap(self, lane):
        return self.traps.get(lane)


@pytest.fixture
def sinks():
    return io.BytesIO(), io.BytesIO()


def test_merged_output_is_lane_after_lane_and_the_first_lane_is_shown_as_it_goes(sinks):
    lanes, cleared = Lanes(3), []
    merged = Merged(*sinks, lambda: cleared.append(1))
    lanes.prints(1, b"1a")
    lanes.prints(0, b"0a")
    lanes.prints(0, b"E0", stream=2)
    merged.update(lanes)
    assert sinks[0].getvalue() == b"0a" and sinks[1].getvalue() == b"E0" and len(cleared) == 2
    lanes.status[1] = "exited"
    lanes.prints(0, b"0b")
    lanes.prints(2, b"2a")
    merged.update(lanes)
    assert sinks[0].getvalue() == b"0a0b"
    lanes.status[0] = "exited"
    merged.update(lanes)
    assert sinks[0].getvalue() == b"0a0b1a2a"
    lanes.status[2] = "trapped"
    assert merged.finish(lanes) == 0 and sinks[0].getvalue() == b"0a0b1a2a"


def test_merged_output_of_an_interrupted_run_has_whole_lanes_and_counts_the_others(sinks):
    lanes = Lanes(5)
    merged = Merged(*sinks, lambda: None)
    for lane in range(4):
        lanes.prints(lane, b"%d" % lane)
    merged.update(lanes)
    lanes.status = ["killed", "exited", "killed", "trapped", "killed"]
    # Of lane 0 all is written already, lane 4 has printed nothing.
    assert merged.finish(lanes) == 1 and sinks[0].getvalue() == b"013"


def test_files_are_written_once_a_lane_has_ended(tmp_path):
    def folder(lane):
        path = tmp_path / str(lane)
        path.mkdir(exist_ok=True)
        return path

    lanes, files = Lanes(2), Files(folder)
    lanes.prints(0, b"x\xff")
    lanes.prints(1, b"y", stream=2)
    files.update(lanes)
    assert not list(tmp_path.iterdir())
    lanes.status[1] = "exited"
    files.update(lanes)
    assert (tmp_path / "1/stderr").read_bytes() == b"y" and (tmp_path / "1/stdout").read_bytes() == b""
    lanes.status[0] = "killed"
    assert files.finish(lanes) == 0 and (tmp_path / "0/stdout").read_bytes() == b"x\xff"


def test_lines_are_json_in_the_order_of_lanes():
    sink, lanes = io.BytesIO(), Lanes(3)
    lines = Lines(sink, lambda: None)
    lanes.prints(0, b"a\n")
    lanes.prints(1, b"\xff")
    lanes.status[1] = "trapped"
    lanes.traps[1] = LaneTrap("unreachable", "inner", ("inner", "outer"))
    lines.update(lanes)
    assert sink.getvalue() == b""
    lanes.status[0] = "exited"
    lines.update(lanes)
    lanes.status[2] = "killed"
    assert lines.finish(lanes) == 0
    first, second, third = map(json.loads, sink.getvalue().splitlines())
    assert (first["lane"], first["exit_code"], first["stdout"], first["stderr"]) == (0, 0, "a\n", "")
    assert second["trap"] == {"reason": "unreachable", "function": "inner", "backtrace": ["inner", "outer"]}
    assert (second["exit_code"], second["stdout_base64"], "stdout" in second) == (None, "/w==", False)
    assert (third["status"], third["stdout"]) == ("killed", "")


def test_a_record_without_output_is_the_row():
    lanes = Lanes(1)
    assert set(lane_record(lanes, lanes.table()[0])) == set(TABLE.names)
