"""The list of keys."""

from __future__ import annotations

import numpy as np
import pytest
from imgui_bundle import imgui

from viewer.app.commands import GESTURES, Commands
from viewer.app.input_handler import PASTE_KEYS
from viewer.app.panels import help

pytestmark = pytest.mark.usefixtures("no_errors")


def test_the_list_of_keys_lies_over_the_picture(paint, layout, state):
    plain = paint(lambda: None)
    state.is_help_open = True
    shown = paint(lambda: help.draw(state, layout, Commands()))
    assert np.abs(shown - plain)[100:600, 250:650].max() > 100
    assert state.is_help_open


def test_keys_that_are_no_commands_are_listed_too():
    keys = {key for words, _ in GESTURES for key in words.split(", ")}
    assert {"Esc", "Enter", *PASTE_KEYS} <= keys


def test_no_word_behind_the_list_shows_through(paint, layout, state):
    state.is_help_open = True
    dark = paint(lambda: help.draw(state, layout, Commands()))

    def over_words() -> None:
        imgui.get_background_draw_list().add_rect_filled(
            imgui.ImVec2(0, 0), imgui.ImVec2(1100, 700), imgui.color_convert_float4_to_u32((1, 1, 1, 1))
        )
        help.draw(state, layout, Commands())

    assert np.abs(paint(over_words) - dark)[150:550, 300:800].max() < 3
