"""The records of one RAM region: where they are in RAM, and a copy of them as of the last update."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ...memory.addresses import PAGE_SHIFT, PAGE_SIZE, RamRegion, VirtualAddress
from ...memory.ram import GuestRam
from ..columns import KernelColumns, Pages, U64Array

BLOCK = 1024
"""Pages decoded together: the largest free block, of order 10 (MAX_PAGE_ORDER), since release 2.6."""

# NumPy would build an array of differences, three times the work; releasing the GIL would cost more than the comparison.
_memcmp = ctypes.PyDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class RegionRecords:
    """The ``struct page`` records of one RAM region.

    Attributes:
        first: page number in the RAM file of the region's first page.
        start: guest-physical address of the region.
        count: pages of the region; `blocks` of `BLOCK` pages, the last of which may be partly empty.
        source: page of the RAM file behind each page of records, `int64`, -1 where none is mapped.
        has_records: by block, whether all its records are mapped.
        copy: the records as of the last `copy_changed`, `uint64`, a row for each page of records.
        is_free: by block, whether it was free as a whole at the last update.
    """

    def __init__(self, read: KernelColumns, region: RamRegion, size: int) -> None:
        self.first = region.offset >> PAGE_SHIFT
        self.start = region.start
        self.count = region.size >> PAGE_SHIFT
        self.blocks = -(-self.count // BLOCK)
        self.pages_per_block = BLOCK * size // PAGE_SIZE
        self.source = self._find_source(read, region, size)
        self.has_records = np.asarray((self.source >= 0).reshape(self.blocks, -1).all(axis=1))
        length = self.blocks * BLOCK * size // 8
        # Untouched parts of a new zero array take no memory, and records of free blocks are never copied into it.
        self.copy = np.zeros(length, np.uint64).reshape(-1, PAGE_SIZE // 8)
        self._u64 = self.copy.view("<u8").reshape(self.blocks, BLOCK, -1)
        self._u32 = self.copy.view("<u4").reshape(self.blocks, BLOCK, -1)
        self._u8 = self.copy.view("u1").reshape(self.blocks, BLOCK, -1)
        self.words: U64Array = self._u64.reshape(self.blocks * BLOCK, -1)
        self.bytes: npt.NDArray[np.uint8] = self._u8.reshape(-1)
        self.is_free = np.zeros(self.blocks, np.bool_)

    def u64(self, blocks: Pages | slice, at: int) -> U64Array:
        """The 64-bit word at byte `at` of each record of `blocks`."""
        return self._u64[blocks, :, at >> 3].reshape(-1)

    def u32(self, blocks: Pages | slice, at: int) -> npt.NDArray[np.uint32]:
        """The 32-bit word at byte `at` of each record of `blocks`."""
        return self._u32[blocks, :, at >> 2].reshape(-1)

    def u8(self, blocks: Pages | slice, at: int) -> npt.NDArray[np.uint8]:
        """Byte `at` of each record of `blocks`."""
        return self._u8[blocks, :, at].reshape(-1)

    def copy_changed(self, ram: GuestRam, blocks: Pages) -> npt.NDArray[np.bool_]:
        """Copy the records of `blocks` from RAM; by block of the region, whether it differs from the copy before."""
        changed = np.zeros(self.blocks, np.bool_)
        memory = ram.pages().view("<u8")
        copy_at, memory_at = self.copy.ctypes.data, memory.ctypes.data
        for kept, source in self._runs(blocks):
            start, shift = kept.start, source.start - kept.start
            while start < kept.stop:
                block = start // self.pages_per_block
                end = min((block + 1) * self.pages_per_block, kept.stop)
                length = (end - start) * PAGE_SIZE
                if _memcmp(copy_at + start * PAGE_SIZE, memory_at + (start + shift) * PAGE_SIZE, length):
                    self.copy[start:end] = memory[start + shift : end + shift]
                    changed[block] = True
                start = end
        return changed

    def pages_of(self, blocks: Pages) -> Pages:
        """Page numbers in the RAM file of all pages in `blocks`; those past the end of the region cut off."""
        pages = pages_in(blocks)
        return pages[pages < self.count] + self.first

    def _runs(self, blocks: Pages) -> Iterator[tuple[slice, slice]]:
        """Pages of the copy and those of RAM that hold the records of `blocks`, where both are in one piece."""
        rows = (blocks[:, None] * self.pages_per_block + np.arange(self.pages_per_block)).ravel()
        rows = rows[self.source[rows] >= 0]
        source = self.source[rows]
        ends = np.flatnonzero((np.diff(rows) != 1) | (np.diff(source) != 1)) + 1
        for start, end in zip([0, *ends.tolist()], [*ends.tolist(), len(rows)], strict=True):
            if start < end:
                row, page = int(rows[start]), int(source[start])
                yield slice(row, row + end - start), slice(page, page + end - start)

    def _find_source(self, read: KernelColumns, region: RamRegion, size: int) -> Pages:
        """Page of the RAM file for each page of records, -1 where none is mapped."""
        start = read.vmemmap + (region.start >> PAGE_SHIFT) * size
        source = np.full(self.blocks * self.pages_per_block, -1, np.int64)
        runs = read.kernel.page_tables.iter_runs(VirtualAddress(start), len(source) * PAGE_SIZE)
        for virtual, physical, length in runs:
            at, count = (virtual - start) // PAGE_SIZE, length // PAGE_SIZE
            first = physical >> PAGE_SHIFT
            frames = np.arange(first, first + count, dtype=np.uint64)
            source[at : at + count] = read.ram.layout.frames_to_pages(frames)
            read.add_piece(virtual, virtual + length, physical - virtual)
        return source


def pages_in(blocks: Pages) -> Pages:
    """Numbers of all pages in `blocks`, counted from the region's first."""
    return (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()


def as_slice(blocks: Pages) -> Pages | slice:
    """`blocks`, ascending, as a slice where they are in one piece: what it takes is then no copy."""
    first, last = int(blocks[0]), int(blocks[-1])
    return slice(first, last + 1) if last - first == len(blocks) - 1 else blocks
