"""Words on the picture."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.wire.records import Owner, PageClass
from viewer.picture.legend import (
    _fit,
    _Pen,
    caption,
    draw_overlay,
    find_labels,
    format_bytes,
    free_aspect,
    has_legend,
    legend_classes,
    legend_shift,
    scene_guide,
)
from viewer.picture.offscreen import load_scene
from viewer.render.raymarch import Renderer
from viewer.render.scene import Scene
from viewer.view.camera import default_camera
from viewer.view.labels import describe_owner, describe_pages
from viewer.view.look import Look, Mode


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


def test_a_label_names_what_colours_mean_and_stands_on_it(device, source):
    """One page of a stack amid a block of a file: the block is not called after the page."""
    source.entries["page_class"][60:128], source.entries["owner_id"][60:128] = PageClass.SHMEM, 9
    source.entries["page_class"][100], source.entries["owner_id"][100] = PageClass.PROCESS_STACK, 2
    source.owners[9] = Owner(9, 0, "/tmp/x", "file")
    scene = load_scene(source, device)
    kinds = np.zeros(512, np.uint8)
    kinds[60:128] = 2
    scene.set_difference(kinds)
    for mode in (Mode.OWNER, Mode.DIFFERENCE, Mode.ENTROPY, Mode.CLASS):
        scene.set_look(Look(mode=mode))
        picked = Renderer(scene).pick_pages(default_camera(), (640, 360))
        labels = find_labels(scene, picked)
        assert labels
        for label in labels:
            page = picked[int(label.y), int(label.x)]
            page_class = PageClass(source.entries["page_class"][page])
            owner = source.owners.get(int(source.entries["owner_id"][page]))
            words = {
                Mode.OWNER: {describe_owner(owner)},
                Mode.DIFFERENCE: {f"appeared: {describe_pages(page_class, owner)}"},
                Mode.ENTROPY: {describe_pages(page_class, owner)},
                Mode.CLASS: {describe_pages(page_class, owner), page_class.label},
            }
            assert label.text in words[mode]
        if mode is Mode.DIFFERENCE:
            assert max(labels, key=lambda label: label.size).text == "appeared: shmem of /tmp/x"


def test_a_class_of_many_owners_is_not_called_after_one(device, source):
    heap = source.entries["page_class"] == PageClass.PROCESS_HEAP
    source.entries["owner_id"][heap] = 10 + np.arange(np.count_nonzero(heap))
    source.owners |= {number: Owner(number, number, "many") for number in range(10, 200)}
    scene = load_scene(source, device)
    labels = {label.text for label in find_labels(scene, Renderer(scene).pick_pages(default_camera(), (640, 360)))}
    assert "process heap" in labels


def test_overlay_is_premultiplied_and_clear_where_there_are_no_words(device, source):
    scene = load_scene(source, device)
    overlay = draw_overlay((1280, 720), scene, source.title, with_keys=True)
    assert overlay.shape == (720, 1280, 4)
    assert (overlay[..., :3].max(axis=-1) <= overlay[..., 3]).all()
    assert not overlay[:, 900:].any()
    assert overlay[:, :260].max() > 150


@pytest.mark.parametrize(("size", "voxels"), [(64 << 20, [256, 512, 512]), (128 << 20, [512, 512, 512])])
def test_the_caption_has_the_size_of_the_box_that_ram_fills(device, size, voxels):
    words = caption(Scene(device, size)).partition(", ")[2].removesuffix(" voxels")
    assert sorted(map(int, words.split(" x "))) == voxels


@pytest.mark.parametrize("size", [(1280, 720), (320, 180), (3840, 2160), (720, 720)])
def test_what_is_free_is_inside_the_picture(size):
    middle, half = size[0] / 2 * (1 + legend_shift(*size)[0]), free_aspect(*size) * size[1] / 2
    assert 0 <= middle - half < middle + half <= size[0]


def test_small_pictures_have_no_legend(device, source):
    assert not has_legend(320, 180)
    assert legend_shift(320, 180) == (0, 0)
    assert not draw_overlay((320, 180), load_scene(source, device), "x").any()


def test_a_scene_without_a_map_can_be_captioned(device):
    scene = Scene(device, 1 << 18)
    assert find_labels(scene, np.full((10, 10), -1)) == []
    assert draw_overlay((1280, 720), scene, "bare").any()


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("kernel rodata", "kernel rodata"),
        ("process text of /lib/ld-musl-x86_64.so.1", "text of ld-musl-x86_64.so.1"),
        ("process file of /usr/bin/qemu", "process file of qemu"),
        ("slab " + "x" * 60, "slab " + "x" * 8),
    ],
)
def test_a_label_that_is_too_long_keeps_the_last_part_of_a_path(words, written):
    pen = _Pen((1280, 720), 720)
    found = _fit(pen, words, 340)
    assert found == written or (found.startswith(written) and found.endswith("…"))
    assert pen.box(0, 0, found, 14, "lm")[2] <= 340


def test_a_guide_at_the_lower_right_shows_how_addresses_run(device, source):
    scene = load_scene(source, device)
    guided = draw_overlay((1280, 720), scene, source.title, camera=default_camera())
    changed = np.argwhere((guided != draw_overlay((1280, 720), scene, source.title)).any(axis=2))
    assert len(changed) > 200 and changed[:, 0].min() > 540 and changed[:, 1].min() > 1050
    assert scene_guide(scene, default_camera())[1] == ["0 to 2 MiB, 256 KiB a step", "8 x 8 x 8 bricks"]
