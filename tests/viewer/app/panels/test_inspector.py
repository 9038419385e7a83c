"""The inspector of the pinned byte."""

from __future__ import annotations

import numpy as np
import pytest
from imgui_bundle import imgui

from viewer.app import selection
from viewer.app.panels import inspector

pytestmark = pytest.mark.usefixtures("no_errors")


@pytest.fixture
def body(state):
    def draw():
        imgui.set_next_window_size(imgui.ImVec2(430, 650))
        imgui.begin("inspector")
        inspector.draw(state)
        imgui.end()

    return draw


def test_it_shows_the_pinned_byte_and_an_error_of_the_daemon(paint, body, state, put):
    nothing = paint(body)
    selection.select(state, 0x45010)
    shown = paint(body)
    assert np.abs(shown - nothing).max() > 60
    put("place", None, 0x45010, "the guest has not booted; wait")
    assert np.abs(paint(body) - shown).max() > 60
