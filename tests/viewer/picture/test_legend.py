"""Words on the picture."""

from __future__ import annotations

import numpy as np

from qemu_bridge.wire.records import PageClass
from viewer.picture.legend import draw_overlay, find_labels, format_bytes, has_legend, legend_classes, legend_shift
from viewer.picture.offscreen import load_scene
from viewer.render.raymarch import Renderer
from viewer.view.camera import default_camera


def test_sizes_are_short():
    assert [format_bytes(n) for n in (4096, 14 << 20, 592 << 10)] == ["4 KiB", "14.0 MiB", "592 KiB"]


def test_legend_lists_what_is_there_with_glass_last(device, source):
    classes = legend_classes(load_scene(source, device))
    assert classes[0] == PageClass.KERNEL_TEXT
    assert set(classes[-2:]) == {PageClass.ZERO, PageClass.OTHER}
    assert PageClass.UNTOUCHED not in classes


def test_labels_point_at_pixels_of_their_class_and_name_the_owner(device, source):
    scene = load_scene(source, device)
    picked = Renderer(scene).pick_pages(default_camera(), (640, 360))
    labels = {label.text: label for label in find_labels(scene, picked)}
    assert "kernel text" in labels
    assert any(text.startswith("heap of ") and "(" in text for text in labels)
    for label in labels.values():
        page = picked[int(label.y), int(label.x)]
        page_class = PageClass(source.entries["page_class"][page])
        assert page_class.label.removeprefix("process ") in label.text


def test_overlay_is_premultiplied_and_clear_where_there_are_no_words(device, source):
    scene = load_scene(source, device)
    overlay = draw_overlay((1280, 720), scene, source.title, with_keys=True)
    assert overlay.shape == (720, 1280, 4)
    assert (overlay[..., :3].max(axis=-1) <= overlay[..., 3]).all()
    assert not overlay[:, 900:].any()
    assert overlay[:, :260].max() > 150


def test_small_pictures_have_no_legend(device, source):
    assert not has_legend(320, 180)
    assert legend_shift(320, 180) == (0, 0)
    assert not draw_overlay((320, 180), load_scene(source, device), "x").any()


def test_a_scene_without_a_map_can_be_captioned(device):
    from viewer.render.scene import Scene

    scene = Scene(device, 1 << 18)
    assert find_labels(scene, np.full((10, 10), -1)) == []
    assert draw_overlay((1280, 720), scene, "bare").any()
