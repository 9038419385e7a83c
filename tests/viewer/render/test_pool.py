"""Sparse bricks equal the dense grid and the NumPy reference, voxel for voxel."""

from __future__ import annotations

import mmap
from typing import ClassVar

import numpy as np
import pytest
from memory_samples import SIZES_AND_ORDERS, some_bytes

from qemu_bridge.errors import GraphicsError, UsageError
from viewer.render.dense_grid import VoxelGrid
from viewer.render.pool import PagePool, coarsen, find_runs, pyramid_words
from viewer.view.curve import page_states, to_xyz, voxelise


def filled(device, ram, order=None):
    pool = PagePool(device, len(ram), order)
    pool.update(ram)
    return pool


@pytest.mark.parametrize(("size", "order"), SIZES_AND_ORDERS)
def test_bricks_equal_the_dense_grid_and_the_reference(device, size, order):
    ram = some_bytes(size, size)
    pool, grid = filled(device, ram, order), VoxelGrid(device, size, order)
    grid.update(ram)
    voxels = pool.read_voxels()
    # Bricks past the end of RAM have no slot; no ray enters them (the box of RAM ends before).
    inside = voxelise(np.full(-(-size >> 12) << 12, 1, np.uint8), pool.order) > 0
    assert np.array_equal(voxels[inside], grid.read_voxels()[inside])
    assert np.array_equal(voxels[inside], voxelise(ram, pool.order)[inside])


@pytest.mark.parametrize("k", [1, 2, 3])
def test_coarser_voxels_show_the_largest_byte(device, k):
    size = 8 ** (6 + k) - 8 ** (4 + k) * 3 // 2
    ram = some_bytes(size, seed=k)
    pool, grid = filled(device, ram, 6), VoxelGrid(device, size, 6)
    grid.update(ram)
    assert (pool.coarsening, pool.order) == (k, 6)
    padded = np.zeros(-(-size >> 12) << 12, np.uint8)
    padded[:size] = ram
    inside = voxelise(coarsen(padded | 1, k), 6) > 0
    assert np.array_equal(pool.read_voxels()[inside], grid.read_voxels()[inside])
    assert np.array_equal(pool.read_voxels()[inside], voxelise(coarsen(padded, k), 6)[inside])


def reference_level(values, k, level):
    """The pyramid's bytes: the largest and the count of every 8^level bytes, seen through a coarsening of k."""
    voxels = coarsen(values, k).reshape(-1, 8 ** (level - k)).astype(np.int64)
    largest = np.minimum((voxels.max(axis=1) + 15) >> 4, 15)
    parts = 8 if level == k + 1 else 15
    share = -(-(voxels > 0).sum(axis=1) * parts // voxels.shape[1])
    return (largest << 4 | share).astype(np.uint8)


@pytest.mark.parametrize(("k", "level"), [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (1, 4), (2, 3), (2, 4), (3, 4)])
def test_pyramid_is_the_reduction_over_memory(device, k, level):
    ram = some_bytes(8 ** (6 + k), seed=level)
    ram[: 1 << 16] = 0
    ram[70_000] = 1
    pool = filled(device, ram, 6)
    expected = np.repeat(reference_level(ram, k, level), 8 ** (level - k))
    assert np.array_equal(pool.read_voxels(level), voxelise(expected, 6))


def test_only_named_pages_change(device):
    before, after = some_bytes(1 << 20, 2), some_bytes(1 << 20, 3)
    pool = filled(device, before)
    pages = np.array([0, 1, 2, 77, *range(100, 140), 200, 201, 255, 9999, -1, 77])
    assert pool.update(after, pages) == 47
    mixed = before.reshape(-1, 4096).copy()
    mixed[pages[:47]] = after.reshape(-1, 4096)[pages[:47]]
    inside = voxelise(np.ones(1 << 20, np.uint8), pool.order) > 0
    assert np.array_equal(pool.read_voxels()[inside], voxelise(mixed.reshape(-1), pool.order)[inside])
    levels = np.repeat(reference_level(mixed.reshape(-1), 0, 2), 64)
    assert np.array_equal(pool.read_voxels(2)[inside], voxelise(levels, pool.order)[inside])


def test_no_pages_is_no_work(device):
    assert PagePool(device, 1 << 18).update(some_bytes(1 << 18), np.zeros(0, np.int64)) == 0


def test_read_only_map_is_taken_as_it_is(device, tmp_path):
    path = tmp_path / "ram"
    path.write_bytes(some_bytes(1 << 18).tobytes())
    with path.open("rb") as file:
        ram = np.frombuffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), np.uint8)
    assert np.array_equal(filled(device, ram).read_voxels(), voxelise(ram, 6))


