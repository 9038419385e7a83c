"""Shared memory for arrays: both a program and a device's worker map it, so that nothing is copied."""

from __future__ import annotations

import bisect
import errno
import mmap
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backends.launch import Array, address_of
from ..errors import LaunchError, LimitError
from .touched import Touched


@dataclass
class Ledger:
    """Memory that a device's buffers hold, exact to the byte."""

    limit_bytes: int
    buffers: int = 0
    bytes: int = 0
    peak_bytes: int = 0

    def take(self, size: int) -> None:
        """Count a buffer; `LimitError` where it is one too many bytes."""
        if self.bytes + size > self.limit_bytes:
            raise LimitError(
                f"{size} bytes do not fit: buffers hold {self.bytes} of {self.limit_bytes} bytes; free some or raise the device's memory"
            )
        self.buffers += 1
        self.bytes += size
        self.peak_bytes = max(self.peak_bytes, self.bytes)

    def give_back(self, size: int) -> None:
        """A buffer is gone."""
        self.buffers -= 1
        self.bytes -= size


@dataclass
class SharedBuffer:
    """A mapping of anonymous shared memory; `descriptor` is what a worker maps it from."""

    number: int
    size: int
    descriptor: int
    address: int
    memory: mmap.mmap = field(repr=False)
    touched: Touched = field(default_factory=Touched, repr=False)


class BufferPool:
    """The shared buffers of a device, or of several. An array that lies in one of them is found again by its address; threads may share it."""

    def __init__(self, ledger: Ledger, *forget: Callable[[int], None]) -> None:
        self._ledger, self._forget = ledger, list(forget)
        self._starts: list[int] = []
        self._by_start: dict[int, SharedBuffer] = {}
        self._numbers = 0
        # One that the same thread may take again: an array may be collected while another is made.
        self._lock = threading.RLock()

    def tell(self, forget: Callable[[int], None]) -> None:
        """Call `forget` with the number of each buffer that is gone."""
        self._forget.append(forget)

    def new(self, dtype: np.dtype[Any], count: int) -> Array:
        """A zeroed array in shared memory; it goes when nothing refers to it any more."""
        with self._lock:
            return self._new(dtype, count)

    def _new(self, dtype: np.dtype[Any], count: int) -> Array:
        if count < 0 or not dtype.itemsize or dtype.hasobject:
            raise LaunchError(f"no buffer holds {count} elements of {dtype!r}; it holds numbers")
        size = max(count * dtype.itemsize, 1)
        self._ledger.take(size)
        try:
            descriptor = os.memfd_create("pixel_cpu", os.MFD_CLOEXEC)
            try:
                os.ftruncate(descriptor, size)
                memory = mmap.mmap(descriptor, size)
            except BaseException:
                os.close(descriptor)
                raise
        except BaseException as error:
            self._ledger.give_back(size)
            if isinstance(error, OSError):
                way_out = "; each buffer is an open file: raise 'ulimit -n'" if error.errno == errno.EMFILE else ""
                raise LimitError(f"no buffer of {size} bytes: {error.strerror}{way_out}") from None
            raise
        return self._keep(descriptor, memory, np.frombuffer(memory, dtype, count), size, self._ledger)

    def adopt(self, descriptor: int, size: int) -> Array:
        """The bytes of a file that somebody else made, such as shared memory of a guest; the ledger does not count them.

        The descriptor is copied. A file that is cut while it is mapped kills who reads it: only take one that nobody can cut.
        Raises `LimitError` where it cannot be mapped.
        """
        with self._lock:
            try:
                own = os.dup(descriptor)
                try:
                    memory = mmap.mmap(own, size)
                except BaseException:
                    os.close(own)
                    raise
            except (OSError, ValueError) as error:
                raise LimitError(f"{size} bytes of descriptor {descriptor} cannot be mapped: {error}") from None
            return self._keep(own, memory, np.frombuffer(memory, np.uint8), size, None)

    def _keep(self, descriptor: int, memory: mmap.mmap, found: Array, size: int, ledger: Ledger | None) -> Array:
        address = address_of(np.frombuffer(memory, np.uint8))
        self._numbers += 1
        bisect.insort(self._starts, address)
        self._by_start[address] = SharedBuffer(self._numbers, size, descriptor, address, memory)
        # Every view of the array refers to it, so this runs when the last one is gone.
        weakref.finalize(found, self._drop, address, ledger)
        return found

    def find(self, array: Array) -> tuple[SharedBuffer, int] | None:
        """The buffer that an array lies in, and its first byte there; None for memory from elsewhere."""
        address = address_of(array)
        with self._lock:
            place = bisect.bisect_right(self._starts, address) - 1
            if place < 0:
                return None
            buffer = self._by_start[self._starts[place]]
        offset = address - buffer.address
        return (buffer, offset) if offset + array.nbytes <= buffer.size else None

    def _drop(self, address: int, ledger: Ledger | None) -> None:
        with self._lock:
            buffer = self._by_start.pop(address)
            self._starts.remove(address)
            if ledger:
                ledger.give_back(buffer.size)
            for forget in self._forget:
                forget(buffer.number)
        os.close(buffer.descriptor)
