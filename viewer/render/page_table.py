"""The page table on the graphics device: what each page is, at its place on the curve, and a coarser table above it.

The table holds a word for each page in x, y, z order: class in bits 0-4, the page map's flags in 5-7, the owner's shade in
8-15, the owner's id (its low 16 bits) in 16-31. The cell table holds a word for each 4^3 pages: which classes are in it, one
bit each, so that showing or hiding a class rebuilds nothing; bits 30 and 31 say that it has marked or lit pages.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import wgpu

from qemu_bridge.wire.page_map import ENTRY, PageMap

from ..sources.heat import Pages
from ..view import palette
from ..view.curve import to_xyz
from .curve_jobs import CurveJobs

LIT_CELL, MARKED_CELL = np.uint32(1 << 31), np.uint32(1 << 30)
CLASS_BITS = np.uint32(31)
_DRAWN = np.frombuffer(np.array((255, 255, 0, 0xFFFFFFFF), ENTRY).tobytes(), np.uint64)[0]
"""What of a page map's entry, as one number, is drawn: all but its heat."""


def pack_entries(page_map: PageMap, count: int) -> npt.NDArray[np.uint32]:
    """Page-table words in file order: `uint32` of shape (count,), UNTOUCHED where the map is shorter."""
    words = _pack(np.zeros(count, ENTRY))
    entries = page_map.entries[:count]
    words[: len(entries)] = _pack(entries)
    return words


def _pack(entries: npt.NDArray[np.void]) -> npt.NDArray[np.uint32]:
    owner = entries["owner_id"].astype(np.uint32)
    known = np.minimum(entries["page_class"], palette.LAST_CLASS).astype(np.uint32)
    flags = (entries["flags"].astype(np.uint32) & np.uint32(7)) << np.uint32(5)
    shade = palette.owner_shade(owner) << np.uint32(8)
    return np.asarray(known | flags | shade | (owner & np.uint32(0xFFFF)) << np.uint32(16), np.uint32)


class PageTable:
    """The two tables and the page map that they show.

    Attributes:
        buffer: the page table on the device.
        cell_buffer: the cell table on the device.
        words: the page table in file order, `uint32` of shape (page_count,).
        owners: owner ids in file order, `uint32` of the same shape.
    """

    def __init__(self, device: wgpu.GPUDevice, page_count: int, page_order: int, jobs: CurveJobs) -> None:
        """Reserve tables for `page_count` pages on a curve of order `page_order`."""
        self._device, self._jobs = device, jobs
        self._page_count, self._page_order = page_count, page_order
        usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.COPY_SRC
        table_bytes = 4 << (3 * page_order)
        self.buffer = device.create_buffer(size=table_bytes, usage=usage)
        self.cell_buffer = device.create_buffer(size=max(table_bytes >> 6, 16), usage=usage)
        size = -(-4 * page_count // 16) * 16
        self._linear = device.create_buffer(size=size, usage=usage)
        self._changed = device.create_buffer(size=size, usage=usage)
        self._place_pages = jobs.bind(self._linear, self._changed, self.buffer)
        self.words = _pack(np.zeros(page_count, ENTRY))
        self.owners = np.zeros(page_count, np.uint32)
        self._entries = np.zeros(page_count, np.uint64)
        self._is_placed = False
        self._lay_out_cells()

    def _lay_out_cells(self) -> None:
        cells, order = -(-self._page_count // 64), self._page_order - 2
        # The smallest cube is a single cell.
        x, y, z = to_xyz(np.arange(cells), order).astype(np.int64).T if order else np.zeros((3, cells), np.int64)
        self._cell_places = x | (y | z << order) << order
        self._cell_classes = np.zeros(cells, np.uint32)
        self._cells = np.zeros(max(1 << 3 * order, 4), np.uint32)

    def classes(self, pages: Pages) -> npt.NDArray[np.uint32]:
        """Class numbers of `pages`."""
        return self.words[pages] & CLASS_BITS

    def update(self, page_map: PageMap) -> Pages:
        """Take the classes, flags and owners of `page_map`; return the pages that changed. Only those are placed."""
        entries = page_map.entries[: self._page_count]
        if len(entries) < self._page_count:
            entries = np.concatenate([entries, np.zeros(self._page_count - len(entries), ENTRY)])
        numbers = np.ascontiguousarray(entries).view(np.uint64) & _DRAWN
        changed: Pages = np.flatnonzero(numbers != self._entries).astype(np.int64)
        self._entries = numbers
        self.words[changed] = _pack(entries[changed])
        self.owners[changed] = entries["owner_id"][changed]
        self._place(changed if self._is_placed else np.arange(self._page_count, dtype=np.int64))
        self._is_placed = True
        return changed

    def _place(self, changed: Pages) -> None:
        if not len(changed):
            return
        self._device.queue.write_buffer(self._linear, 0, self.words[changed])
        self._device.queue.write_buffer(self._changed, 0, changed.astype(np.uint32))
        job = (self._page_order, 0, 0, len(changed))
        self._jobs.run("scatter_pages", self._place_pages, job, -(-len(changed) // 64))
        cells = np.unique(changed >> 6)
        pages = cells[:, None] * 64 + np.arange(64)
        classes = np.uint32(1) << self.classes(np.minimum(pages, self._page_count - 1))
        self._cell_classes[cells] = np.bitwise_or.reduce(classes, axis=1)

    def write_cells(self, lit: npt.NDArray[np.int16], marked: npt.NDArray[np.int16]) -> None:
        """Send the cell table if it changed; `lit` and `marked` are how many such pages each cell has, in file order."""
        words = self._cell_classes.copy()
        words[lit > 0] |= LIT_CELL
        words[marked > 0] |= MARKED_CELL
        if not np.array_equal(self._cells[self._cell_places], words):
            self._cells[self._cell_places] = words
            self._device.queue.write_buffer(self.cell_buffer, 0, self._cells)
