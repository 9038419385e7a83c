"""The state that panels share: selecting, glowing, framing, undoing."""

from __future__ import annotations

import numpy as np

from qemu_bridge.wire.records import PageClass
from viewer.app import appearance, highlighting, navigation, selection
from viewer.app.commands import Commands
from viewer.view.views import Mode, format_view


def test_a_selected_byte_tells_its_process_and_can_be_framed(state):
    page = int(np.flatnonzero(state.source.entries["page_class"] == PageClass.PROCESS_HEAP)[0])
    selection.select(state, (page << 12) + 5)
    assert selection.pinned(state).offset == 5 and state.pid in (1, 40) and state.is_open("details")
    navigation.frame(state)
    assert navigation.is_in_sight(state)
    x, y, _ = navigation.project(
        state, np.array([np.mean(navigation.box_of(state, np.array([page])), axis=0)]), state.controller.goal
    )[0]
    assert abs(x) < 1e-6 and abs(y) < 1e-6
    selection.select(state, 1 << 40)
    assert state.messages[-1].is_problem


def test_next_and_previous_page_stay_with_owner_and_class(state):
    entries = state.source.entries
    page = int(np.flatnonzero(entries["page_class"] == PageClass.PROCESS_HEAP)[0])
    selection.select(state, page << 12)
    navigation.step_page(state, 1)
    there = state.pin >> 12
    assert there != page and entries[there] == entries[page]
    navigation.step_page(state, -1)
    assert state.pin >> 12 == page


def test_undo_brings_back_what_was_seen_and_where(state):
    before = state.view
    appearance.isolate(state, PageClass.PAGE_TABLE)
    assert state.scene.visible == {PageClass.PAGE_TABLE}
    navigation.set_mode(state, Mode.TOP)
    navigation.undo(state)
    navigation.undo(state)
    assert state.view == before
    navigation.redo(state)
    assert state.scene.visible == {PageClass.PAGE_TABLE}


def test_a_bookmark_is_jumped_to(state):
    navigation.add_bookmark(state, "here")
    text = format_view(state.view)
    state.controller.wheel(3)
    navigation.jump(state, state.bookmarks.views["here"])
    assert format_view(state.view) == text
    navigation.jump(state, "yaw=x")
    assert state.messages[-1].is_problem


def test_pages_glow_and_are_let_go(state):
    highlighting.highlight_pages(
        state, "tables", np.flatnonzero(state.source.entries["page_class"] == PageClass.PAGE_TABLE), fly=True
    )
    assert state.highlight.title == "tables" and state.controller.is_moving
    highlighting.highlight_pages(state, "nothing", np.zeros(0, np.int64), fly=True)
    assert state.highlight is None


def test_every_key_is_bound_once_and_every_command_runs(state):
    commands = Commands()
    keys = [key for command in commands.all for key in command.keys]
    assert len(keys) == len(set(keys)) and len({command.name for command in commands.all}) == len(commands.all)
    selection.select(state, 0x45000)
    for command in commands.all:
        command.run(state)
    assert commands.press(state, "1") and not commands.press(state, "F12")
