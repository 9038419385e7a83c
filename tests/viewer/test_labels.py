"""Words on large regions."""

from __future__ import annotations

import math
from dataclasses import replace

from qemu_bridge.protocol import PageClass
from viewer.camera import Camera, default_camera
from viewer.offscreen import load_scene
from viewer.raymarch import Renderer


def test_regions_are_the_largest_run_of_each_class_and_owner(device, source):
    regions = load_scene(source, device).regions()
    text = next(region for region in regions if region.page_class == PageClass.KERNEL_TEXT)
    assert (text.first, text.count) == (60, 68)
    assert regions[0].page_class == PageClass.PROCESS_HEAP
    assert any(region.text.startswith("heap of ") for region in regions)
    assert len({(region.page_class, region.text) for region in regions}) == len(regions)


def test_labels_stand_where_the_camera_sees_their_region(device, source):
    scene = load_scene(source, device)
    camera, size = default_camera(scene.relative_extent), (640, 360)
    labels = scene.labels(camera, size)
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
    assert scene.labels(away, (640, 360)) == [] or scene.labels(away.orbit(180, 0), (640, 360)) == []
    shown = {label.text for label in scene.labels(default_camera(), (640, 360))}
    scene.toggle([PageClass.KERNEL_TEXT])
    assert "kernel text" in shown
    assert "kernel text" not in {label.text for label in scene.labels(default_camera(), (640, 360))}
    scene.set_look(replace(scene.look, labels=False))
    assert scene.labels(default_camera(), (640, 360)) == []
