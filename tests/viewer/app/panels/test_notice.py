"""What a colouring without data says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from viewer.app import appearance
from viewer.app.commands import Command, Commands
from viewer.app.panels import notice
from viewer.view.look import Mode

pytestmark = pytest.mark.usefixtures("no_errors")


@pytest.mark.parametrize(
    ("mode", "is_explained"), [(Mode.CLASS, False), (Mode.DIFFERENCE, True), (Mode.EXECUTION, True)]
)
def test_the_middle_of_the_picture_explains_a_colouring_without_data(paint, layout, state, mode, is_explained):
    state.open_panel("hint", False)
    commands = Commands((Command("execution", "Watch execution", "Machine", ("g",), lambda _: None),))
    appearance.set_look(state, replace(state.scene.look, mode=mode))
    shown = paint(lambda: notice.draw(state, layout, commands))
    assert (shown[:, 250:650].max() > 100) == is_explained
    state.scene.set_difference(np.zeros(state.scene.page_count, np.uint8))
    state.scene.set_executions(np.zeros(state.scene.page_count, np.uint32))
    assert paint(lambda: notice.draw(state, layout, commands))[:, 250:650].max() < 100


def test_the_hint_of_the_first_minute_goes_with_the_first_click(screen):
    screen.draw()
    assert screen.state.is_open("hint")
    screen.send("pointer_down", x=400, y=250, button=1, buttons=(1,))
    screen.send("pointer_up", x=400, y=250, button=1)
    assert not screen.state.is_open("hint")


def test_what_is_being_read_is_said_until_it_is(screen):
    watcher = screen.state.watcher
    watcher._is_first_round = True
    assert "Reading memory" in notice.loading_words(screen.state) and "2.0 MiB" in notice.loading_words(screen.state)
    screen.draw()
    screen.draw_until(lambda: watcher.is_following)
    assert notice.loading_words(screen.state) == ""


def test_what_has_just_happened_is_told_where_the_hint_was(paint, layout, state):
    commands = Commands((Command("execution", "Watch execution", "Machine", ("g",), lambda _: None),))
    state.open_panel("hint", True)
    assert paint(lambda: notice.draw(state, layout, commands)).max() > 100
    state.notify("another program moves this view")
    assert paint(lambda: notice.draw(state, layout, commands)).max() == 0


def test_the_box_is_at_once_as_wide_as_words_that_have_grown(paint, layout, state, monkeypatch):
    words = ["Reading memory: 9.9 MiB"]
    monkeypatch.setattr(notice, "loading_words", lambda _: words[0])
    state.open_panel("hint", False)

    def width(frames):
        columns = np.flatnonzero(paint(lambda: notice.draw(state, layout, None), frames).max(axis=(0, 2)))
        return columns[-1] - columns[0]

    before = width(3)
    words[0] += " of 1.0 GiB"
    assert width(1) == width(3) > before + 20
