"""What a legend says colours mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qemu_bridge.wire.records import PageClass
from viewer.app import appearance
from viewer.picture.legend import LEGEND_WIDTH, draw_overlay
from viewer.picture.legend_entries import describe_layers, explain, glow_bytes, legend_entries, scale_ticks
from viewer.picture.offscreen import load_scene
from viewer.render.page_colours import page_colours
from viewer.sources.heat import Heat
from viewer.sources.learned import LearnedPages
from viewer.view.look import Look, Mode, Transfer, value_ramp

LEARNED = LearnedPages(
    (np.arange(512) % 8).clip(0, 4).astype(np.uint8), {page: "loop" for page in range(512) if page % 8}
)


def test_every_mode_has_either_a_scale_or_swatches(device, source):
    scene = load_scene(source, device)
    scene.set_difference(np.arange(512, dtype=np.uint8) % 4)
    scene.set_learned(LEARNED)
    for mode in Mode:
        scene.set_look(Look(mode=mode))
        assert bool(legend_entries(scene)) + bool(scale_ticks(mode, Transfer())) == (mode is not Mode.CLASS)


def test_a_scale_begins_at_its_top_and_ends_at_its_foot():
    for mode in Mode:
        values = [value for value, _ in scale_ticks(mode, Transfer())]
        assert values == sorted(values, reverse=True)
        assert not values or (values[0], values[-1]) == (255, 0)
    assert [words for _, words in scale_ticks(Mode.BYTES, Transfer(low=32, high=126))] == ["0x7e", "0x20"]


def test_words_of_age_and_writes_stand_where_heat_puts_them():
    heat, page = Heat(1), np.array([0])
    heat.touch(page, 0.0)
    assert dict(scale_ticks(Mode.WRITES, Transfer()))[int(heat.rate(page)[0])] == "once, just now"
    for age_s, words in ((0, "now"), (5, "5 s"), (60, "minute"), (600, "never")):
        assert words in dict(scale_ticks(Mode.AGE, Transfer()))[int(heat.recency(page, age_s)[0])]


def test_owners_are_counted_in_their_colours_where_they_show(device, source):
    scene = load_scene(source, device)
    scene.set_look(Look(mode=Mode.OWNER, isolated=frozenset({PageClass.PROCESS_HEAP})))
    rows = {row.label: row for row in legend_entries(scene)}
    heap = source.entries["page_class"] == PageClass.PROCESS_HEAP
    for owner_id, words in ((1, "init (1)"), (2, "sh (40)")):
        pages = np.flatnonzero(heap & (source.entries["owner_id"] == owner_id))
        if len(pages):
            assert rows[words].size_bytes == len(pages) * 4096
            assert rows[words].colour == tuple(page_colours(scene)[pages[0], :3].tolist())
    assert sum(row.size_bytes for row in rows.values()) == np.count_nonzero(heap) * 4096


def test_a_difference_counts_what_came_and_what_went(device, source):
    scene = load_scene(source, device)
    kinds = np.zeros(512, np.uint8)
    kinds[60:70], kinds[70:75], kinds[0:3] = 1, 2, 3
    scene.set_look(Look(mode=Mode.DIFFERENCE))
    assert legend_entries(scene) == []
    scene.set_difference(kinds)
    assert [(row.label, row.size_bytes // 4096) for row in legend_entries(scene)][1:] == [
        ("changed", 10),
        ("appeared", 5),
        ("gone", 3),
    ]


def test_pages_of_learned_loops_are_counted_by_what_became_of_these(device, source):
    scene = load_scene(source, device)
    kinds = np.zeros(512, np.uint8)
    kinds[[60, 61, 70, 71, 72, 80]] = [1, 1, 2, 2, 3, 4]
    scene.set_look(Look(mode=Mode.LEARNED))
    assert legend_entries(scene) == []
    scene.set_learned(LearnedPages(kinds, {}))
    rows = legend_entries(scene)
    assert {row.label: row.size_bytes // 4096 for row in rows} == {
        "learned": 2,
        "proved": 2,
        "run in place": 1,
        "refused": 1,
    }
    colours = page_colours(scene)[[60, 70, 72, 80], :3]
    assert np.abs(colours.astype(int) - [row.colour for row in rows]).max() <= 1


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.CLASS])
def test_the_picture_shows_the_colours_of_its_mode(device, source, mode):
    scene = load_scene(source, device)
    scene.set_difference(np.arange(512, dtype=np.uint8) % 4)
    scene.set_learned(LEARNED)
    scene.set_look(replace(Look(), mode=mode))
    overlay = draw_overlay((1280, 720), scene, source.title)
    legend = overlay[:, :LEGEND_WIDTH, :3].reshape(-1, 3).astype(int)
    wanted = [row.colour for row in legend_entries(scene)] or value_ramp(scene.look)[[64, 128, 192]].tolist()
    for colour in wanted:
        # A cube's faces are lit: its upper one a little more than the colour is.
        near = np.abs(legend - np.array(colour)).max(axis=1).min()
        assert near <= 45, (mode, colour)


def test_the_legend_says_what_glows_once_something_was_written(device, source):
    scene = load_scene(source, device)
    assert glow_bytes(scene) is None
    without = draw_overlay((1280, 720), scene, source.title)
    pages = np.arange(60, 70)
    scene.update_pages(source.ram.view, pages, np.ones(len(pages), np.bool_), 1.0)
    assert glow_bytes(scene) == 10 * 4096
    assert (draw_overlay((1280, 720), scene, source.title) != without).any()
    scene.advance(source.ram.view, 60.0)
    assert glow_bytes(scene) == 0
    for look in (Look(heat=False), Look(mode=Mode.AGE)):
        scene.set_look(look)
        assert glow_bytes(scene) is None


# What is equal in several machines has nothing to show of one: tests/viewer/render/test_equal_pages.py.
@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.EQUAL])
def test_a_colouring_without_data_says_so_until_it_has_some(device, source, mode):
    scene = load_scene(source, device)
    scene.set_look(Look(mode=mode))
    explained = mode not in (Mode.CLASS, Mode.OWNER, Mode.BYTES)
    assert bool(explain(scene)[0]) == bool(explain(scene)[1]) == explained
    before = draw_overlay((1280, 720), scene, source.title)
    scene.set_difference(np.zeros(512, np.uint8))
    scene.set_executions(np.zeros(512, np.uint32))
    scene.set_learned(LEARNED)
    scene.update_pages(source.ram.view, np.array([60]), np.array([True]), 1.0)
    while not scene.is_settled:
        scene.advance(source.ram.view, 60.0)
    assert explain(scene) == ("", "")
    assert (draw_overlay((1280, 720), scene, source.title) != before).any() or not explained


def test_words_for_layers():
    assert describe_layers(Look().hidden, frozenset()) == ""
    assert describe_layers(Look().hidden | {PageClass.SLAB}, frozenset()) == "without slab"
    assert describe_layers(Look().hidden, frozenset({PageClass.PAGE_TABLE})) == "only page table"


def test_swatches_are_kept_until_what_they_say_changes(state, source):
    appearance.set_look(state, replace(state.scene.look, mode=Mode.OWNER))
    rows = state.legend_cache.rows(state.scene)
    assert rows == legend_entries(state.scene) and state.legend_cache.rows(state.scene) is rows
    source.entries["owner_id"] = 2
    state.scene.set_page_map(source.page_map())
    assert [row.label for row in state.legend_cache.rows(state.scene)] != [row.label for row in rows]
