"""Moving the camera: framing, steps, undo, bookmarks."""

from __future__ import annotations

import numpy as np

from qemu_bridge.wire.records import PageClass
from viewer.app import appearance, glow, highlighting, navigation, selection
from viewer.view.views import Mode, format_view


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


def test_home_is_the_first_view(state):
    home = state.controller.home
    state.controller.aim(home.orbit(40, 5))
    navigation.go_home(state)
    assert state.controller.goal == home
    navigation.undo(state)
    assert state.controller.goal == home.orbit(40, 5)


def test_without_a_selection_there_is_no_next_page(state):
    navigation.step_page(state, 1)
    assert state.pin is None and "select a byte" in state.messages[-1].text
    assert not navigation.is_in_sight(state)


def test_a_view_names_what_stands_out(state):
    highlighting.highlight_pages(state, "init's heap", np.array([0x45]), fly=False, target="pid:1/heap")
    text = format_view(state.view)
    assert "glow=pid:1/heap" in text
    navigation.jump(state, "yaw=3")
    assert state.highlight is None
    navigation.jump(state, text)
    assert state.queries.result(glow.HIGHLIGHT).key == "pid:1/heap"


def test_the_first_view_steps_back_as_a_guest_grows_and_only_then(state):
    navigation.fit_home(state, 1.0)
    state.controller.settle()
    home = state.controller.home
    navigation.follow_content(state)
    assert state.controller.goal == home
    state.source.entries["page_class"][:] = PageClass.KERNEL_DATA
    near = home.framing(*state.scene.content_box(), 4.0).zoom(12)
    state.controller.home = state.controller.goal = state.controller.camera = near
    state.scene.set_page_map(state.source.page_map())
    navigation.follow_content(state)
    assert state.controller.goal.distance > near.distance
    moved = state.controller.goal.orbit(10, 0)
    state.controller.aim(moved)
    navigation.follow_content(state)
    assert state.controller.goal == moved
