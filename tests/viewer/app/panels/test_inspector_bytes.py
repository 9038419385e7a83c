"""The inspector's hex and values."""

from __future__ import annotations

import numpy as np
import pytest
from imgui_bundle import imgui

from viewer.app import selection
from viewer.app.panels import inspector_bytes
from viewer.app.pick import describe_byte

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


def test_bytes_that_differ_from_the_capture_stand_out_beside_what_they_were(paint, state):
    picked = describe_byte(state.scene, state.source.ram, 0x45, 0x10)
    page = bytes(range(256)) * 16
    before = page[:0x14] + b"\xaa\xbb" + page[0x16:]

    def show(width, *others):
        def body():
            imgui.set_next_window_size(imgui.ImVec2(width, 650))
            imgui.begin("compared bytes")
            inspector_bytes.draw_hex(state, picked, page, *others)
            imgui.end()

        return paint(body)

    for width in (430, 700):
        gold = [np.abs(show(width, *others) - (255, 200, 40)).max(axis=2) < 30 for others in ((), (page,), (before,))]
        assert [found.any() for found in gold] == [False, False, True]
        rows = np.flatnonzero(gold[2].any(axis=1))
        assert rows[-1] - rows[0] > 200  # now, and below what was
