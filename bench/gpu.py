"""Targets for a GPU: full pictures at the rate of a screen while a large guest writes.

A software driver shares the guest's processors, so there is nothing to hold it to: it is named, and nothing measured.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
import wgpu

from gpu_device.device import adapter_name

from .figures import Figure, seconds
from .guests import PAGE_BYTES

if TYPE_CHECKING:
    from .viewer import Stage

PICTURE = (1920, 1080)
DIRTY_SHARE = 0.01
_WARM_UP = 20
_RAYS_PASSES = 10


def is_software(adapter: wgpu.GPUAdapter) -> bool:
    """Whether the adapter is a software driver."""
    return str(adapter.info["adapter_type"]) == "CPU"


def skipped(adapter: wgpu.GPUAdapter) -> Figure:
    """The figure that says why nothing was measured."""
    reason = f"{adapter_name(adapter)} is a software driver: run this where there is a GPU, with --capture or without"
    return Figure("targets for a GPU measured", 0, "", "", reason)


def measure_gpu(stage: Stage, adapter: wgpu.GPUAdapter, frames: int = 600) -> list[Figure]:
    """Frames of a turning camera with a hundredth of all pages dirty in each, rays, and uploads against plain copies."""
    mib = stage.pool.ram_size >> 20
    return [
        *_measure_frames(stage, f"{mib} MiB, {adapter_name(adapter)}", frames),
        _measure_rays(stage, mib),
        *_measure_upload(stage, mib, max(frames // 20, 3)),
    ]


def _measure_frames(stage: Stage, what: str, frames: int) -> list[Figure]:
    dirty = stage.choose_dirty(max(int(DIRTY_SHARE * stage.pool.page_count), 4))
    camera, times = stage.camera, []
    for _ in range(_WARM_UP + frames):
        camera = camera.orbit(1, 0)
        times.append(seconds(lambda at=camera: stage.draw_frame(at, PICTURE, dirty, PICTURE)))
    times = times[_WARM_UP:]
    detail = f"{PICTURE[0]}x{PICTURE[1]}, {len(dirty)} pages dirty a frame, {frames} frames, {what}"
    p99 = float(np.percentile(times, 99))
    return [
        Figure("frames per second on a GPU", 1 / statistics.mean(times), "1/s", ">= 120", detail),
        Figure("99th percentile of frame times on a GPU", 1e3 * p99, "ms", "<= 16", detail),
    ]


def _measure_rays(stage: Stage, mib: int) -> Figure:
    """Rays to the first byte and no light: what picking casts, from outside, with empty space skipped."""

    def cast() -> None:
        for _ in range(_RAYS_PASSES):
            stage.renderer.draw_pick(stage.camera, PICTURE, (0, 0), PICTURE)
        stage.pool.wait()

    cast()
    passes_s = statistics.median(seconds(cast) for _ in range(5))
    rays = _RAYS_PASSES * PICTURE[0] * PICTURE[1] / passes_s
    return Figure("rays per second", rays / 1e9, "G/s", "", f"{PICTURE[0]}x{PICTURE[1]} from outside, {mib} MiB")


def _measure_upload(stage: Stage, mib: int, rounds: int) -> list[Figure]:
    """Updates of dirty pages, pyramid and all, against one write of as many bytes: the device's copy limit."""
    dirty = stage.choose_dirty(max(stage.pool.page_count // 16, 4))
    size = len(dirty) * PAGE_BYTES
    block = np.ascontiguousarray(stage.view.reshape(-1, PAGE_BYTES)[dirty]).reshape(-1)
    sink = stage.pool.device.create_buffer(size=size, usage=wgpu.BufferUsage.COPY_DST)

    def update() -> None:
        stage.pool.update(stage.view, dirty)
        stage.pool.wait()

    def copy() -> None:
        stage.pool.device.queue.write_buffer(sink, 0, block)
        stage.pool.wait()

    update(), copy()
    started = time.perf_counter()
    pairs = [(seconds(update), seconds(copy)) for _ in range(rounds)]
    ours, limit = (size / statistics.median(column) / 1e9 for column in zip(*pairs, strict=True))
    detail = f"{len(dirty)} pages of {mib} MiB, {rounds} rounds in {time.perf_counter() - started:.1f} s"
    return [
        Figure("upload of dirty pages", ours, "GB/s", "", detail),
        Figure("one write of as many bytes, the copy limit", limit, "GB/s", "", detail),
    ]
