"""What the kernel writes down about every page: its array of ``struct page``, the memmap, decoded as columns.

Each page of RAM has one record, 64 bytes on most kernels, in an array that is mapped at ``vmemmap_base``
(``include/linux/mm_types.h``, ``mm/sparse-vmemmap.c``). What a page is follows from a few of its words::

    flags        bits named by enum pageflags: reserved, slab, head, lru, swapbacked, ...
    word at 8    odd in the tails of a compound page: the address of the head, plus 1
    mapping      low bits 1 anonymous, 2 movable by its driver, 3 KSM, 0 the address_space of a file
    private      the order of a free block
    page_type    shares its place with _mapcount: free (buddy), page table, offline, ...
    _refcount    0 for a page that nobody holds

Page types have changed their encoding three times (`symbols.releases`). The rest comes from BTF.

`MemMap.update` copies what changed since the last time, decodes only the blocks of 1024 pages around it, and hands on the
pages that mean something else now. A block that is free as a whole says so in its first record, and the others are not
looked at: an idle guest costs what it uses.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import NoTypesError
from ..memory.addresses import PAGE_SHIFT, PAGE_SIZE, RamRegion, VirtualAddress
from ..wire.page_map import FLAG_HEAD, FLAG_HUGE
from ..wire.records import PageClass
from .columns import KernelColumns, Pages, U64Array
from .symbols import Btf, KernelSymbols
from .symbols.btf import Kind
from .symbols.releases import has

BLOCK = 1024
"""Pages decoded together: the largest free block, of order 10 (MAX_PAGE_ORDER), since release 2.6."""
_MAX_ORDER = 10
_MAX_COMPOUND_ORDER = 18
_MAX_LISTED_ORDER = 3
_MIN_RECORD, _MAX_RECORD = 32, 256
_CHUNK = 128

MAPPING_ANONYMOUS, MAPPING_MOVABLE, MAPPING_KSM = 1, 2, 3
_MAPPING_BITS = 3
# NumPy would write down what differs where, three times the work; and a call that lets go of the GIL costs more than it does.
_memcmp = ctypes.PyDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)

_NOT_HEAD, _HUGE = np.uint8(0xFF & ~FLAG_HEAD), np.uint8(FLAG_HUGE)


@dataclass(frozen=True, slots=True)
class PageTypes:
    """How ``page_type`` says what a page is: a value in the top byte, or bits that are cleared below a base.

    A type that this release does not have is 0.
    """

    in_top_byte: bool
    base: int
    buddy: int
    offline: int
    table: int
    hugetlb: int
    slab: int

    def match(self, words: npt.NDArray[np.uint32], page_type: int) -> npt.NDArray[np.bool_]:
        """Which of `words` are of `page_type`."""
        if not page_type:
            return np.zeros(words.shape, np.bool_)
        if self.in_top_byte:
            return np.asarray(words >> np.uint32(24) == page_type)
        return np.asarray(words & np.uint32(self.base | page_type) == np.uint32(self.base))


def read_page_types(btf: Btf, release: str) -> PageTypes:
    """The encoding of ``page_type`` in a kernel of `release` with types `btf`; for its history see `symbols.releases`."""
    enumeration = btf.find("pagetype", Kind.ENUM, Kind.ENUM64)
    names = {} if enumeration is None else btf.enumerators(enumeration)
    kinds = ("buddy", "offline", "table", "hugetlb", "slab")
    if has("page_type_value", release, btf):
        return PageTypes(True, 0, *(names.get(f"PGTY_{kind}", 0) & 0xFF for kind in kinds))
    if has("page_type_enum", release, btf):
        values = (names.get(f"PG_{kind}", 0) & 0xFFFFFFFF for kind in kinds)
        return PageTypes(False, names.get("PAGE_TYPE_BASE", 0x80000000) & 0xFFFFFFFF, *values)
    hugetlb = 0x800 if has("hugetlb_page_type", release, btf) else 0
    slab = 0x1000 if has("slab_page_type", release, btf) else 0
    return PageTypes(False, 0xF0000000, 0x80, 0x100, 0x200, hugetlb, slab)


@dataclass(frozen=True, slots=True)
class PageLayout:
    """Where a kernel keeps what in its ``struct page``: byte offsets; bit numbers of flags, -1 for those it lacks.

    `order` is where a compound page keeps its order, counted from its head: one byte in the second record.
    """

    size: int
    flags: int
    compound: int
    mapping: int
    private: int
    page_type: int
    refcount: int
    slab_cache: int
    order: int
    destructor: int
    bits: dict[str, int]
    types: PageTypes

    @classmethod
    def read(cls, kernel: KernelSymbols) -> PageLayout:
        """The layout that the kernel's BTF states; `NoTypesError` when it has none or lacks a field."""
        btf = kernel.btf
        size = btf.sizeof("page")
        if not _MIN_RECORD <= size <= _MAX_RECORD or size % 8:
            raise NoTypesError(f"this kernel's struct page has {size} bytes, which cannot be; its types are damaged")
        enumeration = btf.find("pageflags", Kind.ENUM, Kind.ENUM64)
        bits = {} if enumeration is None else btf.enumerators(enumeration)
        where = {name: btf.member_offset("page", name) for name in ("flags", "compound_head", "mapping", "private")}
        where |= {name: btf.member_offset("page", name) for name in ("_mapcount", "_refcount")}
        slab_cache = btf.find_member("slab", "slab_cache") or btf.find_member("page", "slab_cache")
        order, destructor = _compound_fields(btf, size)
        fields = [*where.values(), slab_cache.offset if slab_cache else 0]
        if any(not 0 <= at <= size - 4 for at in fields):
            raise NoTypesError("this kernel's struct page has fields outside itself; its types are damaged")
        flags = {name: bits.get(f"PG_{name}", -1) for name in ("reserved", "slab", "head", "swapbacked", "hugetlb")}
        return cls(
            size=size,
            flags=where["flags"],
            compound=where["compound_head"],
            mapping=where["mapping"],
            private=where["private"],
            page_type=where["_mapcount"],
            refcount=where["_refcount"],
            slab_cache=fields[-1],
            order=order,
            destructor=destructor,
            bits=flags,
            types=read_page_types(btf, kernel.release),
        )


