"""The process table."""

from __future__ import annotations

import numpy as np
import pytest
from imgui_bundle import imgui

from viewer.app.panels import processes
from viewer.app.panels.processes import select_process, user_first

pytestmark = pytest.mark.usefixtures("no_errors")


def test_processes_and_the_areas_of_one_are_listed(paint, state, results):
    def body():
        imgui.set_next_window_size(imgui.ImVec2(600, 500))
        imgui.begin("processes")
        processes.draw(state)
        imgui.end()

    with_areas = paint(body)
    state.mapping_pid = 0
    assert with_areas.max() > 180
    assert np.abs(paint(body) - with_areas).max() > 60


def test_a_row_selects_the_process_and_asks_for_its_memory(state, results):
    asked = []
    state.queries.ask = lambda topic, query, key=None: asked.append((topic, key))
    init, kthreadd = state.queries.result("ps").value
    select_process(state, init, fly=False)
    assert state.pid == state.mapping_pid == 1
    assert asked == [("highlight", "pid:1"), ("maps", 1)]
    select_process(state, kthreadd, fly=False)
    assert asked[2] == ("highlight", "pid:2/kernelstack")


def test_processes_with_memory_come_first_and_a_filter_leaves_what_has_its_words(paint, state, results):
    init, kthreadd = state.queries.result("ps").value
    assert user_first((kthreadd, init)) == (init, kthreadd)

    def body():
        imgui.set_next_window_size(imgui.ImVec2(600, 500))
        imgui.begin("processes")
        processes.draw(state)
        imgui.end()

    state.mapping_pid = 0
    all_rows = paint(body)
    state.table_views["processes"].words = "KTHREAD"
    assert np.abs(paint(body) - all_rows).max() > 60
    assert state.table_views["processes"].rows((init, kthreadd), processes._cells, None) == [kthreadd]
