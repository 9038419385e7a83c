"""Which page of RAM holds a page of a file: the XArray of the page cache (``include/linux/xarray.h``, ``lib/xarray.c``: xas_load)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ...errors import GuestError
from ...kernel.objects import Object
from ...memory.addresses import PAGE_SHIFT, PhysicalAddress

_MOST_LEVELS = 11
_NODE_MARK, _MARK_MASK, _LEAST_NODE = 2, 3, 4096
_VMEMMAP_BASE = 0xFFFFEA0000000000
"""Where it is mapped in a kernel that does not move it."""


def find_page(inode: Object, index: int) -> PhysicalAddress | None:
    """Where page `index` of the file of `inode` is in RAM; None where it is not there."""
    entry = inode["i_data.i_pages.xa_head"]
    if not _is_node(entry) and index:
        return None  # without a node there is page 0 alone
    for _ in range(_MOST_LEVELS):
        if not _is_node(entry):
            break
        node = inode.space.at("xa_node", entry - _NODE_MARK)
        slots, shift = node.numbers("slots"), node["shift"]
        # Behind the end of the highest node there is nothing.
        slot = index >> shift if entry == inode["i_data.i_pages.xa_head"] else index >> shift & len(slots) - 1
        if slot >= len(slots):
            return None
        entry = slots[slot]
        if entry & _MARK_MASK == _NODE_MARK and entry < _LEAST_NODE:
            entry = slots[entry >> 2 & len(slots) - 1]  # a large folio has its slots refer to the first
    # What is a number is a page that was taken back, or is on a swap device.
    return _place(inode, entry, index) if entry and not entry & _MARK_MASK else None


class CachedPages(NamedTuple):
    """`pages` pages of a file from its page `first` on: in RAM at `physical`, on a swap device where that is None.

    What is not `is_current` has not been read from its device yet.
    """

    first: int
    pages: int
    physical: PhysicalAddress | None
    is_current: bool = True


def iter_pages(inode: Object) -> Iterator[CachedPages]:
    """Yield what the page cache holds of the file of `inode`, ascending. Of a file of a disk, what was taken back is left out."""
    head = inode["i_data.i_pages.xa_head"]
    for index, count, entry in _entries(inode, head, 0, 1 << 52) if _is_node(head) else [(0, 1, head)] * bool(head):
        inode.space.budget.spend(count)
        if entry & _MARK_MASK:
            yield CachedPages(index, count, None)
        elif (physical := _place(inode, entry, index)) is not None and _is_of(inode, entry):
            yield CachedPages(index, count, physical, _is_current(inode, entry))


def _entries(inode: Object, entry: int, base: int, above: int) -> Iterator[tuple[int, int, int]]:
    """Yield (page of the file, pages, entry) of what is below a node, whose slots cover less than `above` pages each."""
    node = inode.space.at("xa_node", entry - _NODE_MARK)
    slots, shift = node.numbers("slots"), node["shift"]
    if 1 << shift >= above:
        raise GuestError("the page cache of a file has no end; retry, or pause the machine")
    for number, found in enumerate(slots):
        index = base + (number << shift)
        if _is_node(found) and shift:
            yield from _entries(inode, found, index, 1 << shift)
        elif found & _MARK_MASK == _NODE_MARK and found < _LEAST_NODE:
            # A large folio: its other slots refer to the first.
            if (first := slots[found >> 2 & len(slots) - 1]) and not _is_node(first):
                yield index, 1 << shift, first
        elif found and not _is_node(found):
            yield index, 1 << shift, found


def _is_of(inode: Object, record: int) -> bool:
    """Whether a page says of itself that it is one of this file: the guest may have used it for another meanwhile."""
    page = inode.space.at("page", record)
    return "mapping" not in page or page["mapping"] & ~_MARK_MASK == inode.at("i_data")


def _is_current(inode: Object, record: int) -> bool:
    page, bit = inode.space.at("page", record), inode.space.enumerator("pageflags", "PG_uptodate")
    return bit is None or bool(page["flags.f" if "flags.f" in page else "flags"] >> bit & 1)


def _is_node(entry: int) -> bool:
    return entry & _MARK_MASK == _NODE_MARK and entry > _LEAST_NODE


def _place(inode: Object, record: int, index: int) -> PhysicalAddress | None:
    space = inode.space
    base = space.address_of("vmemmap_base")
    distance, rest = divmod(record - (space.unsigned(base) if base else _VMEMMAP_BASE), space.size("page"))
    name = "index" if space.has("page", "index") else "__folio_index"
    place = distance + index - space.at("page", record)[name] << PAGE_SHIFT
    return PhysicalAddress(place) if not rest and 0 <= place < space.ram.layout.end else None
