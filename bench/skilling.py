"""Skilling's transform of guest RAM into the voxel grid: the WGSL compute shader and the NumPy reference."""

from __future__ import annotations

import statistics

import numpy as np

from gpu_device.device import adapter_name, request_adapter, request_device
from viewer.render.dense_grid import VoxelGrid
from viewer.view.curve import voxelise

from .figures import Figure, seconds

_REFERENCE_ORDER = 7


def measure(rounds: int) -> list[Figure]:
    """Throughput of both, the shader's over the grid of a 128 MiB guest."""
    adapter = request_adapter()
    grid = VoxelGrid(request_device(adapter), 128 << 20)
    grid.measure_transform()
    shader = statistics.median(grid.measure_transform() for _ in range(rounds))
    values = np.random.default_rng(1).integers(0, 256, 1 << (3 * _REFERENCE_ORDER), np.uint8)
    voxelise(values, _REFERENCE_ORDER)
    reference = (
        values.size
        / 1e6
        / statistics.median(seconds(lambda: voxelise(values, _REFERENCE_ORDER)) for _ in range(rounds))
    )
    return [
        Figure("Skilling in WGSL", shader, "MB/s", "", adapter_name(adapter)),
        Figure("Skilling in WGSL / NumPy", shader / reference, "x", "", f"the reference does {reference:.1f} MB/s"),
    ]
