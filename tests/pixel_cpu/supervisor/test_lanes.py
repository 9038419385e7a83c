"""Lanes as processes: the table, events, ends, and new beginnings."""

from __future__ import annotations

import numpy as np
import pytest
from gpu_lanes import MANY

import pixel_cpu as px
from pixel_cpu.errors import LimitError, UsageError
from pixel_cpu.supervisor import TABLE
from pixel_cpu.supervisor.lanes import LEAST_LANES
from pixel_cpu.wasi import Preopen


def lanes_of(*fates, **options):
    return px.processes(MANY, arguments=[["many", *fate] for fate in fates], **options)


def test_a_table_has_a_row_for_each_lane():
    found = lanes_of(["exit", "3"], ["trap"], ["echo", "x"])
    before = found.table()
    assert before.dtype == TABLE and set(before["status"]) == {"queued"} and set(before["wait"]) == {"wave"}
    found.run()
    table = found.table()
    assert table["status"].tolist() == ["exited", "trapped", "exited"]
    assert table["exit_code"].tolist() == [3, -1, 0] and table["pid"].tolist() == [1, 2, 3]
    assert (table["fuel"][[0, 2]] > 0).all() and table["memory"].tolist() == [65536] * 3
    assert table["calls"].tolist() == [4, 3, 4] and set(table["wait"]) == {""}
    assert found.is_done and found.output(2) == (b"x\n", b"") and found.trap(0) is None
    assert found.trap(1).backtrace == ("inner", "outer", "start")


def test_events_tell_of_beginnings_and_ends():
    found = lanes_of(["exit", "3"], ["trap"], ["spin"], fuel=100000)
    events = list(found.events())
    assert [(each.kind, each.lane) for each in events[:3]] == [("started", 0), ("started", 1), ("started", 2)]
    ends = {each.lane: each for each in events[3:]}
    assert (ends[0].kind, ends[0].exit_code) == ("exited", 3)
    assert ends[1].kind == "trapped" and ends[1].trap.function == "inner" and ends[1].exit_code is None
    assert ends[2].kind == "trapped" and ends[2].trap.reason == "out of fuel"


def test_lanes_are_killed_while_they_run_and_while_they_wait():
    found = lanes_of(["spin"], ["spin"], ["spin"], pages=1, memory=120_000)
    assert found.wave_lanes == 1
    found.step()
    assert found.table()["status"].tolist() == ["running", "queued", "queued"]
    found.kill(0, 2)
    assert found.table()["status"].tolist() == ["killed", "queued", "killed"]
    kinds = [(each.kind, each.lane) for each in found.step()]
    assert ("killed", 0) in kinds and ("killed", 2) in kinds and ("started", 1) in kinds
    found.kill(1)
    assert found.is_done and found.step()[0].kind == "killed"


def test_a_lane_begins_anew_as_another_process(tmp_path):
    found = lanes_of(["spin"], ["exit", "7"])
    while not found.has_ended[1]:
        found.step()
    found.restart(0, 1)
    table = found.table()
    assert table["pid"].tolist() == [3, 4] and table["status"].tolist() == ["queued"] * 2
    assert found.output(1) == (b"", b"") and table["calls"].tolist() == [0, 0]
    while not found.has_ended[1]:
        found.step()
    assert found.table()["exit_code"].tolist() == [-1, 7] and found.output(1)[0] == b"leaving\n"
    assert found.output(0)[0] == b"spinning\n" and found.waves == 2
    found.kill(0)
    assert found.is_done


def test_many_lanes_are_two_waves_at_once_that_give_what_one_gives():
    arguments = [["many", "echo", str(lane)] for lane in range(2 * LEAST_LANES)]
    arguments[3], arguments[-1] = ["many", "trap"], ["many", "exit", "5"]
    with px.Device("cpu") as device:
        one, two = (px.processes(MANY, arguments=arguments, device=device, is_split=each) for each in (False, True))
        one.run()
        events = list(two.events())
        assert (one.waves, two.waves, two.wave_lanes) == (1, 2, LEAST_LANES)
        assert (one.table() == two.table()).all()
        assert all(one.output(lane) == two.output(lane) for lane in range(one.lanes))
        assert sorted(each.lane for each in events if each.kind != "started") == list(range(two.lanes))
        assert device.worker_pid  # it lives on


def test_ended_lanes_are_reaped_once():
    found = lanes_of(["exit", "1"], ["exit", "2"])
    assert len(found.reap()) == 0
    found.run()
    assert found.reap()["exit_code"].tolist() == [1, 2] and len(found.reap()) == 0
    found.restart(1)
    found.run()
    assert found.reap()["lane"].tolist() == [1]


def test_a_lane_that_sleeps_says_what_it_waits_for():
    found = lanes_of(["sleep", "600000"], ["spin"])
    for _ in range(20):
        found.step()
    assert found.table()["wait"].tolist() == ["poll_oneoff", ""]
    found.kill(0, 1)
    assert found.is_done


def test_waves_keep_the_numbers_of_lanes(tmp_path):
    own = Preopen(tmp_path / "lane-{id}", "/", is_writable=True)
    found = lanes_of(*(["save", "x", str(lane)] for lane in range(5)), pages=1, memory=300_000, directories=[own])
    found.run()
    assert found.waves > 1 and not found.table()["exit_code"].any()
    assert [(tmp_path / f"lane-{lane}/x").read_text() for lane in range(5)] == list("01234")


def test_a_memory_bomb_and_a_recursion_without_end_leave_the_others_alone():
    found = lanes_of(["bomb"], ["deep"], ["mix", "100", "1"], ["mix", "100", "1"], pages=20)
    found.run()
    table = found.table()
    assert table["exit_code"].tolist() == [7, -1, 0, 0] and table["memory"][0] == 20 << 16
    assert found.trap(1).reason == "call stack exhausted" and found.output(2) == found.output(3)


@pytest.mark.parametrize("lane", [-1, 2])
def test_a_lane_that_is_not_there(lane):
    with pytest.raises(UsageError, match=f"lanes 0 to 1, not {lane}"):
        lanes_of(["echo"], ["echo"]).kill(lane)


def test_a_lane_that_fits_nowhere():
    with pytest.raises(LimitError, match="a lane needs"):
        lanes_of(["echo"], memory=1000)


def test_one_dispatch_does_not_run_a_lane_for_ever():
    found = lanes_of(["spin"], ["echo", "x"])
    for _ in range(20):
        found.step()
    assert found.table()["status"].tolist() == ["running", "exited"] and np.all(found.table()["fuel"] > 0)
    found.kill(0)