def _compound_fields(btf: Btf, size: int) -> tuple[int, int]:
    """Where a compound page keeps its order and its destructor, from its head; -1 for the latter if it has none.

    Release 6.6 (ebc1baf5c9b4) put the order into the low byte of the second record's flags.
    """
    order, destructor = btf.find_member("page", "compound_order"), btf.find_member("page", "compound_dtor")
    if order is not None:
        return size + order.offset, -1 if destructor is None else size + destructor.offset
    return size, -1


class _Region:
    """The records of one RAM region: where they are, and a copy of them as of the last update."""

    def __init__(self, read: KernelColumns, region: RamRegion, size: int) -> None:
        self.first = region.offset >> PAGE_SHIFT
        self.start = region.start
        self.count = region.size >> PAGE_SHIFT
        self.blocks = -(-self.count // BLOCK)
        self.pages_per_block = BLOCK * size // PAGE_SIZE
        self.source = self._find_source(read, region, size)
        self.has_records = np.asarray((self.source >= 0).reshape(self.blocks, -1).all(axis=1))
        length = self.blocks * BLOCK * size // 8
        # Untouched parts of a new zero array cost nothing: records of free blocks are never copied into it.
        self.copy = np.zeros(length, np.uint64).reshape(-1, PAGE_SIZE // 8)
        self._columns = {at: self.copy.view(at).reshape(self.blocks, BLOCK, -1) for at in ("<u8", "<u4", "u1")}
        self.words = self._columns["<u8"].reshape(self.blocks * BLOCK, -1)
        self.bytes = self._columns["u1"].reshape(-1)
        self.is_free = np.zeros(self.blocks, np.bool_)

    def column(self, blocks: Pages | slice, at: int, kind: str) -> npt.NDArray[Any]:
        """What stands at byte `at` of each record of `blocks`."""
        column: npt.NDArray[Any] = self._columns[kind][blocks, :, at // np.dtype(kind).itemsize].reshape(-1)
        return column

    def runs(self, blocks: Pages) -> Iterator[tuple[slice, slice]]:
        """Pages of the copy and those of RAM that hold the records of `blocks`, where both lie in one piece."""
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
        at, total = 0, len(source)
        tables = read.kernel.page_tables
        while at < total:
            run = next(tables.iter_runs(VirtualAddress(start + at * PAGE_SIZE), (total - at) * PAGE_SIZE), None)
            if run is None:
                break
            # iter_runs passes over what is not mapped, so what it gives is checked against where we are.
            if tables.translate(VirtualAddress(start + at * PAGE_SIZE)) != run[0]:
                at += 1
                continue
            count = -(-run[1] // PAGE_SIZE)
            frames = np.arange(run[0] >> PAGE_SHIFT, (run[0] >> PAGE_SHIFT) + count, dtype=np.uint64)
            source[at : at + count] = read.ram.layout.frames_to_pages(frames)
            virtual = start + at * PAGE_SIZE
            read.add_piece(virtual, virtual + count * PAGE_SIZE, run[0] - virtual)
            at += count
        return source


class MemMap:
    """The memmap of one guest, kept decoded.

    The columns have an entry per page of the RAM file:

    Attributes:
        page_class: `uint8`, what the memmap alone can say; KERNEL_PAGES for what the kernel holds and does not name here,
            OTHER where there is no record.
        flags: `uint8` of `FLAG_HUGE`, `FLAG_HEAD`, and the order in the high nibble.
        key: `uint64`; of a SLAB page the address of its cache, of PAGE_CACHE and SHMEM that of its address_space.
        continues: `bool`; pages nobody counts a reference to, which are not free either: the rest of an allocation of
            several pages that is no compound page.
        backing: pages of the RAM file that hold the memmap itself.
        decoded: the pages that the last update decoded, or the slice of all: those that mean something else now, and others
            that may have been freed and used again for the same.
    """

    def __init__(self, read: KernelColumns) -> None:
        """Find the memmap of `read`'s kernel; `NoTypesError` without types."""
        self._read = read
        self.layout = PageLayout.read(read.kernel)
        count = read.ram.page_count
        self.page_class = np.full(count, PageClass.OTHER, np.uint8)
        self.flags = np.zeros(count, np.uint8)
        self.key = np.zeros(count, np.uint64)
        self.continues = np.zeros(count, np.bool_)
        self._regions = [_Region(read, region, self.layout.size) for region in read.ram.layout.regions]
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
        """Decode every block anew in the next update."""
        self._is_known = False

    def update(self) -> Pages | slice:
        """Bring the columns up to date; returns the pages that mean something else now, ascending, or the slice of all."""
        parts = [self._update_region(region) for region in self._regions]
        known, self._is_known = self._is_known, True
        if not known:
            self.decoded = slice(None)
            return self.decoded
        self.decoded = np.concatenate([decoded for _, decoded in parts])
        return np.concatenate([changed for changed, _ in parts])

    def _update_region(self, region: _Region) -> tuple[Pages, Pages]:
        """Bring the columns of `region` up to date; the pages that changed, ascending, and those that were decoded."""
        free = self._free_blocks(region)
        freed = np.flatnonzero(free & ~region.is_free if self._is_known else free)
        stale = self._copy_changed(region, np.flatnonzero(~free)) | region.is_free
        busy = np.flatnonzero(~free & stale if self._is_known else ~free)
        region.is_free = free
        self._set_free(region, freed)
        changed = [self._decode(region, busy[start : start + _CHUNK]) for start in range(0, len(busy), _CHUNK)]
        if not self._is_known:
            return region.source[:0], region.source[:0]
        pages = np.concatenate([_pages_of(region, freed), *changed])
        return np.sort(pages) if len(freed) else pages, _pages_of(region, busy)

    def _free_blocks(self, region: _Region) -> npt.NDArray[np.bool_]:
        """Which blocks are free as a whole, by their first records, looked at in place."""
        source = region.source[:: region.pages_per_block]
        known = source >= 0
        first = np.where(known, source, 0) << PAGE_SHIFT
        view, layout = self._read.ram.view, self.layout
        types = view.view("<u4")[first + layout.page_type >> 2]
        orders = view.view("<u8")[first + layout.private >> 3]
        return np.asarray(known & layout.types.match(types, layout.types.buddy) & (orders >= _MAX_ORDER))

    def _set_free(self, region: _Region, blocks: Pages) -> None:
        """Make whole `blocks` free."""
        if not len(blocks):
            return
        whole = region.count // BLOCK
        end = region.first + whole * BLOCK
        for column, value in (
            (self.page_class, PageClass.FREE), (self.key, 0), (self.continues, False), (self.flags, _MAX_ORDER << 4)
        ):  # fmt: skip
            column[region.first : end].reshape(whole, BLOCK)[blocks[blocks < whole]] = value
            if whole < region.blocks and blocks[-1] == whole:
                column[end : region.first + region.count] = value
        self.flags[region.first + blocks * BLOCK] |= FLAG_HEAD

    def _copy_changed(self, region: _Region, blocks: Pages) -> npt.NDArray[np.bool_]:
        """Copy the records of `blocks`; which blocks of the region differ from the copy before."""
        changed = np.zeros(region.blocks, np.bool_)
        memory = self._read.ram.pages().view("<u8")
        copy_at, memory_at = region.copy.ctypes.data, memory.ctypes.data
        for kept, source in region.runs(blocks):
            start, shift = kept.start, source.start - kept.start
            while start < kept.stop:
                block = start // region.pages_per_block
                end = min((block + 1) * region.pages_per_block, kept.stop)
                length = (end - start) * PAGE_SIZE
                if _memcmp(copy_at + start * PAGE_SIZE, memory_at + (start + shift) * PAGE_SIZE, length):
                    region.copy[start:end] = memory[start + shift : end + shift]
                    changed[block] = True
                start = end
        return changed

    def _decode(self, region: _Region, blocks: Pages) -> Pages:
        """Decode the copied records of `blocks` into the columns; the pages that mean something else now."""
        layout, rows = self.layout, _as_slice(blocks)
        records = _pages_in(blocks)
        flags = region.column(rows, layout.flags, "<u4")
        mapping = region.column(rows, layout.mapping, "<u8")
        held = np.asarray(region.column(rows, layout.refcount, "<u4") != 0)
        is_tail = (region.column(rows, layout.compound, "u1") & np.uint8(1)).view(np.bool_)
        word = region.column(rows, layout.mapping, "u1") & np.uint8(_MAPPING_BITS)
        has = (
            np.not_equal(mapping, 0),
            held,
            *(self._flag(flags, name) for name in ("swapbacked", "reserved", "slab")),
        )
        for bit, mask in enumerate(has, 2):
            word |= mask.view(np.uint8) * np.uint8(1 << bit)
        page_class = _CLASS_OF_WORD.take(word)
        buddies = self._read_types(region.column(rows, layout.page_type, "<u4"), page_class)
        key = mapping * among(page_class, PageClass.PAGE_CACHE, PageClass.SHMEM)
        slabs = np.flatnonzero(among(page_class, PageClass.SLAB))
        key[slabs] = region.words[records[slabs], layout.slab_cache >> 3]

        marks = np.zeros(len(records), np.uint8)
        heads = np.flatnonzero(self._flag(flags, "head") & ~is_tail)
        self._mark_heads(region, heads, records[heads], marks, page_class)
        buddies = buddies[~is_tail[buddies]]
        _spread_free(buddies, region.words[records[buddies], layout.private >> 3], page_class, marks, key)
        is_free = among(page_class, PageClass.FREE)
        loose = ~held & among(page_class, PageClass.KERNEL_PAGES)
        continues = loose & ~is_tail
        self._find_listed(region, records, continues)
        page_class[loose & ~continues] = PageClass.FREE
        tails = np.flatnonzero(is_tail & ~is_free)
        compound = region.words[records[tails], layout.compound >> 3]
        self._inherit(tails, region.first + records, compound, page_class, marks, key)
        bare = np.flatnonzero(~region.has_records[blocks])
        if len(bare):
            missing = _pages_in(bare)
            page_class[missing], marks[missing], key[missing], continues[missing] = PageClass.OTHER, 0, 0, False
        return self._enter(region, rows, records, (page_class, marks, key, continues))

    def _enter(
        self, region: _Region, blocks: Pages | slice, records: Pages, columns: tuple[npt.NDArray[Any], ...]
    ) -> Pages:
        """Write new values of the pages with `records`; those whose values were others."""
        count = int(np.searchsorted(records, region.count))
        pages = records[:count] + region.first
        kept: tuple[npt.NDArray[Any], ...] = (self.page_class, self.flags, self.key, self.continues)
        if not self._is_known:
            where = slice(int(pages[0]), int(pages[-1]) + 1) if isinstance(blocks, slice) else pages
            for column, new in zip(kept, columns, strict=True):
                column[where] = new[:count]
            return pages[:0]
        differs = np.zeros(count, np.bool_)
        for column, new in zip(kept, columns, strict=True):
            differs |= column[pages] != new[:count]
        rows = np.flatnonzero(differs)
        pages = pages[rows]
        for column, new in zip(kept, columns, strict=True):
            column[pages] = new[rows]
        return pages

    def _read_types(self, page_type: npt.NDArray[np.uint32], page_class: npt.NDArray[np.uint8]) -> Pages:
        """Give rows with a page type its class; the rows of buddies."""
        types = self.layout.types
        # In all encodings the word of a type is negative, and that of a page mapped nowhere is -1.
        rows = np.flatnonzero(page_type.view(np.int32) < -1)
        words = page_type[rows]
        for page_type_value, value in (
            (types.offline, PageClass.RESERVED), (types.table, PageClass.PAGE_TABLE),
            (types.slab, PageClass.SLAB), (types.hugetlb, PageClass.HUGE_PAGE),
        ):  # fmt: skip
            page_class[rows[types.match(words, page_type_value)]] = value
        return rows[types.match(words, types.buddy)]

    def _find_listed(self, region: _Region, records: Pages, continues: npt.NDArray[np.bool_]) -> None:
        """Of the rows that `continues` marks, unmark those that are links of a list, and what belongs to them.

        The next link's own way back must lead to the record: so it is with the free pages that a processor keeps for itself.
        """
        rows = np.flatnonzero(continues)
        link = self._read.vmemmap + self.layout.compound
        following = region.words[records[rows], self.layout.compound >> 3]
        # What was never in a list, or was taken out of one, holds zero or a poisoned pointer.
        likely = following >= np.uint64(self._read.page_offset)
        rows, following = rows[likely], following[likely]
        frames = (records[rows] + (region.start >> PAGE_SHIFT)).astype(np.uint64)
        back = self._read.u64(following + np.uint64(8))
        listed = rows[back == frames * np.uint64(self.layout.size) + np.uint64(link)]
        continues[listed] = False
        if len(listed):
            _spread_listed(listed, continues)

    def _flag(self, flags: npt.NDArray[np.uint32], name: str) -> npt.NDArray[np.bool_]:
        bit = self.layout.bits[name]
        if not 0 <= bit < 32 or (name == "slab" and self.layout.types.slab):
            return np.zeros(flags.shape, np.bool_)
        found: npt.NDArray[np.bool_] = np.not_equal(flags & np.uint32(1 << bit), 0)
        return found

    def _mark_heads(
        self,
        region: _Region,
        heads: Pages,
        records: Pages,
        marks: npt.NDArray[np.uint8],
        page_class: npt.NDArray[np.uint8],
    ) -> None:
        """Note order and kind of compound pages at rows `heads`, whose records are `records`."""
        layout, content = self.layout, region.bytes
        starts = records * layout.size
        order = np.minimum(content[np.minimum(starts + layout.order, len(content) - 1)], _MAX_COMPOUND_ORDER)
        marks[heads] = (np.minimum(order, 15) << 4) | (FLAG_HEAD | FLAG_HUGE)
        if layout.types.hugetlb:
            return
        if layout.bits["hugetlb"] >= 0:
            # Releases 6.6 to 6.8: a flag of the second record, which the destructor before and the type after it replace.
            second = region.words[np.minimum(records + 1, len(region.words) - 1), layout.flags >> 3]
            page_class[heads[self._flag(second.astype(np.uint32), "hugetlb")]] = PageClass.HUGE_PAGE
        elif layout.destructor >= 0:
            hugetlb = self._read.kernel.info.number("HUGETLB_PAGE_DTOR")
            found = content[np.minimum(starts + layout.destructor, len(content) - 1)]
            if hugetlb is not None:
                page_class[heads[found == hugetlb]] = PageClass.HUGE_PAGE

    def _inherit(
        self,
        tails: Pages,
        pages: Pages,
        compound: U64Array,
        page_class: npt.NDArray[np.uint8],
        marks: npt.NDArray[np.uint8],
        key: U64Array,
    ) -> None:
        """Give the rows `tails` of compound pages what their heads are; `pages` are those of all rows."""
        read = self._read
        frames = (compound - np.uint64(1) - np.uint64(read.vmemmap)) // np.uint64(self.layout.size)
        heads = read.ram.layout.frames_to_pages(frames)
        back = pages[tails] - heads
        sound = (heads >= 0) & (back > 0)
        page_class[tails[~sound]] = PageClass.OTHER
        tails, heads, back = tails[sound], heads[sound], back[sound]
        # The head mostly lies in the same block, a few rows before; a page of 1 GiB has it in another one.
        near = back <= tails % BLOCK
        row = np.where(near, tails - back, 0)
        if len(far := np.flatnonzero(~near)):
            row[far] = np.minimum(np.searchsorted(pages, heads[far]), len(pages) - 1)
            near[far] = pages[row[far]] == heads[far]
        page_class[tails] = np.where(near, page_class[row], self.page_class[heads])
        key[tails] = np.where(near, key[row], self.key[heads])
        marks[tails] = np.where(near, marks[row], self.flags[heads]) & _NOT_HEAD | _HUGE


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


def among(classes: npt.NDArray[np.uint8], *wanted: PageClass) -> npt.NDArray[np.bool_]:
    """Which of `classes` are one of `wanted`."""
    # As numbers of the array's own type: with a member of an enumeration NumPy would compare in 64 bits.
    found = np.asarray(classes == np.uint8(wanted[0]))
    for page_class in wanted[1:]:
        found |= classes == np.uint8(page_class)
    return found


def _spread_free(
    heads: Pages,
    orders: U64Array,
    page_class: npt.NDArray[np.uint8],
    marks: npt.NDArray[np.uint8],
    key: U64Array,
) -> None:
    """Make the blocks that start at rows `heads` free, each as long as its order says."""
    order = np.minimum(orders, np.uint64(_MAX_ORDER)).astype(np.int64)
    length = np.minimum(np.left_shift(1, order), len(page_class) - heads)
    rows = np.repeat(heads - np.cumsum(length) + length, length) + np.arange(int(length.sum()))
    page_class[rows], key[rows] = PageClass.FREE, 0
    marks[rows] = np.repeat(order << 4, length)
    marks[heads] |= FLAG_HEAD


def _spread_listed(listed: Pages, continues: npt.NDArray[np.bool_]) -> None:
    """Let what follows the rows `listed` not count as going on, where both are a block that a processor keeps for itself.

    Since release 5.14 (44042b449872) such blocks may have several pages, up to 2^3, of which only the first is listed.
    """
    for order in range(1, _MAX_LISTED_ORDER + 1):
        rest = listed[listed % (1 << order) == 0][:, None] + np.arange(1, 1 << order)
        continues[rest[continues[rest].all(axis=1)]] = False


def _as_slice(blocks: Pages) -> Pages | slice:
    """`blocks`, ascending, as a slice where they lie in one piece: what it takes is then no copy."""
    first, last = int(blocks[0]), int(blocks[-1])
    return slice(first, last + 1) if last - first == len(blocks) - 1 else blocks


def _pages_in(blocks: Pages) -> Pages:
    """Numbers of all pages in `blocks`, counted from the region's first."""
    return (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()


def _pages_of(region: _Region, blocks: Pages) -> Pages:
    """Page numbers in the RAM file of all pages in `blocks`; those past the end of the region cut off."""
    pages = _pages_in(blocks)
    return pages[pages < region.count] + region.first
