"""Guest RAM, read in place: the shared file that QEMU backs it with, mapped read-only.

>>> ram = GuestRam(Path("/dev/shm/glassbox-demo.ram"), RamLayout.from_rule("pc", 128 << 20))
>>> ram.read(PhysicalAddress(0x1000), 4)
b'\\x00\\x00\\x00\\x00'
>>> ram.view[0x1000:0x2000].sum()        # the same bytes as a NumPy array: no copy
0

Every read sees the guest's memory as it is at that moment; nothing here stops the guest.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import weakref
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import MachineGoneError, UsageError
from .addresses import PAGE_SHIFT, PAGE_SIZE, PhysicalAddress, RamLayout, RamOffset
from .sparse import cut_short, iter_data

_LONG_PATTERN = 3
"""Bytes from which on the C library's search is faster than Python's; other threads run while it looks."""
_memmem = ctypes.CDLL(None).memmem
_memmem.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)
_memmem.restype = ctypes.c_void_p
_mincore = ctypes.CDLL(None).mincore
_mincore.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


class GuestRam:
    """A read-only view of a machine's whole RAM.

    Attributes:
        layout: where the bytes of the file appear in the guest.
        is_whole: holes of the file are pages of zeros, which may have been touched: a dump does not say.
        wanted: of a mirror (`client.remote_ram`) the pages that it brings here; None for all, as where they are in place.
    """

    wanted: npt.NDArray[np.bool_] | None = None

    def __init__(self, path: Path, layout: RamLayout, *, is_whole: bool = False) -> None:
        """Map the file at `path`; `MachineGoneError` if it is gone or shorter than `layout` says."""
        self.path = path
        self.layout = layout
        self.is_whole = is_whole
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise MachineGoneError(
                f"cannot open guest RAM {path} ({error.strerror}); is the machine still running?"
            ) from None
        try:
            self.check_size()
            self._map = mmap.mmap(self._fd, layout.size, mmap.MAP_SHARED, mmap.PROT_READ)
        except BaseException:
            os.close(self._fd)
            raise
        # Also of one that nobody closes: the open file would keep the RAM of a machine that has ended.
        self._close = weakref.finalize(self, os.close, self._fd)
        self._view: npt.NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)

    def __repr__(self) -> str:
        return f"GuestRam({str(self.path)!r}, {self.size:#x} bytes)"

    def __enter__(self) -> GuestRam:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def view(self) -> npt.NDArray[np.uint8]:
        """The whole file, read-only: the guest's own pages, not a copy.

        Reading a page that was never touched makes the host allocate it, so check `resident_pages` first in a loop.
        """
        return self._view

    @property
    def size(self) -> int:
        """Bytes of RAM."""
        return self.layout.size

    @property
    def page_count(self) -> int:
        """Pages of RAM."""
        return self.size >> PAGE_SHIFT

    def check_size(self) -> None:
        """`MachineGoneError` if the file has become shorter than the RAM: whatever else went wrong, that is why."""
        found = os.fstat(self._fd).st_size
        if found < self.size:
            raise MachineGoneError(
                f"guest RAM {self.path} has {found:#x} bytes where {self.size:#x} are expected; was the file cut short?"
            )

    def close(self) -> None:
        """Close the file. Views taken from it stay valid until they are collected."""
        self._close()
        self._fd = -1

    def read(self, physical: PhysicalAddress, length: int) -> bytes:
        """Copy `length` bytes at guest-physical `physical`; `AddressError` where RAM does not hold them all."""
        if length < 0:
            raise UsageError(f"cannot read a length of {length} bytes; give 0 or more")
        parts = []
        while length:
            offset = self.layout.to_offset(physical)
            region = next(r for r in self.layout.regions if r.offset <= offset < r.offset + r.size)
            step = min(length, region.offset + region.size - offset)
            parts.append(self.read_at(RamOffset(offset), step))
            physical, length = PhysicalAddress(physical + step), length - step
        return b"".join(parts)

    def read_at(self, offset: RamOffset, length: int) -> bytes:
        """Copy `length` bytes at `offset` of the RAM file, all of which it must hold."""
        # Through the file, not the view: reading a hole through a mapping would make the host fill it.
        try:
            content = os.pread(self._fd, length, offset)
        except OSError as error:
            raise MachineGoneError(f"cannot read guest RAM {self.path} ({error.strerror}); is it open?") from None
        if len(content) < length:
            raise cut_short(self.path)
        return content

    def read_u64(self, physical: PhysicalAddress) -> int:
        """The little-endian 64-bit word at `physical`."""
        return int.from_bytes(self.read(physical, 8), "little")

    def read_u32(self, physical: PhysicalAddress) -> int:
        """The little-endian 32-bit word at `physical`."""
        return int.from_bytes(self.read(physical, 4), "little")

    def pages(self) -> npt.NDArray[np.uint8]:
        """The view as rows of one page: shape (page_count, 4096), no copy."""
        return self.view[: self.page_count << PAGE_SHIFT].reshape(-1, PAGE_SIZE)

    def find(self, pattern: bytes | re.Pattern[bytes], limit: int | None = None) -> Iterator[RamOffset]:
        """Yield the offset of each place that holds `pattern`, ascending, at most `limit` of them.

        Bytes are found with overlaps, a regular expression without. Skips pages that were never touched, so the
        cost follows the memory in use; nothing is copied. `UsageError` for a pattern that matches nothing at all.
        """
        if pattern == b"" if isinstance(pattern, bytes) else pattern.match(b""):
            raise UsageError("an empty pattern matches everywhere; give at least one byte")
        for start, end in self.resident_runs():
            matches = (
                self._find_bytes(pattern, start, end)
                if isinstance(pattern, bytes)
                else self._find_regex(pattern, start, end)
            )
            for offset in islice(matches, limit):
                yield RamOffset(offset)
                limit = None if limit is None else limit - 1

    def _find_bytes(self, pattern: bytes, start: int, end: int) -> Iterator[int]:
        if len(pattern) < _LONG_PATTERN:
            while (start := self._map.find(pattern, start, end)) >= 0:
                yield start
                start += 1
            return
        first = self.view.ctypes.data
        while place := _memmem(first + start, end - start, pattern, len(pattern)):
            start = place - first
            yield start
            start += 1

    def _find_regex(self, pattern: re.Pattern[bytes], start: int, end: int) -> Iterator[int]:
        return (match.start() for match in pattern.finditer(self._map, start, end))

    def resident_runs(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        """Yield (start, end) offsets of the parts of the file that hold data, or of those between two offsets.

        The rest was never touched, or is zero.
        """
        return iter_data(self._fd, start, self.size if end is None else min(end, self.size))

    def fetch_later(self) -> None:
        """Nothing to do: these are the guest's own pages. A mirror (`client.remote_ram`) waits for `fetch`."""

    def fetch(self, first_page: int, end_page: int) -> None:
        """Nothing to do, as `fetch_later`."""

    def want(self, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Have the `wanted` pages here, and have no others brought from now on; return those that were brought: here none."""
        return np.zeros(0, np.int64)

    def take_unwanted_changes(self) -> npt.NDArray[np.int64]:
        """Pages that changed since the last call and are not brought here: none, as all are here."""
        return np.zeros(0, np.int64)

    def tell(self, told: Callable[[int, int], None]) -> None:
        """Nothing to tell. A mirror tells how many bytes it has read, and of how many, while it brings memory here."""

    def cached_pages(self, first: int, end: int) -> npt.NDArray[np.bool_]:
        """Which pages from `first` up to `end` the host holds in memory, all False where it does not tell: a `bool` array.

        Of a RAM file in memory they are those that were touched, less what the host has swapped out. The cost follows the
        number of pages, where `resident_runs` looks at all data up to the next hole.
        """
        found = np.zeros(end - first, np.uint8)
        place = self.view[first << PAGE_SHIFT :].ctypes.data
        if _mincore(place, len(found) << PAGE_SHIFT, found.ctypes.data):
            found[:] = 0
        return (found & 1).view(np.bool_)

    def copy_to(self, path: Path) -> Path:
        """Copy the touched parts to a new file at `path`, which it returns; the rest of that file stays a hole."""
        with path.open("wb") as copy:
            copy.truncate(self.size)
            for start, end in self.resident_runs():
                copy.seek(start)
                copy.write(self.view[start:end].data)
        return path

    def resident_pages(self) -> npt.NDArray[np.bool_]:
        """Which pages the guest (or QEMU) has touched, all where nothing tells: `bool` array of shape (page_count,)."""
        if self.is_whole:
            return np.ones(self.page_count, np.bool_)
        resident = np.zeros(self.page_count, np.bool_)
        for start, end in self.resident_runs():
            resident[start >> PAGE_SHIFT : -(-end >> PAGE_SHIFT)] = True
        return resident
