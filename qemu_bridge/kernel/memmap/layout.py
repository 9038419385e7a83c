"""Where a kernel keeps what in its ``struct page``, and how it encodes page types; both from BTF and the release."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...errors import NoTypesError
from ..symbols import Btf, KernelSymbols, Kind
from ..symbols.releases import has

FIRST_MASK = (1 << 64) - (1 << 31)
"""The least value of a compound field that is a mask."""
_MIN_RECORD, _MAX_RECORD = 32, 256


@dataclass(frozen=True, slots=True)
class PageTypes:
    """The encoding of ``page_type``: a value in the top byte, or bits that are cleared below a base.

    A type that the release lacks is 0.
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
            raise NoTypesError(
                f"this kernel's struct page has an implausible size, {size} bytes; its BTF is damaged, use another kernel"
            )
        enumeration = btf.find("pageflags", Kind.ENUM, Kind.ENUM64)
        bits = {} if enumeration is None else btf.enumerators(enumeration)
        where = {name: btf.member_offset("page", name) for name in ("flags", "mapping", "private")}
        where["compound"] = btf.member_offset(
            "page", "compound_info" if kernel.has("compound_info") else "compound_head"
        )
        where |= {name: btf.member_offset("page", name) for name in ("_mapcount", "_refcount")}
        slab_cache = btf.find_member("slab", "slab_cache") or btf.find_member("page", "slab_cache")
        order, destructor = _compound_fields(btf, size)
        fields = [*where.values(), slab_cache.offset if slab_cache else 0]
        if any(not 0 <= at <= size - 4 for at in fields):
            raise NoTypesError(
                "this kernel's struct page has fields beyond its end; its BTF is damaged, use another kernel"
            )
        flags = {name: bits.get(f"PG_{name}", -1) for name in ("reserved", "slab", "head", "swapbacked", "hugetlb")}
        return cls(
            size=size,
            flags=where["flags"],
            compound=where["compound"],
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


def compound_head(record: int, word: int) -> int:
    """Address of the head of the compound page whose record at address `record` has `word` in its compound field.

    A tail has bit 0 set. The rest is the head's address, or since release 7.1 a mask that makes it of the tail's own
    (``_compound_head`` in ``page-flags.h``): it has all bits set down to the size of the block, so it is higher than a memmap.
    """
    if not word & 1:
        return record
    return record & word if word >= FIRST_MASK else word - 1


def _compound_fields(btf: Btf, size: int) -> tuple[int, int]:
    """Where a compound page keeps its order and its destructor, from its head; -1 for the latter if it has none.

    Release 6.6 (ebc1baf5c9b4) put the order into the low byte of the second record's flags.
    """
    order, destructor = btf.find_member("page", "compound_order"), btf.find_member("page", "compound_dtor")
    if order is not None:
        return size + order.offset, -1 if destructor is None else size + destructor.offset
    return size, -1
