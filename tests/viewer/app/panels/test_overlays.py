"""Overlays as tables, and the targets that their rows are about."""

from __future__ import annotations

import pytest

from viewer.app.panels import overlays
from viewer.app.panels.overlays import format_cell, target_of

pytestmark = pytest.mark.usefixtures("no_errors")


def test_rows_become_targets():
    assert target_of("slabs", {"name": "a'b\n"}) == "slab:'a\\'b\\U0000000a'"
    assert target_of("processes", {"pid": 2, "page_table": None}) == "pid:2/kernelstack"
    assert target_of("open-files", {"pid": 2, "path": "/x"}) == "file:'/x'"
    assert target_of("areas", {"pid": 2, "start": 16, "end": 48}) == "va:0x10+0x20@pid:2"
    assert target_of("dmesg", {"text": "x"}) == ""
    assert target_of("learned", {"name": "busybox+0x94430", "physical": 0x38A9430}) == "pa:0x38a9430"
    assert target_of("learned", {"name": "busybox+0x94430", "physical": None}) == ""


def test_cells_are_written_as_the_overlay_asks_or_plainly():
    assert format_cell(255, "#x") == "0xff" and format_cell("a", "#x") == "a"
    assert format_cell(None, "") == "" and format_cell([1, 2], "") == "1 2"


def test_the_first_overlay_is_chosen_and_drawn(paint, state, results):
    from imgui_bundle import imgui

    def body():
        imgui.begin("overlays")
        overlays.draw(state)
        imgui.end()

    assert paint(body).max() > 180
    assert state.overlay_name == "slabs"
