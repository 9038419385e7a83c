"""Owners of pages without a name, by a conservative search for pointers, as a garbage collector does it.

The kernel allocates whole pages that carry no name: hash tables made at boot, large kmalloc, buffers of pipes and traces.
Somewhere a pointer leads to each: its address in the direct map, or that of its ``struct page``. The search goes through the
kernel's variables, per-CPU memory, slabs and the pages found so far; the variable or slab cache with the first such pointer
becomes the owner.

A word may equal an address by chance, so the owner's `detail` says how it was found: "reached from …". The search reads
megabytes and runs when there are new pages, at most every few seconds; a result is kept until the memmap shows that the
page has changed, or what it was reached from is gone: a stack of a task that ended, a module that was unloaded.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ...kernel.columns import IMAGE_BASE, KernelColumns, Pages, U64Array
from ...kernel.memmap import among
from ...memory.addresses import PAGE_SHIFT, PAGE_SIZE, RamOffset
from ...wire.page_map import FLAG_HEAD, FLAG_HUGE
from ...wire.records import PageClass
from .owners import FIRST_NUMBER, OwnerBook

SEARCH_EVERY_S = 5.0
_ROUNDS = 3
_MAX_SEARCHED_PAGES = 1 << 16
_CHUNK = 1024
_LOW_MEMORY = 1 << 20
_U64 = (1 << 64) - 1

_SEARCHED = (
    (PageClass.KERNEL_DATA, PageClass.KERNEL_BSS),
    (PageClass.PER_CPU,),
    (PageClass.SLAB,),
    (PageClass.VMALLOC, PageClass.MODULE, PageClass.KERNEL_STACK),
)
_REASONS = {
    "low": "firmware and real-mode memory below 1 MiB",
    "high": "firmware tables above the kernel's memory",
    "reserved": "reserved at boot, and nothing that was searched points to it",
    "held": "held by the kernel, and nothing that was searched points to it",
    "cache": "a slab whose cache cannot be read",
    "file": "in the cache of a file whose inode cannot be read",
    "table": "a page table that no process's tables lead to",
    "memmap": "the kernel keeps no record of it",
    "late": "held by the kernel since the last search for pointers",
}


def may_be_pointed_to(base: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which pages, by their classes in the memmap, are searched for: of others the memmap or a table says whose they are."""
    return among(base, PageClass.KERNEL_PAGES, PageClass.RESERVED)


