"""Decodes ``struct page`` records into a class, flags and a key for each page."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...memory.addresses import PAGE_SHIFT
from ...wire.page_map import FLAG_HEAD, FLAG_HUGE
from ...wire.records import PageClass
from ..columns import KernelColumns, Pages, U64Array
from .layout import FIRST_MASK, PageLayout
from .records import BLOCK, RegionRecords, pages_in

MAX_ORDER = 10
"""Order of the largest free block."""
_MAX_COMPOUND_ORDER = 18
_MAX_LISTED_ORDER = 3

MAPPING_ANONYMOUS, MAPPING_MOVABLE, MAPPING_KSM = 1, 2, 3
_MAPPING_BITS = 3
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
U32Array = npt.NDArray[np.uint32]

_NOT_HEAD, _HUGE = np.uint8(0xFF & ~FLAG_HEAD), np.uint8(FLAG_HUGE)


@dataclass(frozen=True, slots=True, eq=False)
class PageColumns:
    """Decoded records, an entry a page; see `MemMap` for what each column holds."""

    page_class: Bytes
    flags: Bytes
    key: U64Array
    continues: Mask

    @classmethod
    def unknown(cls, count: int) -> PageColumns:
        """Columns of `count` pages without a record."""
        return cls(
            np.full(count, PageClass.OTHER, np.uint8),
            np.zeros(count, np.uint8),
            np.zeros(count, np.uint64),
            np.zeros(count, np.bool_),
        )

    def clear(self, pages: Pages) -> None:
        """Make `pages` pages without a record."""
        self.page_class[pages], self.flags[pages], self.key[pages] = PageClass.OTHER, 0, 0
        self.continues[pages] = False


class RecordDecoder:
    """Decodes records of one kernel; `known` are the columns of all pages as far as they are decoded."""

    def __init__(self, read: KernelColumns, layout: PageLayout, known: PageColumns) -> None:
        self._read = read
        self.layout = layout
        self._known = known

    def decode(self, region: RegionRecords, blocks: Pages, rows: Pages | slice) -> PageColumns:
        """Decode the copied records of `blocks`, a row for each of their pages; `rows` is `as_slice(blocks)`."""
        layout, records = self.layout, pages_in(blocks)
        words = region.u32(rows, layout.flags)
        is_tail = (region.u8(rows, layout.compound) & np.uint8(1)).view(np.bool_)
        held = np.asarray(region.u32(rows, layout.refcount) != 0)
        mapping = region.u64(rows, layout.mapping)
        page_class = self._read_classes(words, mapping, held, region.u8(rows, layout.mapping))
        buddies = self._read_types(region.u32(rows, layout.page_type), page_class)
        key = mapping * among(page_class, PageClass.PAGE_CACHE, PageClass.SHMEM)
        slabs = np.flatnonzero(among(page_class, PageClass.SLAB))
        key[slabs] = region.words[records[slabs], layout.slab_cache >> 3]
        count = len(records)
        found = PageColumns(page_class, np.zeros(count, np.uint8), key, np.zeros(count, np.bool_))

        heads = np.flatnonzero(self._flag(words, "head") & ~is_tail)
        self._mark_heads(region, heads, records[heads], found)
        buddies = buddies[~is_tail[buddies]]
        _spread_free(buddies, region.words[records[buddies], layout.private >> 3], found)
        is_free = among(page_class, PageClass.FREE)
        loose = ~held & among(page_class, PageClass.KERNEL_PAGES)
        np.logical_and(loose, ~is_tail, out=found.continues)
        self._find_listed(region, records, found.continues)
        page_class[loose & ~found.continues] = PageClass.FREE
        tails = np.flatnonzero(is_tail & ~is_free)
        self._inherit(tails, region.first + records, self._compound_heads(region, records[tails]), found)
        bare = np.flatnonzero(~region.has_records[blocks])
        if len(bare):
            found.clear(pages_in(bare))
        return found

    def _read_classes(self, flags: U32Array, mapping: U64Array, held: Mask, mapping_byte: Bytes) -> Bytes:
        """The class of each page by its flags and mapping alone."""
        word = mapping_byte & np.uint8(_MAPPING_BITS)
        facts = (
            np.not_equal(mapping, 0),
            held,
            *(self._flag(flags, name) for name in ("swapbacked", "reserved", "slab")),
        )
        for bit, mask in enumerate(facts, 2):
            word |= mask.view(np.uint8) * np.uint8(1 << bit)
        return _CLASS_OF_WORD.take(word)

    def _read_types(self, page_type: U32Array, page_class: Bytes) -> Pages:
        """Give rows with a page type its class; the rows of buddies."""
        types = self.layout.types
        # In all encodings the word of a page type is negative and not -1, which means: mapped nowhere.
        rows = np.flatnonzero(page_type.view(np.int32) < -1)
        words = page_type[rows]
        for page_type_value, value in (
            (types.offline, PageClass.RESERVED), (types.table, PageClass.PAGE_TABLE),
            (types.slab, PageClass.SLAB), (types.hugetlb, PageClass.HUGE_PAGE),
        ):  # fmt: skip
            page_class[rows[types.match(words, page_type_value)]] = value
        return rows[types.match(words, types.buddy)]

    def _find_listed(self, region: RegionRecords, records: Pages, continues: Mask) -> None:
        """Of the rows that `continues` marks, unmark the free pages in per-CPU lists, and the blocks that they head.

        A page is in such a list when the prev pointer of its next link leads back to its record.
        """
        rows = np.flatnonzero(continues)
        link = self._read.vmemmap + self.layout.compound
        following = region.words[records[rows], self.layout.compound >> 3]
        # A page that is in no list holds zero or a poisoned pointer.
        likely = following >= np.uint64(self._read.page_offset)
        rows, following = rows[likely], following[likely]
        frames = (records[rows] + (region.start >> PAGE_SHIFT)).astype(np.uint64)
        back = self._read.u64(following + np.uint64(8))
        listed = rows[back == frames * np.uint64(self.layout.size) + np.uint64(link)]
        continues[listed] = False
        if len(listed):
            _spread_listed(listed, continues)

    def _flag(self, flags: U32Array, name: str) -> Mask:
        bit = self.layout.bits[name]
        if not 0 <= bit < 32 or (name == "slab" and self.layout.types.slab):
            return np.zeros(flags.shape, np.bool_)
        found: Mask = np.not_equal(flags & np.uint32(1 << bit), 0)
        return found

    def _mark_heads(self, region: RegionRecords, heads: Pages, records: Pages, found: PageColumns) -> None:
        """Set order and kind of the compound pages with heads at rows `heads` and at `records`."""
        layout, content = self.layout, region.bytes
        starts = records * layout.size
        order = np.minimum(content[np.minimum(starts + layout.order, len(content) - 1)], _MAX_COMPOUND_ORDER)
        found.flags[heads] = (np.minimum(order, 15) << 4) | (FLAG_HEAD | FLAG_HUGE)
        if layout.types.hugetlb:
            return
        if layout.bits["hugetlb"] >= 0:
            # Releases 6.6 to 6.8: a flag of the second record, which the destructor before and the type after it replace.
            second = region.words[np.minimum(records + 1, len(region.words) - 1), layout.flags >> 3]
            found.page_class[heads[self._flag(second.astype(np.uint32), "hugetlb")]] = PageClass.HUGE_PAGE
        elif layout.destructor >= 0:
            hugetlb = self._read.kernel.info.number("HUGETLB_PAGE_DTOR")
            destructor = content[np.minimum(starts + layout.destructor, len(content) - 1)]
            if hugetlb is not None:
                found.page_class[heads[destructor == hugetlb]] = PageClass.HUGE_PAGE

    def _compound_heads(self, region: RegionRecords, tails: Pages) -> Pages:
        """The pages of the heads to which the records `tails` point, -1 outside RAM (see `layout.compound_head`)."""
        size, start = np.uint64(self.layout.size), np.uint64(self._read.vmemmap)
        heads = region.words[tails, self.layout.compound >> 3] - np.uint64(1)
        masked = np.flatnonzero(heads >= np.uint64(FIRST_MASK))
        if len(masked):
            frames = (tails[masked] + (region.start >> PAGE_SHIFT)).astype(np.uint64)
            heads[masked] &= frames * size + start
        return self._read.ram.layout.frames_to_pages((heads - start) // size)

    def _inherit(self, tails: Pages, pages: Pages, heads: Pages, found: PageColumns) -> None:
        """Copy class, key and flags of the pages `heads` to the rows `tails`; `pages` are the page numbers of all rows."""
        back = pages[tails] - heads
        sound = (heads >= 0) & (back > 0)
        found.page_class[tails[~sound]] = PageClass.OTHER
        tails, heads, back = tails[sound], heads[sound], back[sound]
        # The head mostly is in the same block, a few rows before; a page of 1 GiB has it in another one.
        near = back <= tails % BLOCK
        row = np.where(near, tails - back, 0)
        if len(far := np.flatnonzero(~near)):
            row[far] = np.minimum(np.searchsorted(pages, heads[far]), len(pages) - 1)
            near[far] = pages[row[far]] == heads[far]
        known = self._known
        found.page_class[tails] = np.where(near, found.page_class[row], known.page_class[heads])
        found.key[tails] = np.where(near, found.key[row], known.key[heads])
        found.flags[tails] = np.where(near, found.flags[row], known.flags[heads]) & _NOT_HEAD | _HUGE


def _class_of_word(word: int) -> PageClass:
    """What a page without a page type is: two bits of `mapping`, then whether it has a mapping, is held, swap-backed, ..."""
    low = word & _MAPPING_BITS
    named, held, swap_backed, reserved, slab = (bool(word >> bit & 1) for bit in range(2, 7))
    if slab:
        return PageClass.SLAB
    if reserved:
        return PageClass.RESERVED
    if not held or low == MAPPING_MOVABLE or not named:
        return PageClass.KERNEL_PAGES
    if low:
        return PageClass.PROCESS_ANONYMOUS if low == MAPPING_ANONYMOUS else PageClass.KSM
    return PageClass.SHMEM if swap_backed else PageClass.PAGE_CACHE


_CLASS_OF_WORD = np.array([_class_of_word(word) for word in range(128)], np.uint8)


def among(classes: Bytes, *wanted: PageClass) -> Mask:
    """Which of `classes` are one of `wanted`."""
    # As np.uint8: with a member of an enumeration NumPy would compare in 64 bits.
    found = np.asarray(classes == np.uint8(wanted[0]))
    for page_class in wanted[1:]:
        found |= classes == np.uint8(page_class)
    return found


def _spread_free(heads: Pages, orders: U64Array, found: PageColumns) -> None:
    """Make the blocks that start at rows `heads` free, each as long as its order says."""
    order = np.minimum(orders, np.uint64(MAX_ORDER)).astype(np.int64)
    length = np.minimum(np.left_shift(1, order), len(found.page_class) - heads)
    rows = np.repeat(heads - np.cumsum(length) + length, length) + np.arange(int(length.sum()))
    found.page_class[rows], found.key[rows] = PageClass.FREE, 0
    found.flags[rows] = np.repeat(order << 4, length)
    found.flags[heads] |= FLAG_HEAD


def _spread_listed(listed: Pages, continues: Mask) -> None:
    """Unmark in `continues` the rest of each block of a per-CPU list with its head at rows `listed`.

    Since release 5.14 (44042b449872) such blocks may have several pages, up to 2^3, of which only the first is listed.
    """
    for order in range(1, _MAX_LISTED_ORDER + 1):
        rest = listed[listed % (1 << order) == 0][:, None] + np.arange(1, 1 << order)
        continues[rest[continues[rest].all(axis=1)]] = False
