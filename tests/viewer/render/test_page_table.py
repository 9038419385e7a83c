"""The page table and the cells over it."""

from __future__ import annotations

import numpy as np

from qemu_bridge.wire.page_map import ENTRY, PageMap
from viewer.render.page_table import pack_entries
from viewer.render.scene import Scene
from viewer.view.curve import to_xyz


def table_of(scene, buffer, order):
    edge = 1 << order
    return np.frombuffer(scene.device.queue.read_buffer(buffer), np.uint32)[: edge**3].reshape(edge, edge, edge)


def test_page_table_holds_each_page_at_its_place_on_the_curve(device, source):
    scene = Scene(device, len(source.ram.view))
    assert scene.set_page_map(source.page_map())
    table = table_of(scene, scene.page_table.buffer, scene.page_order)
    x, y, z = to_xyz(np.arange(scene.page_count), scene.page_order).T
    words = pack_entries(source.page_map(), scene.page_count)
    assert np.array_equal(table[z, y, x], words)
    assert np.array_equal(words & 31, source.entries["page_class"])
    assert np.array_equal(words >> 16, source.entries["owner_id"])


def test_cells_name_the_classes_inside(device, source):
    scene = Scene(device, len(source.ram.view))
    scene.set_page_map(source.page_map())
    cells = table_of(scene, scene.page_table.cell_buffer, scene.page_order - 2)
    for cell, classes in enumerate(source.entries["page_class"].reshape(-1, 64)):
        x, y, z = to_xyz(cell, scene.page_order - 2)
        assert cells[z, y, x] == sum(1 << int(c) for c in np.unique(classes))


def test_a_map_shorter_or_newer_than_expected_is_drawn_as_far_as_known():
    entries = np.zeros(4, ENTRY)
    entries["page_class"] = [1, 200, 3, 4]
    words = pack_entries(PageMap(entries, {}), 6)
    assert (words & 31).tolist() == [1, 29, 3, 4, 0, 0]
