"""What is said of a run."""

from __future__ import annotations

import io

import numpy as np
import pytest
from gpu_lanes import lanes_that

from pixel_cpu.gpu_run.report import (
    Progress,
    Traps,
    aligned,
    exit_status,
    format_table,
    progress_line,
    summary,
    summary_line,
    trap_lines,
)
from pixel_cpu.runtime.rounds import LaneTrap
from pixel_cpu.supervisor import TABLE, Event

TRAP = LaneTrap("unreachable", "in\x1bner", ("in\x1bner", "outer"))


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_the_first_ten_traps_are_shown_and_the_rest_is_counted():
    traps = Traps(10)
    events = [Event("trapped", lane, lane + 1, None, TRAP) for lane in range(12)] + [Event("exited", 12, 13, 0)]
    lines = list(traps.lines(events))
    assert lines[:3] == ["lane 0: unreachable in in?ner", "    0: in?ner", "    1: outer"]
    assert len(lines) == 30 and traps.more == "and 2 more lanes ended by traps; -v shows all"
    every = Traps(None)
    assert len(list(every.lines(events))) == 36 and every.more == ""


def test_a_trap_without_a_name():
    assert list(trap_lines(3, LaneTrap("out of fuel", "", ()))) == ["lane 3: out of fuel"]


def test_a_long_backtrace_is_cut():
    found = list(trap_lines(0, LaneTrap("call stack exhausted", "deep", ("deep",) * 99 + ("start",))))
    assert len(found) == 14 and found[-1] == "    and 88 more, the outermost start"


def test_progress_is_drawn_on_a_terminal_and_taken_away(terminal):
    found = lanes_that("running", "exited")
    progress = Progress(terminal, is_on=True)
    progress.update(found)
    assert terminal.getvalue() == "gpu-run: 1 of 2 lanes done, round 3"
    progress.update(found)  # too soon
    progress.clear()
    assert terminal.getvalue().endswith("round 3\r\x1b[J")
    with_table = Progress(terminal, is_on=True, with_table=True)
    with_table.update(found)
    assert "EXIT CODE" in terminal.getvalue()
    with_table.clear()
    assert terminal.getvalue().endswith("\r\x1b[3A\x1b[J")


@pytest.mark.parametrize("why", ["no terminal", "quiet", "dumb"])
def test_progress_is_silent_elsewhere(why, terminal, monkeypatch):
    stream = io.StringIO() if why == "no terminal" else terminal
    if why == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    Progress(stream, is_on=why != "quiet").update(lanes_that("running"))
    assert stream.getvalue() == ""


def test_the_live_table_fits_the_terminal_and_shows_running_lanes(terminal, monkeypatch):
    monkeypatch.setenv("LINES", "10")
    monkeypatch.setenv("COLUMNS", "100")
    found = lanes_that(*["exited"] * 50, "running")
    Progress(terminal, is_on=True, with_table=True).update(found)
    lines = terminal.getvalue().splitlines()
    assert len(lines) == 8 and lines[-2].split()[:3] == ["50", "51", "running"] and lines[-1] == "and 46 more"


def test_the_progress_names_the_wave_where_there_are_several():
    found = lanes_that("exited", "running", "queued", "queued", wave=2)
    assert progress_line(found) == "gpu-run: 1 of 4 lanes done, round 3, wave 1 of 2"


def test_a_table_has_a_line_for_each_lane():
    table = np.zeros(2, TABLE)
    table["lane"], table["pid"], table["status"] = [0, 1], [1, 2], ["exited", "sleeping"]
    table["exit_code"], table["memory"], table["wait"] = [3, -1], 131072, ["", "poll_oneoff"]
    assert list(format_table(table)) == [
        "LANE  PID  STATUS    EXIT CODE  FUEL  MEMORY  CALLS  WAIT",
        "   0    1  exited            3     0    128K      0  -",
        "   1    2  sleeping          -     0    128K      0  poll_oneoff",
    ]


def test_columns_are_aligned():
    assert list(aligned([["A", "B"], ["1", "x"], ["22", "yy"]], left=("B",))) == [" A  B", " 1  x", "22  yy"]


@pytest.mark.parametrize(
    ("statuses", "codes", "wanted"),
    [
        (["exited", "exited"], [0, 0], 0),
        (["exited", "exited"], [0, 9], 1),
        (["exited", "trapped"], [0, -1], 1),
        (["exited", "killed"], [0, -1], 1),
        (["exited"], [42], 42),
        (["trapped"], [-1], 134),
        (["killed"], [-1], 1),
    ],
)
def test_the_exit_status(statuses, codes, wanted):
    assert exit_status(lanes_that(*statuses, codes=codes)) == wanted


def test_a_code_of_256_is_no_success():
    assert exit_status(lanes_that("exited", codes=[256])) == 1


def test_the_summary_counts_codes_and_ends():
    found = lanes_that("exited", "exited", "exited", "trapped", codes=[0, 0, 3, -1])
    total = summary(found, "cpu", 0.0)
    assert total["exit_codes"] == {"0": 2, "3": 1} and total["status"] == {"exited": 3, "trapped": 1}
    line = summary_line(total | {"seconds": 1.5})
    assert line == "4 lanes on cpu: 2 gave 0, 1 gave 3, 1 trapped; 3 rounds, 1.5 s"
    assert summary_line(total | {"lanes": 1, "waves": 2, "seconds": 1}).startswith("1 lane on cpu")
