"""The dense grid, filled by the compute shader, equals the NumPy reference, voxel for voxel."""

from __future__ import annotations

import mmap
from typing import ClassVar

import numpy as np
import pytest
from memory_samples import SIZES_AND_ORDERS, some_bytes

from qemu_bridge.errors import GraphicsError
from viewer.render.dense_grid import VoxelGrid
from viewer.view.curve import voxelise


def coarsened(values, k):
    """The largest byte of every 8^k."""
    padded = np.zeros(-(-len(values) // 8**k) * 8**k, np.uint8)
    padded[: len(values)] = values
    return padded.reshape(-1, 8**k).max(axis=1)


@pytest.mark.parametrize(("size", "order"), SIZES_AND_ORDERS)
def test_grid_equals_the_reference(device, size, order):
    ram = some_bytes(size)
    grid = VoxelGrid(device, size, order)
    grid.update(ram)
    assert grid.coarsening == 0
    assert np.array_equal(grid.read_voxels(), voxelise(ram, grid.order))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_coarser_voxels_show_the_largest_byte(device, k):
    size = (8 ** (6 + k)) - (8 ** (4 + k)) * 3 // 2
    ram = some_bytes(size, seed=k)
    grid = VoxelGrid(device, size, 6)
    grid.update(ram)
    assert grid.coarsening == k
    assert np.array_equal(grid.read_voxels(), voxelise(coarsened(ram, k), 6))


def test_only_named_pages_change(device):
    before, after = some_bytes(1 << 20, 2), some_bytes(1 << 20, 3)
    grid = VoxelGrid(device, 1 << 20)
    grid.update(before)
    pages = np.array([0, 1, 2, 77, 200, 201, 255, 9999, -1])
    assert grid.update(after, pages) == 7
    mixed = before.reshape(-1, 4096).copy()
    mixed[pages[:7]] = after.reshape(-1, 4096)[pages[:7]]
    assert np.array_equal(grid.read_voxels(), voxelise(mixed.reshape(-1), grid.order))


def test_no_pages_is_no_work(device):
    assert VoxelGrid(device, 1 << 18).update(some_bytes(1 << 18), np.zeros(0, np.int64)) == 0


def test_read_only_map_is_taken_as_it_is(device, tmp_path):
    path = tmp_path / "ram"
    path.write_bytes(some_bytes(1 << 18).tobytes())
    with path.open("rb") as file:
        ram = np.frombuffer(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ), np.uint8)
    grid = VoxelGrid(device, 1 << 18)
    grid.update(ram)
    assert np.array_equal(grid.read_voxels(), voxelise(ram, 6))


def test_grids_over_one_binding_are_several_cubes(device):
    grid = VoxelGrid(device, (128 << 20) + (16 << 20))
    assert (grid.order, grid.cube_order, len(grid.cubes)) == (10, 9, 2)
    # The first page of the second cube: the curve enters it beside the first one's last page.
    ram = np.zeros((128 << 20) + (16 << 20), np.uint8)
    page = 128 << 8
    ram[page << 12 : (page + 1) << 12] = some_bytes(4096)
    grid.update(ram, np.array([page]))
    second = np.frombuffer(device.queue.read_buffer(grid.cubes[1]), np.uint8)
    assert np.array_equal(np.sort(second[second > 0]), np.sort(ram[ram > 0]))


def test_a_grid_too_large_for_the_device_names_the_order_that_fits(device):
    class Small:
        limits: ClassVar = {"max-storage-buffer-binding-size": 128 << 20, "max-storage-buffers-per-shader-stage": 4}

        def __getattr__(self, name):
            return getattr(device, name)

    with pytest.raises(GraphicsError, match="order 9"):
        VoxelGrid(Small(), 1 << 30)


def test_transform_rate_is_measured(device):
    assert VoxelGrid(device, 16 << 20).measure_transform(8 << 20) > 1
