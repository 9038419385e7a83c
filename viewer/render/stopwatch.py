"""How long the graphics device works on a pass, by its own clock, without waiting for the answer.

A pass writes two timestamps, at its begin and its end; they are copied into a buffer that is mapped while later
frames are drawn. So the answer is some frames old. A tick is a nanosecond, as WebGPU defines it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import wgpu

from gpu_device.device import TIMESTAMPS

_SIZE = 16
_PATIENCE = 3
"""Frames after which an answer is fetched: by then it is there."""


class Stopwatch:
    """Times passes of one kind. On a device without timestamps it measures nothing."""

    def __init__(self, device: wgpu.GPUDevice) -> None:
        self._queries: wgpu.GPUQuerySet | None = None
        self._promise: Any = None
        self._is_armed = False
        self._polls = 0
        if TIMESTAMPS not in device.features:
            return
        self._queries = device.create_query_set(type="timestamp", count=2)
        resolve = wgpu.BufferUsage.QUERY_RESOLVE | wgpu.BufferUsage.COPY_SRC
        self._resolved = device.create_buffer(size=_SIZE, usage=resolve)
        self._read = device.create_buffer(size=_SIZE, usage=wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.MAP_READ)

    def begin(self) -> dict[str, Any]:
        """Arguments for the pass: its timestamps, or none while the last answer is still on its way."""
        self._is_armed = self._queries is not None and self._promise is None
        if not self._is_armed:
            return {}
        writes = {"query_set": self._queries, "beginning_of_pass_write_index": 0, "end_of_pass_write_index": 1}
        return {"timestamp_writes": writes}

    def resolve(self, encoder: wgpu.GPUCommandEncoder) -> None:
        """Add to the encoder of the pass, behind it, what brings its timestamps back."""
        if self._is_armed:
            encoder.resolve_query_set(self._queries, 0, 2, self._resolved, 0)
            encoder.copy_buffer_to_buffer(self._resolved, 0, self._read, 0, _SIZE)

    def submitted(self) -> None:
        """Say that the encoder was submitted: ask for the answer."""
        if self._is_armed:
            self._promise, self._is_armed, self._polls = self._read.map_async("READ"), False, 0

    def take_s(self) -> float | None:
        """Seconds that an earlier pass took, once; None where none is known. To be called once a frame."""
        if self._promise is None:
            return None
        self._polls += 1
        if self._polls < _PATIENCE:
            return None
        self._promise.sync_wait()
        begin, end = np.frombuffer(self._read.read_mapped(), np.uint64).tolist()
        self._read.unmap()
        self._promise = None
        return (end - begin) * 1e-9 if end > begin else None
