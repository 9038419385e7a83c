"""The inspector's hex and values."""

from __future__ import annotations

import numpy as np
import pytest
from imgui_bundle import imgui

from viewer.app import selection
from viewer.app.panels import inspector_bytes

pytestmark = pytest.mark.usefixtures("no_errors")


def test_rows_follow_the_selection_and_the_bytes(paint, state):
    def body():
        picked = selection.pinned(state)
        page = bytes(state.source.ram.view[picked.page << 12 : (picked.page + 1) << 12])
        imgui.set_next_window_size(imgui.ImVec2(600, 650))
        imgui.begin("bytes")
        inspector_bytes.draw_hex(state, picked, page)
        inspector_bytes.draw_values(page, picked.offset)
        imgui.end()

    selection.select(state, 0x45010)
    first = paint(body)
    assert first.max() > 180
    selection.select(state, 0x45011)
    assert np.abs(paint(body) - first).max() > 60
    selection.select(state, 0x45FFF)
    paint(body)
