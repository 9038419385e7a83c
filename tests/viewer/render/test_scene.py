"""The page table and the cells over it."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.page_map import ENTRY, PageMap
from qemu_bridge.wire.records import PageClass
from viewer.picture.legend import caption
from viewer.render.raymarch import Renderer
from viewer.render.scene import Scene, extent_in_pages
from viewer.view.camera import default_camera
from viewer.view.class_masks import visible_mask
from viewer.view.curve import voxelise


def test_the_same_map_again_changes_nothing(device, source):
    scene = Scene(device, len(source.ram.view))
    assert scene.set_page_map(source.page_map())
    assert not scene.set_page_map(source.page_map())
    source.entries["page_class"][3] = PageClass.PAGE_TABLE
    assert scene.set_page_map(source.page_map())


def test_untouched_pages_are_never_read(device, source):
    scene = Scene(device, len(source.ram.view))
    source.ram.memory[~source.ram.touched] = 7  # would show if it were read
    touched = int(source.ram.touched.sum())
    assert scene.update_ram(source.ram) == touched
    expected = source.ram.memory.copy()
    expected[~source.ram.touched] = 0
    assert np.array_equal(scene.pool.read_voxels(), voxelise(expected.reshape(-1), scene.pool.order))


def test_only_bytes_of_visible_bodies_show(device, source):
    scene = Scene(device, len(source.ram.view))
    pages = {c: np.flatnonzero(source.entries["page_class"] == c)[:3] for c in PageClass}
    assert not scene.shows_bytes(pages[PageClass.KERNEL_TEXT]).any()  # no map yet
    scene.set_page_map(source.page_map())
    assert scene.shows_bytes(pages[PageClass.KERNEL_TEXT]).any()
    assert scene.shows_bytes(pages[PageClass.PROCESS_HEAP]).any()
    assert not scene.shows_bytes(pages[PageClass.OTHER]).any()
    assert not scene.shows_bytes(np.zeros(0, np.int64)).any()
    scene.toggle([PageClass.KERNEL_TEXT])
    assert not scene.shows_bytes(pages[PageClass.KERNEL_TEXT]).any()


def test_toggle_shows_and_hides(device):
    scene = Scene(device, 1 << 18)
    mask = visible_mask(scene.look)
    assert not mask & 1
    scene.toggle([PageClass.OTHER])
    assert visible_mask(scene.look) == mask & ~(1 << PageClass.OTHER)
    scene.toggle([PageClass.OTHER])
    assert visible_mask(scene.look) == mask


@pytest.mark.parametrize(("mib", "order", "extent"), [(64, 5, 2), (128, 5, 3), (256, 6, 1), (512, 6, 2), (1024, 6, 3)])
def test_ram_fills_a_box_along_the_curve(mib, order, extent):
    # `extent` of the three edges are as long as the cube's, the others half as long.
    edges = extent_in_pages(mib << 8, order)
    assert sorted(edge == 1 << order for edge in edges).count(True) == extent
    assert edges[0] * edges[1] * edges[2] == mib << 8


@pytest.mark.parametrize("size", [3, 4096, 4097, 9 << 29])
def test_guests_from_three_bytes_to_more_than_a_binding_holds_are_drawn(device, size):
    # Most of a large one is a hole, as in a machine: only what was touched is read.
    ram = np.frombuffer(mmap.mmap(-1, size), np.uint8)
    entries = np.zeros(-(-size // 4096), ENTRY)
    touched = np.unique(np.linspace(0, len(entries) - 1, 300).astype(int))
    entries["page_class"][touched] = PageClass.KERNEL_TEXT
    for page in touched.tolist():
        ram[page * 4096 : page * 4096 + 4096] = 1 + page % 255
    scene = Scene(device, size)
    scene.set_page_map(PageMap(entries, {}))
    scene.pool.update(ram, touched.astype(np.int64))
    assert caption(scene).startswith("1 voxel = 8 bytes" if size > 1 << 30 else "1 voxel = 1 byte ")
    picks = Renderer(scene).pick(default_camera(scene.relative_extent), (160, 90))
    shown = np.unique(picks.pages[picks.pages >= 0])
    assert len(shown) > min(len(touched), 100) / 2
    assert np.isin(shown, touched).all()


def test_a_guest_without_memory_is_refused(device):
    with pytest.raises(UsageError, match="give it some memory"):
        Scene(device, 0)
