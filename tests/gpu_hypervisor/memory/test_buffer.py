"""Buffers leave their device and come back."""

import numpy as np
import pytest

from gpu_hypervisor.memory import Buffer
from pixel_cpu import Device


def test_bytes_survive_eviction_and_the_device_has_its_memory_back():
    with Device("reference") as device:
        buffer = Buffer(1, 1000, device)
        assert not buffer.array.any() and device.ledger.bytes == 1000
        values = np.random.default_rng(1).integers(0, 256, 1000, np.uint8)
        buffer.array[:] = values
        buffer.evict()
        assert buffer.array is None and device.ledger.bytes == 0
        assert (buffer.restore() == values).all() and device.ledger.bytes == 1000
        assert buffer.restore() is buffer.array
        buffer.pins = 1
        with pytest.raises(AssertionError):
            buffer.evict()
