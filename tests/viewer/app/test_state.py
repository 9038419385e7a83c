"""The record that the window and its panels share."""

from __future__ import annotations

from qemu_bridge.errors import UsageError
from viewer.view.views import Mode


def test_an_error_of_an_action_becomes_a_message(state):
    def fail():
        raise UsageError("no such page; name another")

    state.attempt(fail)
    assert state.messages[-1].is_problem and state.messages[-1].text == "no such page; name another"
    assert state.recent_messages(state.messages[-1].time_s + 1)
    assert not state.recent_messages(state.messages[-1].time_s + 60)


def test_a_panel_is_opened_and_closed_in_the_settings(state):
    assert not state.is_open("details")
    state.open_panel("details")
    assert state.is_open("details") and state.is_dirty_settings
    state.open_panel("details", False)
    assert not state.is_open("details")


def test_the_view_is_where_the_move_ends(state):
    goal = state.controller.home.orbit(30, 0)
    state.controller.fly_to(goal)
    state.pin = 0x45000
    assert (state.view.camera, state.view.mode, state.view.look, state.view.pin) == (
        goal,
        Mode.ORBIT,
        state.scene.look,
        0x45000,
    )
    assert state.name == "synthetic"


def test_text_is_copied_to_the_clipboard_and_told(state):
    copied = []
    state.clipboard = copied.append
    state.copy("yaw=3", "this view")
    assert copied == ["yaw=3"] and state.messages[-1].text == "copied this view"
