"""The list of launches, and what the chosen one did."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from support import OUT

from pixel_cpu.backends.launch import Counters, Trap
from pixel_cpu.runtime.events import BufferUse, LaunchEvent
from viewer.app.panels import details, launches
from viewer.app.panels.launches import buffer_cells, cells, format_size, format_time, summary

pytestmark = pytest.mark.usefixtures("no_errors")

BUFFERS = (
    BufferUse("x", "f32", 1 << 20, 4 << 20, True, False, "shared", 0x7F00DEAD0000),
    BufferUse("y##%s", "f32", 1 << 20, 4 << 20, True, True, "copied", 0x7F00BEEF0000),
)
COUNTERS = Counters(9_000_000, 2 << 20, 1 << 20, 8 << 20, 4 << 20, 4000, 1000, 12, 12_000_000)


def event(number=1, **words):
    about = (4711, "notebook", number, "cpu", f"saxpy{number}", 1 << 20, 256, 1.7e9, {"a": 2.0}, BUFFERS)
    return LaunchEvent(*about, **({"backend": "lane-c avx2 8x4", "seconds": 0.001} | words))


def test_a_row_has_what_a_launch_cost():
    assert cells(event()) == ("saxpy1", "cpu", "1,048,576", "1 ms", "", "12.6", "", "")
    assert cells(event(counters=COUNTERS, traps=1234)) == (
        *("saxpy1", "cpu", "1,048,576", "1 ms", "1,234", "12.6", "25.0%", "75.0%"),
    )
    assert cells(event(error="not done", seconds=0.0))[3:] == ("failed", "", "", "", "")


def test_words_and_units_are_those_of_the_record():
    assert buffer_cells(BUFFERS[0]) == ("x", "1,048,576 f32", "4.19 MB", "load", "shared, 0x7f00dead0000")
    assert buffer_cells(BUFFERS[1])[3:] == ("load, store", "copied, 0x7f00beef0000")
    text = summary(event(device_seconds=0.0005, build_seconds=0.25))
    assert text == "1 ms, 500 us of it on the device, built in 250 ms before, 12.6 MB of its buffers, 12.6 GB/s"
    assert "12.6 MB loaded and stored" in summary(event(counters=COUNTERS))
    assert [format_size(size) for size in (999, 1500, 2_500_000_000)] == ["999 B", "1.5 kB", "2.5 GB"]
    assert [format_time(seconds) for seconds in (2.0, 0.0312, 0.0000312)] == ["2 s", "31.2 ms", "31.2 us"]


def show(paint, layout, state):
    state.tab = "Launches"
    return paint(lambda: details.draw(state, layout))


def test_without_launches_the_panel_says_what_makes_one(paint, layout, state):
    empty = show(paint, layout, state)
    Image.fromarray(empty.astype(np.uint8)).save(OUT / "launches-none.png")
    assert empty[60:250, 700:].max() > 150
    state.launches.problem = "the runtime folder is not a folder of yours"
    assert np.abs(show(paint, layout, state) - empty).max() > 60


def test_launches_are_listed_and_the_chosen_one_is_shown_with_all_it_did(paint, layout, state):
    trapped = event(2, trap=Trap(5, "index 5 outside y[5]", 14), traps=7, printed=3)
    state.launches.add([event(1, counters=COUNTERS), trapped, event(3, error="kernel spin: not done", seconds=0.0)])
    pictures = []
    for number in (1, 2, 3):
        state.launches.chosen = (4711, number)
        pictures.append(show(paint, layout, state))
        Image.fromarray(pictures[-1].astype(np.uint8)).save(OUT / f"launches-{number}.png")
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert (np.abs(pictures[one] - pictures[other])[300:, 700:] > 60).sum() > 500
    state.launches.clear()
    assert np.abs(show(paint, layout, state) - pictures[2]).max() > 60


def test_rows_are_filtered_by_words_and_sorted_by_numbers(state):
    view = state.table_views["launches"]
    state.launches.add([event(1, seconds=3.0), event(2, seconds=1.0, error="lost"), event(3, seconds=2.0)])
    order = [found.number for found in view.rows(state.launches.events, launches._values, 3)]
    assert order == [2, 3, 1]
    view.words = "LOST"
    assert [found.number for found in view.rows(state.launches.events, launches._values, None)] == [2]
