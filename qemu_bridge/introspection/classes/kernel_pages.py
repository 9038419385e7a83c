"""The kernel's own pages: image, per-CPU memory, page tables, stacks, modules, vmalloc, the memmap itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...kernel.columns import KernelColumns, Pages
from ...memory.addresses import PAGE_SHIFT
from ...memory.page_entries import ENTRIES
from ...wire.page_map import ORDER_SHIFT
from ...wire.records import PageClass
from . import areas
from .claims import Claims
from .owners import KERNEL, OwnerBook
from .tasks import Task
from .walk import Walk, walk

_KERNEL_HALF = slice(ENTRIES // 2, ENTRIES)


class KernelPages:
    """Claims the kernel's pages.

    Attributes:
        fixed: claims on what stays where boot put it.
        claims: claims on what changes, as of the last `update`.
    """

    def __init__(self, read: KernelColumns, memmap_pages: Pages, stack_size: int, book: OwnerBook) -> None:
        """Claim what does not move; `memmap_pages` hold the memmap, `stack_size` is in bytes."""
        self._read = read
        self._stack_size = stack_size
        count = read.ram.page_count
        self.fixed, self.claims = Claims(count), Claims(count)
        for pages, page_class in areas.image_pages(read):
            self.fixed.set(pages, page_class, KERNEL.owner_id)
        self.fixed.set(areas.per_cpu_pages(read), PageClass.PER_CPU, KERNEL.owner_id)
        self.fixed.set(memmap_pages, PageClass.MEMMAP, KERNEL.owner_id)
        self.start(book)

    def start(self, book: OwnerBook) -> None:
        """Number owners in `book` from now on."""
        self._book = book
        self._tasks: Sequence[Task] = ()
        self._stacks: list[areas.Extent] = []
        self._moving: list[areas.Extent] = []
        self._extents: list[areas.Extent] = []
        self.forget()

    def forget(self) -> None:
        """Make the next update walk the page tables again."""
        self._walk: Walk | None = None

    def update(self, tasks: Sequence[Task], notes: list[str]) -> Pages:
        """Bring the claims up to date; returns the pages whose claim may have changed, and adds to `notes` what was skipped."""
        known, read = self._walk, self._read
        if known is not None and len(known.changed_spaces(read)):
            known = None
        if tasks is not self._tasks:
            self._stacks, self._tasks = areas.read_stacks(tasks, self._stack_size, self._book), tasks
        moving = self._stacks + areas.huge_zero_page(read)
        if known is not None and moving == self._moving:
            notes += known.notes("the kernel")
            return np.zeros(0, np.int64)
        if known is None:
            known = self._walk = self._walk_tables()
            self._extents = areas.read_vmap_areas(read, self._book) + areas.read_modules(read, self._book)
        notes += known.notes("the kernel")
        self._moving = moving
        return self._claim(known, self._extents + moving)

    def _walk_tables(self) -> Walk:
        kernel = self._read.kernel
        root = np.array([kernel.page_tables.root >> PAGE_SHIFT], np.uint64)
        wanted = (self._read.vmalloc, (areas.modules_start(kernel), areas.MODULES_END))
        return walk(self._read, root, _KERNEL_HALF, wanted)

    def _claim(self, walked: Walk, extents: list[areas.Extent]) -> Pages:
        stale = self.claims.clear()
        self.claims.set(walked.table_page, PageClass.PAGE_TABLE, KERNEL.owner_id, walked.table_level << ORDER_SHIFT)
        for pages, page_class, owner in (areas.name_mapped(walked, extents), areas.name_direct(self._read, extents)):
            self.claims.set(pages, page_class, owner)
        return np.concatenate([stale, self.claims.pages])
