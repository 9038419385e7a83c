"""The XArray, by which the kernel finds a pointer by a number (``include/linux/xarray.h``); an IDR is one (``linux/idr.h``)."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import GuestError
from .objects import KernelObjects

_NODE_MARK, _MARK_MASK, _LEAST_NODE = 2, 3, 4096
_MOST_BITS = 64


def is_node(entry: int) -> bool:
    """Whether an entry leads to a node; other entries that end in binary 10 mean something to the XArray itself."""
    return entry & _MARK_MASK == _NODE_MARK and entry > _LEAST_NODE


def iter_entries(space: KernelObjects, head: int) -> Iterator[tuple[int, int]]:
    """Yield (index, pointer) of everything in the XArray whose ``xa_head`` holds `head`, ascending.

    `GuestError` where it has no end; `AddressError` where a node is not in RAM.
    """
    if is_node(head):
        yield from _below(space, head - _NODE_MARK, 0, _MOST_BITS)
    elif head and not head & _MARK_MASK:
        yield 0, head


def _below(space: KernelObjects, address: int, base: int, above: int) -> Iterator[tuple[int, int]]:
    """Yield what is below a node whose shift must be less than `above`."""
    node = space.at("xa_node", address)
    shift = node["shift"]
    if shift >= above:
        raise GuestError("a table of the kernel has no end; retry, or pause the machine")
    for number, entry in enumerate(node.numbers("slots")):
        index = base + (number << shift)
        space.budget.spend()
        if is_node(entry) and shift:
            yield from _below(space, entry - _NODE_MARK, index, shift)
        elif entry and not entry & _MARK_MASK:
            yield index, entry
