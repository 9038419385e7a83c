"""Which buffers are on the device: those used last, as far as it has room for them."""

from __future__ import annotations

from collections import OrderedDict

from ..errors import QuotaError
from .buffer import Buffer


class Residency:
    """Buffers of all tenants on a device of `limit_bytes`. Tenants' quotas may be more together: who was used longest ago is evicted.

    Attributes:
        evictions, restores: how often a buffer left the device, and came back.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self.evictions = self.restores = self.evicted_bytes = 0
        self._buffers: OrderedDict[Buffer, None] = OrderedDict()
        """Those on the device, longest unused first."""

    def make_room(self, size: int) -> list[Buffer]:
        """Evict buffers until so many bytes are free; those evicted. `QuotaError` where what is left is in use."""
        evicted = []
        if self.bytes + size > self.limit_bytes:
            idle = [buffer for buffer in self._buffers if not buffer.pins]
            free = self.limit_bytes - self.bytes
            if free + sum(buffer.size for buffer in idle) < size:
                raise QuotaError(
                    f"{size} bytes are wanted, and jobs use all but {free} of the device's {self.limit_bytes}; wait for a job to end",
                    size,
                    free,
                )
            for buffer in idle:
                if self.bytes + size <= self.limit_bytes:
                    break
                self._evict(buffer)
                evicted.append(buffer)
        return evicted

    def add(self, buffer: Buffer) -> None:
        """A buffer that is on the device, after `make_room` for it."""
        self._buffers[buffer] = None
        self.bytes += buffer.size

    def use(self, buffer: Buffer) -> None:
        """Have a buffer on the device, as the one used last."""
        if buffer in self._buffers:
            self._buffers.move_to_end(buffer)
            return
        self.make_room(buffer.size)
        buffer.restore()
        self.restores += 1
        self.add(buffer)

    def remove(self, buffer: Buffer) -> None:
        """A buffer is gone."""
        if buffer in self._buffers:
            del self._buffers[buffer]
            self.bytes -= buffer.size

    def take(self, size: int) -> None:
        """Count bytes that are not a buffer's, such as a job's copies."""
        self.make_room(size)
        self.bytes += size

    def give_back(self, size: int) -> None:
        """They are free again."""
        self.bytes -= size

    def _evict(self, buffer: Buffer) -> None:
        del self._buffers[buffer]
        buffer.evict()
        self.bytes -= buffer.size
        self.evictions += 1
        self.evicted_bytes += buffer.size
