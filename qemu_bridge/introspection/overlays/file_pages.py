"""Which page of RAM holds a page of a file: the XArray of the page cache (``include/linux/xarray.h``, ``lib/xarray.c``: xas_load)."""

from __future__ import annotations

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


def _is_node(entry: int) -> bool:
    return entry & _MARK_MASK == _NODE_MARK and entry > _LEAST_NODE


def _place(inode: Object, record: int, index: int) -> PhysicalAddress | None:
    space = inode.space
    base = space.address_of("vmemmap_base")
    distance, rest = divmod(record - (space.unsigned(base) if base else _VMEMMAP_BASE), space.size("page"))
    name = "index" if space.has("page", "index") else "__folio_index"
    place = distance + index - space.at("page", record)[name] << PAGE_SHIFT
    return PhysicalAddress(place) if not rest and 0 <= place < space.ram.layout.end else None
