"""Words on large regions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from qemu_bridge.wire.records import PageClass
from viewer.picture.offscreen import load_scene
from viewer.render.raymarch import Renderer
from viewer.view.camera import Camera, default_camera
from viewer.view.labels import arrange, find_regions, region_labels


def labels_of(scene, camera, size):
    return region_labels(scene.page_map, scene.page_order, scene.look, camera, size)


def test_regions_are_the_largest_run_of_each_class_and_owner(device, source):
    scene = load_scene(source, device)
    regions = find_regions(scene.page_map, scene.page_order)
    text = next(region for region in regions if region.page_class == PageClass.KERNEL_TEXT)
    assert (text.first, text.count) == (60, 68)
    assert regions[0].page_class == PageClass.PROCESS_HEAP
    assert any(region.text.startswith("heap of ") for region in regions)
    assert len({(region.page_class, region.text) for region in regions}) == len(regions)


def test_labels_stand_where_the_camera_sees_their_region(device, source):
    scene = load_scene(source, device)
    camera, size = default_camera(scene.relative_extent), (640, 360)
    labels = labels_of(scene, camera, size)
    label = next(label for label in labels if label.text == "kernel text")
    # The renderer agrees: a narrow view from the same eye at the region shows its class in the middle of it.
    scene.set_look(replace(scene.look, isolated=frozenset({PageClass.KERNEL_TEXT})))
    pages = Renderer(scene).pick_pages(camera, size)
    x, y = round(label.x), round(label.y)
    near = pages[max(y - 12, 0) : y + 12, max(x - 12, 0) : x + 12]
    assert (near >= 0).any()
    assert math.isfinite(label.x)


def test_no_labels_behind_the_camera_or_for_hidden_classes_or_when_off(device, source):
    scene = load_scene(source, device)
    away = Camera(0, 0, 0.01, (0.5, 0.5, 30.0))
    assert labels_of(scene, away, (640, 360)) == [] or labels_of(scene, away.orbit(180, 0), (640, 360)) == []
    shown = {label.text for label in labels_of(scene, default_camera(), (640, 360))}
    scene.toggle([PageClass.KERNEL_TEXT])
    assert "kernel text" in shown
    assert "kernel text" not in {label.text for label in labels_of(scene, default_camera(), (640, 360))}
    scene.set_look(replace(scene.look, labels=False))
    assert labels_of(scene, default_camera(), (640, 360)) == []


AREA = (0.0, 0.0, 300.0, 200.0)


def gap_between(one, other):
    """How far two boxes are apart along x or y; negative where they overlap."""
    return max(one[0] - other[2], other[0] - one[2], one[1] - other[3], other[1] - one[3])


@pytest.mark.parametrize("seed", range(20))
def test_boxes_in_a_crowd_never_touch_and_stay_inside(seed):
    random = np.random.default_rng(seed)
    corners, sizes = random.uniform(-20, 300, (40, 2)), random.uniform((20, 8), (120, 20), (40, 2))
    wanted = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners.tolist(), sizes.tolist(), strict=True)]
    taken = [(200.0, 0.0, 300.0, 60.0)]
    places = arrange(wanted, AREA, 3.0, taken)
    standing = [place for place in places if place is not None]
    assert 5 < len(standing) < 40
    for number, place in enumerate(standing):
        assert AREA[0] <= place[0] and AREA[1] <= place[1] and place[2] <= AREA[2] and place[3] <= AREA[3]
        assert all(gap_between(place, other) >= 3 - 1e-9 for other in [*taken, *standing[:number]])
    for box, place in zip(wanted, places, strict=True):
        if place is not None:
            assert math.isclose(box[2] - box[0], place[2] - place[0])
            assert abs(box[1] - place[1]) < 4 * (box[3] - box[1] + 3)


def test_the_first_stays_the_second_moves_and_what_finds_no_place_is_dropped():
    box = (10.0, 50.0, 60.0, 60.0)
    places = arrange([box] * 9, AREA, 3.0)
    assert places[0] == box
    assert places[1] == (10.0, 37.0, 60.0, 47.0) and places[2] == (10.0, 63.0, 60.0, 73.0)
    assert [place is None for place in places] == [False] * 7 + [True] * 2
    assert arrange([(0.0, 0.0, 400.0, 10.0)], AREA, 3.0) == [None]
