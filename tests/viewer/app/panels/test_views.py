"""The view as text, and bookmarks."""

from __future__ import annotations

import numpy as np
import pytest
from imgui_bundle import imgui

from viewer.app import navigation
from viewer.app.panels import views

pytestmark = pytest.mark.usefixtures("no_errors")


def test_bookmarks_are_listed(paint, state):
    def body():
        imgui.set_next_window_size(imgui.ImVec2(400, 500))
        imgui.begin("views")
        views.draw(state)
        imgui.end()

    empty = paint(body)
    assert empty.max() > 180
    navigation.add_bookmark(state, "heap of init")
    assert np.abs(paint(body) - empty).max() > 60