def test_slots_hold_page_and_state_at_each_place(device):
    pool = PagePool(device, 16 << 20)
    edge = 1 << pool.page_order
    table = np.frombuffer(device.queue.read_buffer(pool.slots), np.uint32).reshape(edge, edge, edge)
    pages = np.arange(pool.page_count)
    x, y, z = to_xyz(pages, pool.page_order).T
    assert np.array_equal(table[z, y, x] & 0xFFFFFF, pages)
    assert np.array_equal(table[z, y, x] >> 24, page_states(pages, pool.page_order))


class Device:
    """The device with some limits lowered."""

    def __init__(self, device, **limits):
        self._device = device
        self.limits = dict(device.limits) | {name.replace("_", "-"): value for name, value in limits.items()}

    def __getattr__(self, name):
        return getattr(self._device, name)


def test_ram_over_one_binding_is_several_segments(device):
    small = Device(device, max_storage_buffer_binding_size=1 << 18)
    ram = some_bytes(1 << 20)
    pool = PagePool(small, len(ram))
    assert (len(pool.segments), len(pool.pyramid), pool.pool_shift) == (4, 1, 6)
    pool.update(ram)
    inside = voxelise(np.ones(len(ram), np.uint8), pool.order) > 0
    assert np.array_equal(pool.read_voxels()[inside], voxelise(ram, pool.order)[inside])
    assert np.array_equal(
        pool.read_voxels(3)[inside], voxelise(np.repeat(reference_level(ram, 0, 3), 512), pool.order)[inside]
    )


def test_a_gib_fits_bindings_of_128_mib(device):
    class Planned(PagePool):
        def __init__(self):  # sizes only
            self.device = Device(device, max_storage_buffer_binding_size=128 << 20)
            self.ram_size, self.page_count = 1 << 30, 1 << 18
            self.order, self.coarsening = self._choose_order(None)

    plan = Planned()
    assert (plan.order, plan.coarsening, plan.pool_shift, plan.pyramid_shift) == (10, 0, 15, 17)


class Eight(Device):
    """What WebGPU promises: eight storage buffers of 128 MiB."""

    limits: ClassVar = {}

    def __init__(self, device):
        super().__init__(
            device,
            max_storage_buffers_per_shader_stage=8,
            max_storage_buffer_binding_size=1 << 18,
            max_buffer_size=1 << 20,
        )


def test_a_device_with_few_bindings_gets_coarser_voxels(device):
    pool = PagePool(Eight(device), 2 << 20)
    assert pool.coarsening == 1
    with pytest.raises(GraphicsError, match="--order 6"):
        PagePool(Eight(device), 2 << 20, 7)


@pytest.mark.parametrize(("size", "order"), [(0, None), (1 << 20, 5), (1 << 20, 11), (16 << 30, 6)])
def test_impossible_orders_are_refused(device, size, order):
    with pytest.raises(UsageError):
        PagePool(device, size, order)


def test_runs_are_found():
    assert find_runs(np.array([3, 4, 5, 9, 11, 12])) == [(3, 3), (9, 1), (11, 2)]
    assert find_runs(np.zeros(0, np.int64)) == []


def test_a_page_has_588_bytes_of_pyramid():
    assert [4 * pyramid_words(k) for k in range(4)] == [588, 76, 12, 4]


def test_cleared_pages_are_zeros_on_the_device(device):
    ram = np.random.default_rng(3).integers(1, 256, 64 * 4096, np.uint8)
    pool = PagePool(device, len(ram))
    pool.update(ram)
    pages = np.r_[3, 8:60]
    assert pool.clear(pages) == len(pages) and pool.clear(np.zeros(0, np.int64)) == 0
    ram[(pages[:, None] * 4096 + np.arange(4096)).ravel()] = 0
    other = PagePool(device, len(ram))
    other.update(ram)
    assert np.array_equal(pool.read_voxels(), other.read_voxels())
    assert np.array_equal(pool.read_voxels(2), other.read_voxels(2))
