"""The search box: it draws whatever is typed, and lists what that means."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.wire.records import Symbol
from viewer.app.commands import Commands
from viewer.app.panels import command_palette
from viewer.app.panels.command_palette import find_items

pytestmark = pytest.mark.usefixtures("no_errors")


def titles(state, query):
    state.command_palette.query = query
    return [item.title for item in find_items(state, Commands())]


def test_the_palette_lies_over_the_picture_and_takes_any_text(paint, layout, state):
    plain = paint(lambda: None)
    state.command_palette.is_open, state.command_palette.query = True, "undo"
    shown = paint(lambda: command_palette.draw(state, layout, Commands()))
    assert np.abs(shown - plain)[50:120, 250:650].max() > 100
    for query in ("x:zz", '"root', "0x1000", "pid:1", "\0\n", "yaw=1"):
        state.command_palette.query = query
        paint(lambda: command_palette.draw(state, layout, Commands()))


def test_a_query_finds_commands_addresses_bytes_and_views(state, put, results):
    assert titles(state, "undo")[0] == "Undo"
    assert titles(state, "0x1000")[0] == "go to physical address 0x1000"
    assert titles(state, '"root') == ['find "root in RAM']
    assert titles(state, "yaw=1")[0] == "go to yaw=1"
    assert "in##it (1)" in titles(state, "in##it")
    put("symbols", (Symbol("schedule", 0xFFFFFFFF81000000, "T"),), "sched")
    assert titles(state, "sched")[0] == "schedule"
    put("symbols", (Symbol("tcp_v4_init", 0xFFFFFFFF81000000, "T"),), "tcp_*_init")
    assert titles(state, "tcp_*_init")[0] == "tcp_v4_init"
    put("symbols", [Symbol(f"tcp_v{number}_init", 0xFFFFFFFF81000000, "T") for number in (4, 6)], "tcp_v?_init")
    assert titles(state, "tcp_v?_init") == ["go to all that match tcp_v?_init", "tcp_v4_init", "tcp_v6_init"]
    assert titles(state, "comm:kw*/kernelstack") == ["go to comm:kw*/kernelstack"]


def test_enter_waits_for_the_matches_of_the_daemon(paint, layout, state, put):
    box = state.command_palette
    box.is_open, box.query, box.is_entered = True, "init_task", True
    box.openings += 1  # another field than that of the tests before
    state.queries._waiting["symbols"] = (None, None)
    paint(lambda: command_palette.draw(state, layout, Commands()))
    assert box.is_open and box.is_entered
    state.queries._waiting.clear()
    put("symbols", (Symbol("init_task", 0xFFFFFFFF81000000, "T"),), "init_task")
    paint(lambda: box.is_open and command_palette.draw(state, layout, Commands()))
    assert not box.is_open and state.messages[-1].text == "going to init_task"


def test_a_wrong_pattern_is_a_line_that_does_nothing(state):
    [title] = titles(state, "x:zz")
    assert "x:zz" in title
