"""The state that panels share: selecting, glowing, framing, undoing."""

from __future__ import annotations

import numpy as np

from qemu_bridge.wire.records import PageClass
from viewer.app.commands import Commands
from viewer.view.views import Mode, format_view


def test_a_selected_byte_tells_its_process_and_can_be_framed(desk):
    page = int(np.flatnonzero(desk.source.entries["page_class"] == PageClass.PROCESS_HEAP)[0])
    desk.select((page << 12) + 5)
    assert desk.spot().offset == 5 and desk.pid in (1, 40) and desk.is_open("details")
    desk.frame()
    assert desk.is_in_sight()
    x, y, _ = desk.project(np.array([np.mean(desk.box_of(np.array([page])), axis=0)]), desk.eye.goal)[0]
    assert abs(x) < 1e-6 and abs(y) < 1e-6
    desk.select(1 << 40)
    assert desk.messages[-1].is_problem


def test_next_and_previous_page_stay_with_owner_and_class(desk):
    entries = desk.source.entries
    page = int(np.flatnonzero(entries["page_class"] == PageClass.PROCESS_HEAP)[0])
    desk.select(page << 12)
    desk.step_page(1)
    there = desk.pin >> 12
    assert there != page and entries[there] == entries[page]
    desk.step_page(-1)
    assert desk.pin >> 12 == page


def test_undo_brings_back_what_was_seen_and_where(desk):
    before = desk.view
    desk.isolate(PageClass.PAGE_TABLE)
    assert desk.scene.visible == {PageClass.PAGE_TABLE}
    desk.set_mode(Mode.TOP)
    desk.undo()
    desk.undo()
    assert desk.view == before
    desk.redo()
    assert desk.scene.visible == {PageClass.PAGE_TABLE}


def test_a_bookmark_is_jumped_to(desk):
    desk.add_bookmark("here")
    text = format_view(desk.view)
    desk.eye.wheel(3)
    desk.jump(desk.bookmarks.views["here"])
    assert format_view(desk.view) == text
    desk.jump("yaw=x")
    assert desk.messages[-1].is_problem


def test_pages_glow_and_are_let_go(desk):
    desk.show_pages("tables", np.flatnonzero(desk.source.entries["page_class"] == PageClass.PAGE_TABLE), fly=True)
    assert desk.glow.title == "tables" and desk.eye.is_moving
    desk.show_pages("nothing", np.zeros(0, np.int64), fly=True)
    assert desk.glow is None


def test_every_key_is_bound_once_and_every_command_runs(desk):
    commands = Commands()
    keys = [key for command in commands.all for key in command.keys]
    assert len(keys) == len(set(keys)) and len({command.name for command in commands.all}) == len(commands.all)
    desk.select(0x45000)
    for command in commands.all:
        command.run(desk)
    assert commands.press(desk, "1") and not commands.press(desk, "F12")
