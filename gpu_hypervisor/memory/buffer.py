"""A buffer of a tenant, on its device or in host memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pixel_cpu.backends.launch import Array
    from pixel_cpu.runtime import Device


class Buffer:
    """Bytes of a tenant. `array` are those on the device; None while they are in host memory.

    A new buffer is zero: the device gives each one pages that nobody had before, or that the kernel has cleared.
    """

    def __init__(self, handle: int, size: int, device: Device) -> None:
        self.handle, self.size = handle, size
        self.pins = 0
        """Jobs that use it; while there are any it stays on the device."""
        self._device = device
        self._stored: bytes | None = None
        self.array: Array | None = device.zeros(size, "u1")

    def evict(self) -> None:
        """Move the bytes to host memory; the device's pages are given back."""
        assert self.array is not None and not self.pins
        self._stored, self.array = self.array.tobytes(), None

    def restore(self) -> Array:
        """Move the bytes back to the device, if they are not there."""
        if self.array is None:
            assert self._stored is not None
            self.array, self._stored = self._device.array(np.frombuffer(self._stored, np.uint8)), None
        return self.array