class PointerSearch:
    """Finds owners of nameless pages, and keeps what it found."""

    def __init__(self, read: KernelColumns, book: OwnerBook, record_size: int) -> None:
        """`record_size` is that of a ``struct page``."""
        self._read = read
        self._book = book
        self._record_size = record_size
        self._owner = np.zeros(read.ram.page_count, np.uint32)
        self._is_failed = np.zeros(read.ram.page_count, np.bool_)
        self._leads: dict[int, tuple[int, str]] = {}
        """What pages were reached from, by the owner that they got for it: its number, and its name then."""
        self._searched_at = -SEARCH_EVERY_S
        self._is_late = False
        self._is_low, self._is_high = self._find_firmware()

    def forget(self, pages: Pages | slice, still: npt.NDArray[np.bool_]) -> None:
        """Drop what is known of those `pages` that are not `still` nameless and of a class that is searched for."""
        known = (self._owner[pages] != 0) | self._is_failed[pages]
        rows = np.flatnonzero(known & ~still)
        gone = rows if isinstance(pages, slice) else pages[rows]
        self._owner[gone], self._is_failed[gone] = 0, False

    def release(self, uses: npt.NDArray[np.int64]) -> Pages:
        """Forget what was reached from owners that have no page any more, or another name; returns the pages.

        `uses` counts the pages of each owner from `FIRST_NUMBER` on.
        """
        gone = [
            lead
            for lead, (source, name) in self._leads.items()
            if source >= FIRST_NUMBER and (not uses[source - FIRST_NUMBER] or self._book.get(source).name != name)
        ]
        if not gone:
            return np.zeros(0, np.int64)
        for lead in gone:
            del self._leads[lead]
        pages = np.flatnonzero(np.isin(self._owner, np.array(gone, np.uint32)))
        self._owner[pages] = 0
        return pages

    def find_owners(
        self,
        entries: npt.NDArray[np.void],
        fresh: Pages,
        nameless: npt.NDArray[np.bool_],
        memmap_class: npt.NDArray[np.uint8],
        continues: npt.NDArray[np.bool_],
        complete: bool,
    ) -> Pages:
        """Give nameless pages of `entries` an owner: what points to them, or the reason why that is not known.

        `fresh` pages have become nameless since the last call, `nameless` is the mask of all. The others keep their owner,
        but for pages that wait for the next search; none waits if the map is to be `complete`. `memmap_class` and `continues`
        are columns of the memmap. Returns the pages that were given an owner.
        """
        if not len(fresh) and not self._is_late:
            return fresh
        now = time.monotonic()
        searches = (complete or now - self._searched_at >= SEARCH_EVERY_S) and (
            self._is_late or bool(self._is_new(fresh, memmap_class[fresh]).any())
        )
        pages = np.flatnonzero(nameless) if searches else fresh
        base = memmap_class[pages]
        held = self._is_held(pages, base)
        held_pages = pages[held]
        if searches:
            self._search(entries, held_pages, memmap_class, continues)
            self._searched_at, self._is_late = now, False
            self._is_failed[held_pages] = self._owner[held_pages] == 0
        owner = self._owner[pages]
        found = held & (owner != 0)
        entries["page_class"][pages[found]], entries["owner_id"][pages[found]] = PageClass.KERNEL_PAGES, owner[found]
        unknown = owner == 0
        if unknown.any():
            self._give_reasons(entries, pages[unknown], base[unknown])
        return pages

    def _is_held(self, pages: Pages, base: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Which pages the kernel may hold a pointer to."""
        held = may_be_pointed_to(base)
        return np.asarray(held & ~self._is_low[pages] & ~self._is_high[pages])

    def _is_new(self, pages: Pages, base: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
        """Which pages were not searched for."""
        return np.asarray(self._is_held(pages, base) & (self._owner[pages] == 0) & ~self._is_failed[pages])

    def _find_firmware(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Pages below 1 MiB, and those past the last that the kernel uses, where firmware keeps its tables."""
        low, high = (np.zeros(self._read.ram.page_count, np.bool_) for _ in range(2))
        low[: _LOW_MEMORY >> PAGE_SHIFT] = True
        regions = self._read.ram.layout.regions
        # Of two regions the lower one ends at max_low_pfn, the last frame below 4 GiB.
        for region, symbol in zip(regions, ("max_low_pfn" if len(regions) > 1 else "max_pfn", "max_pfn"), strict=False):
            last = self._read.symbol(symbol) - (region.start >> PAGE_SHIFT)
            first, count = region.offset >> PAGE_SHIFT, region.size >> PAGE_SHIFT
            if 0 < last < count:
                high[first + last : first + count] = True
        return low, high

    def _give_reasons(self, entries: npt.NDArray[np.void], pages: Pages, base: npt.NDArray[np.uint8]) -> None:
        """Set the owner of each of `pages` to the reason why it is unknown. Reserved pages, slabs, files and tables keep their class."""
        reason = np.full(len(pages), self._reason("held"), np.uint32)
        reserved = among(base, PageClass.RESERVED)
        late = among(base, PageClass.KERNEL_PAGES) & ~self._is_failed[pages]
        self._is_late |= bool(self._is_new(pages, base).any())
        for chosen, name in (
            (late, "late"),
            (reserved, "reserved"),
            (among(base, PageClass.SLAB), "cache"),
            (among(base, PageClass.PAGE_CACHE, PageClass.SHMEM), "file"),
            (among(base, PageClass.PAGE_TABLE), "table"),
            (among(base, PageClass.OTHER), "memmap"),
            (reserved & self._is_high[pages], "high"),
            (reserved & self._is_low[pages], "low"),
        ):
            reason[chosen] = self._reason(name)
        unknown = among(base, PageClass.KERNEL_PAGES, PageClass.OTHER)
        entries["page_class"][pages[unknown]] = PageClass.OTHER
        entries["owner_id"][pages] = reason

    def _reason(self, name: str) -> int:
        return self._book.number("reason", name, _REASONS[name])

    # The search

    def _search(
        self,
        entries: npt.NDArray[np.void],
        pages: Pages,
        memmap_class: npt.NDArray[np.uint8],
        continues: npt.NDArray[np.bool_],
    ) -> None:
        """Search for pointers to those of `pages` that have no owner yet."""
        held = np.zeros(len(self._owner), np.bool_)
        held[pages] = True
        flags = entries["flags"][pages]
        is_tail = (flags & FLAG_HUGE != 0) & (flags & FLAG_HEAD == 0)
        behind = (memmap_class[pages] == PageClass.RESERVED) | continues[pages] | is_tail
        for wanted in _SEARCHED:
            sources = np.flatnonzero(np.isin(entries["page_class"], wanted) & self._read.resident)
            self._follow(sources[:_MAX_SEARCHED_PAGES], held, self._namer(entries, wanted[0]))
        self._spread(pages, is_tail, behind)
        for _ in range(_ROUNDS):
            before = int(np.count_nonzero(self._owner))
            sources = pages[(self._owner[pages] != 0) & self._read.resident[pages]]
            self._follow(sources[:_MAX_SEARCHED_PAGES], held, lambda page, _: int(self._owner[page]))
            self._spread(pages, is_tail, behind)
            if int(np.count_nonzero(self._owner)) == before:
                break

    def _follow(self, sources: Pages, held: npt.NDArray[np.bool_], name: Callable[[int, int], int]) -> None:
        """Name the `held` pages that words in `sources` point to; `name` gives the owner for a page and an offset in it."""
        for start in range(0, len(sources), _CHUNK):
            part = sources[start : start + _CHUNK]
            words = self._read.ram.pages()[part].view("<u8")
            target = self._targets(words)
            row, column = np.nonzero(target >= 0)
            page = target[row, column]
            fresh = held[page] & (self._owner[page] == 0)
            row, column, page = row[fresh], column[fresh], page[fresh]
            for target_page, first in zip(
                *(found.tolist() for found in np.unique(page, return_index=True)), strict=True
            ):
                self._owner[target_page] = name(int(part[row[first]]), int(column[first]) * 8)

    def _targets(self, words: U64Array) -> Pages:
        """The page of RAM that each word points to, directly or through its ``struct page``; -1 for none."""
        layout = self._read.ram.layout
        target = np.full(words.shape, -1, np.int64)
        direct = words - np.uint64(self._read.page_offset)
        inside = direct < np.uint64(layout.end)
        target[inside] = layout.frames_to_pages(direct[inside] >> np.uint64(PAGE_SHIFT))
        record = words - np.uint64(self._read.vmemmap)
        inside = record < np.uint64((layout.end >> PAGE_SHIFT) * self._record_size)
        inside[inside] &= record[inside] % np.uint64(self._record_size) < 4
        target[inside] = layout.frames_to_pages(record[inside] // np.uint64(self._record_size))
        return target

    def _spread(self, pages: Pages, is_tail: npt.NDArray[np.bool_], behind: npt.NDArray[np.bool_]) -> None:
        """Give a page's owner to the rest of what was allocated with it, though only its start is pointed to.

        That is the rest of a compound page, what boot reserved after it, and pages without a pointer of their own in the
        block that it starts: an allocation of 2^n pages starts at a multiple of 2^n.
        """
        self._spread_backwards(pages, is_tail)
        # Blocks that are open at a page, the innermost last: (end, owner).
        blocks: list[tuple[int, int]] = []
        last, previous = 0, -1
        for page, own, is_behind in zip(pages.tolist(), self._owner[pages].tolist(), behind.tolist(), strict=True):
            if page != previous + 1:
                blocks, last = [], 0
            while blocks and blocks[-1][0] <= page:
                blocks.pop()
            if own:
                blocks.append((page + (page & -page), own))
                last = own
            else:
                last = last if is_behind and last else blocks[-1][1] if blocks else 0
                self._owner[page] = last
            previous = page

    def _spread_backwards(self, pages: Pages, is_tail: npt.NDArray[np.bool_]) -> None:
        """Give the head of a compound page the owner of a tail that is pointed to."""
        if not len(pages):
            return
        block = np.cumsum(~is_tail) - 1
        owned = np.flatnonzero((self._owner[pages] != 0) & is_tail)[::-1]
        heads = np.flatnonzero(~is_tail)
        # Rows in front of the first head belong to a block that begins with a page that is not searched for.
        owned = owned[block[owned] >= 0]
        head = pages[heads[block[owned]]]
        nameless = self._owner[head] == 0
        self._owner[head[nameless]] = self._owner[pages[owned[nameless]]]

    def _namer(self, entries: npt.NDArray[np.void], page_class: PageClass) -> Callable[[int, int], int]:
        """The function that gives the owner for a word in a page of that class."""
        read = self._read
        shift = (read.kernel.info.number("phys_base") or 0) - IMAGE_BASE
        unit, base = read.symbol("pcpu_unit_size", 4) or 1, read.symbol("pcpu_base_addr")
        first = read.kernel.per_cpu_symbols.start

        def physical(page: int, offset: int) -> int:
            return read.ram.layout.to_physical(RamOffset(page * PAGE_SIZE + offset))

        def variable(page: int, offset: int) -> int:
            return self._lead("variable", read.name_at(physical(page, offset) - shift & _U64))

        def per_cpu(page: int, offset: int) -> int:
            place = (physical(page, offset) + read.page_offset - base) % unit
            return self._lead("per-CPU", read.name_at(first + place))

        def owner(page: int, _: int) -> int:
            known = self._book.get(int(entries["owner_id"][page]))
            lead = self._lead(known.kind, known.name, known.owner_id)
            self._leads[lead] = known.owner_id, known.name
            return lead

        if page_class == PageClass.KERNEL_DATA:
            return variable
        return per_cpu if page_class == PageClass.PER_CPU else owner

    def _lead(self, kind: str, name: str, source: int = 0) -> int:
        name = name or "kernel"
        return self._book.number("kernel", ("reached", kind, name, source), name, detail=f"reached from {kind} {name}")
