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

`MemMap.update` copies what changed since the last time and decodes only the blocks of 1024 pages around it. A block that
is free as a whole says so in its first record, and the others are not looked at: an idle guest costs what it uses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .addresses import PAGE_SHIFT, PAGE_SIZE, RamRegion, VirtualAddress
from .columns import KernelColumns, Pages, U64Array
from .errors import NoTypesError
from .page_map import FLAG_HEAD, FLAG_HUGE
from .protocol import PageClass
from .symbols import Btf, KernelSymbols
from .symbols.btf import Kind
from .symbols.releases import has

BLOCK = 1024
"""Pages decoded together: the largest free block, of order 10 (MAX_PAGE_ORDER), since release 2.6."""
_MAX_ORDER = 10
_MAX_COMPOUND_ORDER = 18
_MAX_LISTED_ORDER = 3
_MIN_RECORD, _MAX_RECORD = 32, 256

MAPPING_ANONYMOUS, MAPPING_MOVABLE, MAPPING_KSM = 1, 2, 3
_MAPPING_BITS = 3


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
        self.count = region.size >> PAGE_SHIFT
        self.blocks = -(-self.count // BLOCK)
        self.pages_per_block = BLOCK * size // PAGE_SIZE
        self.source = self._find_source(read, region, size)
        length = self.blocks * BLOCK * size // 8
        # Untouched parts of a new zero array cost nothing: records of free blocks are never copied into it.
        self.copy = np.zeros(length, np.uint64).reshape(-1, PAGE_SIZE // 8)
        self.words = self.copy.reshape(self.blocks, BLOCK, size // 8)
        self.half_words = self.copy.view(np.uint32).reshape(self.blocks, BLOCK, size // 4)
        self.is_free = np.zeros(self.blocks, np.bool_)
        self.is_known = np.zeros(self.blocks, np.bool_)

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
        sources = np.concatenate([region.source for region in self._regions])
        self.backing = np.unique(sources[sources >= 0])

    @property
    def coverage(self) -> float:
        """The share of the memmap that is mapped: 0.0 when there is none where it should be."""
        sources = np.concatenate([region.source for region in self._regions])
        return float(np.count_nonzero(sources >= 0)) / max(len(sources), 1)

    def forget(self) -> None:
        """Decode every block anew in the next update."""
        for region in self._regions:
            region.is_known[:] = False

    def update(self) -> Pages:
        """Bring the columns up to date; returns the pages that were decoded anew, ascending."""
        changed = [self._update_region(region) for region in self._regions]
        return np.concatenate([np.zeros(0, np.int64), *changed])

    def _update_region(self, region: _Region) -> Pages:
        free = self._free_blocks(region)
        freed = free & ~(region.is_free & region.is_known)
        busy = np.flatnonzero(~free)
        stale = busy[self._copy_changed(region, busy)]
        region.is_free, region.is_known[:] = free, True
        if freed.any():
            self._set_free(region, freed)
        if len(stale):
            self._decode(region, stale)
        return _pages_of(region, np.union1d(np.flatnonzero(freed), stale))

    def _free_blocks(self, region: _Region) -> npt.NDArray[np.bool_]:
        """Which blocks are free as a whole, by their first records, looked at in place."""
        source = region.source[:: region.pages_per_block]
        known = source >= 0
        first = np.where(known, source, 0) << PAGE_SHIFT
        view, layout = self._read.ram.view, self.layout
        types = view.view("<u4")[first + layout.page_type >> 2]
        orders = view.view("<u8")[first + layout.private >> 3]
        return np.asarray(known & layout.types.match(types, layout.types.buddy) & (orders >= _MAX_ORDER))

    def _set_free(self, region: _Region, blocks: npt.NDArray[np.bool_]) -> None:
        """Make whole `blocks` free."""
        whole = region.count // BLOCK
        end = region.first + whole * BLOCK
        for column, value in (
            (self.page_class, PageClass.FREE), (self.key, 0), (self.continues, False), (self.flags, _MAX_ORDER << 4)
        ):  # fmt: skip
            column[region.first : end].reshape(whole, BLOCK)[blocks[:whole]] = value
            if whole < region.blocks and blocks[whole]:
                column[end : region.first + region.count] = value
        self.flags[region.first + np.flatnonzero(blocks) * BLOCK] |= FLAG_HEAD

    def _copy_changed(self, region: _Region, blocks: Pages) -> npt.NDArray[np.bool_]:
        """Copy the records of `blocks`; which of them differ from the copy before."""
        per_block = region.pages_per_block
        rows = (blocks[:, None] * per_block + np.arange(per_block)).ravel()
        source = region.source[rows]
        now = self._read.ram.pages().view("<u8")[np.maximum(source, 0)]
        if (source < 0).any():
            now[source < 0] = 0
        differs = (now != region.copy[rows]).any(axis=1)
        region.copy[rows[differs]] = now[differs]
        return np.asarray(
            differs.reshape(-1, per_block).any(axis=1) | ~region.is_known[blocks] | region.is_free[blocks]
        )

    def _decode(self, region: _Region, blocks: Pages) -> None:
        """Decode the copied records of `blocks` into the columns."""
        layout = self.layout
        pages = _pages_of(region, blocks, cut=False)
        flags, compound, mapping, private = (
            region.words[blocks, :, at >> 3].ravel()
            for at in (layout.flags, layout.compound, layout.mapping, layout.private)
        )
        page_type, references = (
            region.half_words[blocks, :, at >> 2].ravel() for at in (layout.page_type, layout.refcount)
        )
        types = layout.types
        has_record = np.repeat((region.source >= 0).reshape(region.blocks, -1)[blocks].all(axis=1), BLOCK)
        page_class = np.full(len(pages), PageClass.KERNEL_PAGES, np.uint8)
        marks, key = np.zeros(len(pages), np.uint8), np.zeros(len(pages), np.uint64)

        low = mapping & np.uint64(_MAPPING_BITS)
        named, held = mapping != 0, references != 0
        swap_backed = self._flag(flags, "swapbacked")
        file = named & (low == 0) & held
        page_class[file] = np.where(swap_backed[file], PageClass.SHMEM, PageClass.PAGE_CACHE)
        key[file] = mapping[file]
        page_class[(low == MAPPING_ANONYMOUS) & held] = PageClass.PROCESS_ANONYMOUS
        page_class[(low == MAPPING_KSM) & held] = PageClass.KSM
        page_class[(low == MAPPING_MOVABLE) & held] = PageClass.KERNEL_PAGES
        page_class[self._flag(flags, "reserved") | types.match(page_type, types.offline)] = PageClass.RESERVED
        page_class[types.match(page_type, types.table)] = PageClass.PAGE_TABLE
        slab = types.match(page_type, types.slab) if types.slab else self._flag(flags, "slab")
        page_class[slab] = PageClass.SLAB
        key[slab] = region.words[blocks, :, layout.slab_cache >> 3].ravel()[slab]
        page_class[types.match(page_type, types.hugetlb)] = PageClass.HUGE_PAGE
        no_name = np.isin(page_class, _NAMELESS)
        key[no_name] = 0

        is_tail = (compound & np.uint64(1)) != 0
        self._mark_heads(region, blocks, np.flatnonzero(self._flag(flags, "head") & ~is_tail), marks, page_class)
        buddy = types.match(page_type, types.buddy) & ~is_tail
        _spread_free(np.flatnonzero(buddy), private, page_class, marks, key)
        is_free = page_class == PageClass.FREE
        continues: npt.NDArray[np.bool_] = ~held & (page_class == PageClass.KERNEL_PAGES) & ~is_tail
        continues[continues] = ~self._is_listed(pages[continues], compound[continues])
        listed = ~held & (page_class == PageClass.KERNEL_PAGES) & ~continues & ~is_tail
        _spread_listed(listed, continues)
        page_class[~held & (page_class == PageClass.KERNEL_PAGES) & ~continues] = PageClass.FREE
        page_class[~has_record], key[~has_record] = PageClass.OTHER, 0
        inside = pages < region.first + region.count
        pages = pages[inside]
        self.page_class[pages], self.flags[pages], self.key[pages] = page_class[inside], marks[inside], key[inside]
        self.continues[pages] = continues[inside]
        tail = is_tail & has_record & ~is_free
        self._inherit(_pages_of(region, blocks, cut=False)[inside & tail], compound[inside & tail])

    def _is_listed(self, pages: Pages, following: U64Array) -> npt.NDArray[np.bool_]:
        """Which records of `pages` are links of a list, as those of free pages kept for one processor are.

        `following` is the word that holds the next link; its own way back must lead to the record.
        """
        frames = np.zeros(len(pages), np.uint64)
        for region in self._read.ram.layout.regions:
            first = region.offset >> PAGE_SHIFT
            inside = (pages >= first) & (pages < first + (region.size >> PAGE_SHIFT))
            frames[inside] = (pages[inside] - first + (region.start >> PAGE_SHIFT)).astype(np.uint64)
        link = frames * np.uint64(self.layout.size) + np.uint64(self._read.vmemmap + self.layout.compound)
        return np.asarray(self._read.u64(following + np.uint64(8)) == link)

    def _flag(self, flags: U64Array, name: str) -> npt.NDArray[np.bool_]:
        bit = self.layout.bits[name]
        if not 0 <= bit < 64:
            return np.zeros(flags.shape, np.bool_)
        found: npt.NDArray[np.bool_] = np.not_equal(flags & np.uint64(1 << bit), 0)
        return found

    def _mark_heads(
        self,
        region: _Region,
        blocks: Pages,
        heads: Pages,
        marks: npt.NDArray[np.uint8],
        page_class: npt.NDArray[np.uint8],
    ) -> None:
        """Note order and kind of compound pages at their heads (rows of `blocks`)."""
        if not len(heads):
            return
        layout = self.layout
        starts = (blocks[heads // BLOCK] * BLOCK + heads % BLOCK) * layout.size
        content = region.copy.view(np.uint8).reshape(-1)
        second = np.minimum(starts + layout.order, len(content) - 1)
        order = np.minimum(content[second], _MAX_COMPOUND_ORDER)
        marks[heads] = (np.minimum(order, 15) << 4) | (FLAG_HEAD | FLAG_HUGE)
        if layout.types.hugetlb:
            return
        if layout.bits["hugetlb"] >= 0:
            # Releases 6.6 to 6.8: a flag of the second record, which the destructor before and the type after it replace.
            second_flags = region.words.reshape(-1, layout.size // 8)[
                np.minimum(starts // layout.size + 1, region.blocks * BLOCK - 1), layout.flags >> 3
            ]
            page_class[heads[self._flag(second_flags, "hugetlb")]] = PageClass.HUGE_PAGE
        elif layout.destructor >= 0:
            hugetlb = self._read.kernel.info.number("HUGETLB_PAGE_DTOR")
            found = content[np.minimum(starts + layout.destructor, len(content) - 1)]
            if hugetlb is not None:
                page_class[heads[found == hugetlb]] = PageClass.HUGE_PAGE

    def _inherit(self, pages: Pages, compound: U64Array) -> None:
        """Give the tails of compound pages what their heads are."""
        if not len(pages):
            return
        read = self._read
        frames = (compound - np.uint64(1) - np.uint64(read.vmemmap)) // np.uint64(self.layout.size)
        heads = read.ram.layout.frames_to_pages(frames)
        sound = (heads >= 0) & (heads < pages)
        self.page_class[pages[~sound]] = PageClass.OTHER
        pages, heads = pages[sound], heads[sound]
        self.page_class[pages], self.key[pages] = self.page_class[heads], self.key[heads]
        self.flags[pages] = self.flags[heads] & np.uint8(0xFF & ~FLAG_HEAD) | np.uint8(FLAG_HUGE)


_NAMELESS = np.array(
    [c for c in PageClass if c not in (PageClass.SLAB, PageClass.PAGE_CACHE, PageClass.SHMEM)], np.uint8
)


def _spread_free(
    heads: Pages,
    orders: U64Array,
    page_class: npt.NDArray[np.uint8],
    marks: npt.NDArray[np.uint8],
    key: U64Array,
) -> None:
    """Make the blocks at rows `heads` free, each as long as the order of its first page says."""
    order = np.minimum(orders[heads], np.uint64(_MAX_ORDER)).astype(np.int64)
    length = np.minimum(np.left_shift(1, order), len(page_class) - heads)
    rows = np.repeat(heads - np.cumsum(length) + length, length) + np.arange(int(length.sum()))
    page_class[rows], key[rows] = PageClass.FREE, 0
    marks[rows] = np.repeat(order << 4, length)
    marks[heads] |= FLAG_HEAD


def _spread_listed(listed: npt.NDArray[np.bool_], continues: npt.NDArray[np.bool_]) -> None:
    """Let what follows a `listed` page not count as going on, where both are a block that a processor keeps for itself.

    Since release 5.14 (44042b449872) such blocks may have several pages, up to 2^3, of which only the first is listed.
    """
    for order in range(1, _MAX_LISTED_ORDER + 1):
        blocks = continues.reshape(-1, 1 << order)
        whole = listed[:: 1 << order] & blocks[:, 1:].all(axis=1)
        blocks[whole, 1:] = False


def _pages_of(region: _Region, blocks: Pages, cut: bool = True) -> Pages:
    """Page numbers in the RAM file of all pages in `blocks`; those past the end of the region `cut` off."""
    pages = (region.first + blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
    return pages[pages < region.first + region.count] if cut else pages
