"""Arcs in pictures, by their pixels: where they are, which way they point, and how they fade."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from synthetic import SyntheticSource

from qemu_bridge.wire.network_records import Flow, FlowEnd, Naming
from viewer.picture.arcs import place_arcs, place_words
from viewer.picture.offscreen import load_scenes, render_scene
from viewer.sources import flows
from viewer.sources.flows import Arc
from viewer.view.arcs import COLOUR
from viewer.view.camera import Camera
from viewer.view.labels import touches

CAMERA, SIZE = Camera(yaw=18, pitch=20, distance=6, target=(1.1, 0.7, 0.5)), (960, 540)


def named(name):
    return SyntheticSource(f"{name} · 2 MiB RAM")


@pytest.fixture(scope="module")
def scenes(device):
    return load_scenes([named("one"), named("other")])


def arc(sender, receiver, strength=1.0):
    return Arc(sender, receiver, 100_000, (f"from {sender}",), strength)


def draw(scenes, *arcs):
    return render_scene(scenes[0], SIZE, camera=CAMERA, passes=1, others=scenes[1:], arcs=arcs).astype(int)


def test_an_arc_is_drawn_along_its_path_with_its_head_at_the_receiver(scenes):
    without, drawn = draw(scenes), draw(scenes, arc("one", "other"))
    changed = np.abs(drawn - without).max(axis=-1) > 40
    (placed,) = place_arcs(scenes, [arc("one", "other")], CAMERA, SIZE, shift_of(SIZE))
    inks = np.array([drawn[round(y), round(x)] for x, y in placed.path[2:-2]])
    far = np.abs(inks - COLOUR).max(axis=1)
    assert np.quantile(far, 0.7) < 10  # elsewhere it is mixed with what is behind, or its words stand over it
    rows, columns = np.nonzero(changed)
    low, high = placed.path.min(axis=0), placed.path.max(axis=0)
    assert columns.min() > low[0] - 20 and columns.max() < high[0] + 20
    assert rows.min() > low[1] - 40 and rows.max() < high[1] + 20
    ink = (np.abs(drawn - COLOUR).max(axis=-1) < 60) & changed
    ends = [ink[round(y) - 9 : round(y) + 10, round(x) - 9 : round(x) + 10].sum() for x, y in placed.path[[0, -1]]]
    assert ends[1] > 1.4 * ends[0]


def shift_of(size):
    from viewer.picture.legend import legend_shift

    return legend_shift(*size)


def test_a_fainter_arc_is_nearer_to_what_is_behind_it(scenes):
    without, full, faint = (draw(scenes, *arcs) for arcs in ((), (arc("one", "other"),), (arc("one", "other", 0.3),)))
    strong = np.abs(full - without).max(axis=-1) > 100
    assert strong.sum() > 300
    shares = np.abs(faint - without).sum(axis=-1)[strong] / np.abs(full - without).sum(axis=-1)[strong]
    assert 0.2 < np.median(shares) < 0.4


def test_the_words_of_both_ways_are_on_both_sides(scenes):
    both = [arc("one", "other"), arc("other", "one")]
    placed = place_arcs(scenes, both, CAMERA, SIZE, (0.0, 0.0))
    assert sorted(each.is_below for each in placed) == [False, True]
    upper = min(placed, key=lambda each: each.path[:, 1].min())
    assert not upper.is_below
    assert place_arcs(scenes, [arc("one", "nobody")], CAMERA, SIZE, (0.0, 0.0)) == []


def test_a_window_draws_what_is_news_until_it_is_none_any_more(open_screen, monkeypatch):
    screen = open_screen(named("one"), named("other"))
    state, watch = screen.state, screen.window.flows
    state.open_panel("details", False)
    screen.draw_until(lambda: state.is_idle)
    monkeypatch.setattr(flows, "FADE_S", 1e6)

    def in_ink(picture):
        return int((np.abs(picture.astype(int) - COLOUR).max(axis=-1) < 60).sum())

    before = in_ink(screen.draw(2))
    ends = FlowEnd("one", "10.0.0.1", 9, Naming.SOCKET, "nc", (7,), 1, 5000), FlowEnd("other", "10.0.0.2", 9)
    watch._recent.add("lab", [Flow(1, "tcp", *ends, "open", time.time(), time.time())], time.time())
    assert in_ink(screen.draw(2)) > before + 200
    assert [each.words for each in state.arcs] == [("nc → …: 4.9 KiB",)]
    monkeypatch.setattr(flows, "FADE_S", 0.0)
    assert in_ink(screen.draw(2)) == before and not state.arcs


def test_words_of_many_arcs_stand_apart(scenes):
    """Between two machines both ways, and a crowd that all want the same place."""
    placed = place_arcs(scenes, [arc("one", "other"), arc("other", "one")], CAMERA, SIZE, shift_of(SIZE))
    name = (300.0, 100.0, 380.0, 130.0)
    area = (0.0, 0.0, float(SIZE[0]), float(SIZE[1]))
    crowd = [replace(each, words=("first", "second", "third")) for each in placed * 6]
    found = place_words(crowd, lambda text: 12.0 * len(text), 17.0, area, [name])
    boxes = [name, *(each.box for each in found)]
    assert len(found) >= 4 and found[0].arc is crowd[-1], "the strongest chooses first"
    for number, box in enumerate(boxes):
        assert not touches(box, boxes[:number], 0)
        assert area[0] <= box[0] and area[1] <= box[1] and box[2] <= area[2] and box[3] <= area[3]
    assert {len(each.lines) for each in found} <= {1, 3}
    short = place_words(crowd[:1], lambda text: 12.0 * len(text), 17.0, (0.0, 0.0, 960.0, 20.0))
    assert [each.lines for each in short] in ([], [("first",)])


def test_three_machines_and_flows_between_all_of_them(device, pictures):
    three = load_scenes([named("web"), named("database"), named("cache")])
    pairs = [
        (one, other) for one in ("web", "database", "cache") for other in ("web", "database", "cache") if one != other
    ]
    arcs = [
        Arc(one, other, 10_000, (f"nginx → {other}: 9.8 KiB", "curl → sh: 312 B"), 0.4 + 0.1 * number)
        for number, (one, other) in enumerate(pairs)
    ]
    camera = Camera(yaw=18, pitch=20, distance=8, target=(1.8, 0.8, 0.5))
    drawn = render_scene(three[0], (1280, 720), camera=camera, passes=4, others=three[1:], arcs=arcs)
    pictures.check(drawn, "arcs-of-three")
