"""The memmap, the kernel's array of ``struct page``, decoded as columns.

Each page of RAM has one record, 64 bytes on most kernels, in an array that is mapped at ``vmemmap_base``
(``include/linux/mm_types.h``, ``mm/sparse-vmemmap.c``). A few of its words determine what a page is::

    flags        bits named by enum pageflags: reserved, slab, head, lru, swapbacked, ...
    word at 8    odd in the tails of a compound page: the address of the head, plus 1
    mapping      low bits 1 anonymous, 2 movable by its driver, 3 KSM, 0 the address_space of a file
    private      the order of a free block
    page_type    shares its place with _mapcount: free (buddy), page table, offline, ...
    _refcount    0 for a page that is not in use

Page types have changed their encoding three times (`symbols.releases`). The rest comes from BTF.

`MemMap.update` copies what changed since the last time, decodes only the blocks of 1024 pages around it, and returns the
pages whose meaning changed. The first record of a block that is free as a whole says so, and the other records are not
read: the cost follows the memory in use.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...memory.addresses import PAGE_SHIFT
from ...wire.page_map import FLAG_HEAD
from ...wire.records import PageClass
from ..columns import KernelColumns, Pages
from .decode import MAX_ORDER, PageColumns, RecordDecoder
from .layout import PageLayout
from .records import BLOCK, RegionRecords, as_slice

_CHUNK = 128
"""Blocks decoded in one step."""


class MemMap:
    """The memmap of one guest, kept decoded.

    The columns have an entry per page of the RAM file:

    Attributes:
        page_class: `uint8`, what the memmap alone can say; KERNEL_PAGES for what the kernel holds and does not name here,
            OTHER where there is no record.
        flags: `uint8` of `FLAG_HUGE`, `FLAG_HEAD`, and the order in the high nibble.
        key: `uint64`; of a SLAB page the address of its cache, of PAGE_CACHE and SHMEM that of its address_space.
        continues: `bool`; pages without a reference count that are not free: the tail of an allocation of several pages
            that is not a compound page.
        backing: pages of the RAM file that hold the memmap itself.
        decoded: the pages that the last update decoded, or the slice of all: those whose meaning changed, and others that
            may have been freed and reused for the same purpose.
    """

    def __init__(self, read: KernelColumns) -> None:
        """Find the memmap of `read`'s kernel; `NoTypesError` without types."""
        self._read = read
        self.layout = PageLayout.read(read.kernel)
        columns = PageColumns.unknown(read.ram.page_count)
        self.page_class, self.flags, self.key, self.continues = (
            columns.page_class, columns.flags, columns.key, columns.continues,
        )  # fmt: skip
        self._decoder = RecordDecoder(read, self.layout, columns)
        self._regions = [RegionRecords(read, region, self.layout.size) for region in read.ram.layout.regions]
        self._is_known = False
        self.decoded: Pages | slice = slice(None)
        sources = np.concatenate([region.source for region in self._regions])
        self.backing = np.unique(sources[sources >= 0])

    @property
    def coverage(self) -> float:
        """The share of the memmap that is mapped: 0.0 when there is none where it should be."""
        sources = np.concatenate([region.source for region in self._regions])
        return float(np.count_nonzero(sources >= 0)) / max(len(sources), 1)

    def forget(self) -> None:
        """Make the next update decode every block."""
        self._is_known = False

    def update(self) -> Pages | slice:
        """Bring the columns up to date; returns the pages whose meaning changed, ascending, or the slice of all."""
        parts = [self._update_region(region) for region in self._regions]
        known, self._is_known = self._is_known, True
        if not known:
            self.decoded = slice(None)
            return self.decoded
        self.decoded = np.concatenate([decoded for _, decoded in parts])
        return np.concatenate([changed for changed, _ in parts])

    def _update_region(self, region: RegionRecords) -> tuple[Pages, Pages]:
        """Bring the columns of `region` up to date; the pages that changed, ascending, and those that were decoded."""
        free = self._free_blocks(region)
        freed = np.flatnonzero(free & ~region.is_free if self._is_known else free)
        stale = region.copy_changed(self._read.ram, np.flatnonzero(~free)) | region.is_free
        busy = np.flatnonzero(~free & stale if self._is_known else ~free)
        region.is_free = free
        self._set_free(region, freed)
        changed = [self._decode(region, busy[start : start + _CHUNK]) for start in range(0, len(busy), _CHUNK)]
        if not self._is_known:
            return region.source[:0], region.source[:0]
        pages = np.concatenate([region.pages_of(freed), *changed])
        return np.sort(pages) if len(freed) else pages, region.pages_of(busy)

    def _free_blocks(self, region: RegionRecords) -> npt.NDArray[np.bool_]:
        """By block, whether it is free as a whole, by its first record in RAM."""
        source = region.source[:: region.pages_per_block]
        known = source >= 0
        first = np.where(known, source, 0) << PAGE_SHIFT
        view, layout = self._read.ram.view, self.layout
        types = view.view("<u4")[first + layout.page_type >> 2]
        orders = view.view("<u8")[first + layout.private >> 3]
        return np.asarray(known & layout.types.match(types, layout.types.buddy) & (orders >= MAX_ORDER))

    def _set_free(self, region: RegionRecords, blocks: Pages) -> None:
        """Make whole `blocks` free."""
        if not len(blocks):
            return
        whole = region.count // BLOCK
        end = region.first + whole * BLOCK
        for column, value in (
            (self.page_class, PageClass.FREE), (self.key, 0), (self.continues, False), (self.flags, MAX_ORDER << 4)
        ):  # fmt: skip
            column[region.first : end].reshape(whole, BLOCK)[blocks[blocks < whole]] = value
            if whole < region.blocks and blocks[-1] == whole:
                column[end : region.first + region.count] = value
        self.flags[region.first + blocks * BLOCK] |= FLAG_HEAD

    def _decode(self, region: RegionRecords, blocks: Pages) -> Pages:
        """Decode the copied records of `blocks` into the columns; returns the pages whose meaning changed."""
        rows = as_slice(blocks)
        found = self._decoder.decode(region, blocks, rows)
        pages = region.pages_of(blocks)
        count = len(pages)
        pairs = (
            (self.page_class, found.page_class), (self.flags, found.flags),
            (self.key, found.key), (self.continues, found.continues),
        )  # fmt: skip
        if not self._is_known:
            where = slice(int(pages[0]), int(pages[-1]) + 1) if isinstance(rows, slice) else pages
            for column, new in pairs:
                column[where] = new[:count]
            return pages[:0]
        differs = np.zeros(count, np.bool_)
        for column, new in pairs:
            differs |= column[pages] != new[:count]
        changed = np.flatnonzero(differs)
        pages = pages[changed]
        for column, new in pairs:
            column[pages] = new[changed]
        return pages
