"""Maple trees: what the kernel keeps ranges of numbers in, memory areas above all (``lib/maple_tree.c``, mt_dump_node).

A node is 256 bytes of pivots and slots: slot *n* covers the numbers from behind pivot *n - 1* up to pivot *n*, and holds an
entry in a leaf, else the node below. The low byte of a pointer to a node says of which kind that is.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import GuestError
from .objects import KernelObjects

MAX_NODES = 1 << 16
MAX_ENTRIES = 1 << 17
MAX_HEIGHT = 31
_U64 = (1 << 64) - 1
# include/linux/xarray.h: an entry of this kind is a node, any other is a value.
_NODE_MARK, _MARK_MASK = 2, 3
_NODE_MASK, _KIND_SHIFT, _KIND_MASK = 0xFF, 3, 0xF
_LEAF_64, _RANGE_64, _ARANGE_64 = 1, 2, 3
_VARIANTS = {_LEAF_64: "maple_range_64", _RANGE_64: "maple_range_64", _ARANGE_64: "maple_arange_64"}


def maple_entries(space: KernelObjects, root: int) -> Iterator[int]:
    """Yield what the maple tree with ``ma_root`` `root` holds, in order.

    `AddressError` or `GuestError` for a node that is not mapped or not a node; a tree that is too large is truncated with a
    note in the budget of `space`.
    """
    if root & _MARK_MASK != _NODE_MARK:
        return
    # Depth first: the entries still to do, the next one last. A height of 0 is an entry.
    pending = [(root, 0, _U64, 1)]
    nodes = found = 0
    while pending:
        entry, first, last, height = pending.pop()
        if not height:
            found += 1
            yield entry
            continue
        nodes += 1
        space.budget.spend()
        if nodes > MAX_NODES or found >= MAX_ENTRIES or height > MAX_HEIGHT:
            space.budget.skip(f"the maple tree at {root:#x} is truncated after {found} entries")
            return
        kind = entry >> _KIND_SHIFT & _KIND_MASK
        below = 0 if kind == _LEAF_64 else height + 1
        slots = _slots(space, entry & ~_NODE_MASK, kind, first, last)
        pending.extend((slot, low, high, below) for slot, low, high in reversed(slots))


def _slots(space: KernelObjects, node: int, kind: int, first: int, last: int) -> list[tuple[int, int, int]]:
    """The slots in use of a node that covers `first` to `last`, each with what it covers."""
    if kind not in _VARIANTS:
        raise GuestError("a maple tree holds a node of unknown kind; retry, or pause the machine")
    pivot, slot = (space.fields.get(_VARIANTS[kind], name) for name in ("pivot", "slot"))
    pivots = space.words(node + pivot.offset, pivot.count)
    slots = space.words(node + slot.offset, slot.count)
    used = []
    for number, value in enumerate(slots):
        high = pivots[number] if number < len(pivots) else last
        if (high == 0 and number > 0) or not first <= high <= last:
            break
        if value:
            used.append((value, first, high))
        if high == last:
            break
        first = high + 1
    return used
