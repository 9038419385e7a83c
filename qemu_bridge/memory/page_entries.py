"""Entries of x86-64 page tables, decoded in bulk (Intel SDM volume 3, chapter 4).

Linux also keeps pages that are mapped but inaccessible (``PROT_NONE``, NUMA hinting): present clear, bit 8 set,
and since release 4.18 the frame number inverted against L1TF (``arch/x86/include/asm/pgtable-invert.h``).
They count as mapped here. An entry of level 1 that is neither and not zero stands for a page that is swapped out, or for
one that the kernel moves, poisoned or marked (``arch/x86/include/asm/pgtable_64.h``, ``include/linux/swap.h``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .addresses import PAGE_SHIFT, PAGE_SIZE

ENTRIES = 512
LARGEST_PAGE_LEVEL = 3

# Bits of `paging.Mappings.flags`, one byte a page.
PRESENT = 1 << 0
WRITABLE = 1 << 1
USER = 1 << 2
NO_EXECUTE = 1 << 3
GLOBAL = 1 << 4
ACCESSED = 1 << 5
DIRTY = 1 << 6
PROT_NONE = 1 << 7

# Bits of an entry; bit 8 is global in a present entry, PROT_NONE in another.
PTE_PRESENT = 1 << 0
PTE_WRITABLE = 1 << 1
PTE_USER = 1 << 2
PTE_ACCESSED = 1 << 5
PTE_DIRTY = 1 << 6
PTE_PAGE_SIZE = 1 << 7
PTE_GLOBAL = 1 << 8
PTE_PROT_NONE = 1 << 8
PTE_NO_EXECUTE = 1 << 63
SWAP_TYPE_SHIFT = 59
SWAP_OFFSET_SHIFT = 9
MAX_SWAP_TYPES = 23
"""Types from here on can be the kernel's own: pages on the move, poisoned pages, markers."""
FRAME_MASK = ((1 << 52) - 1) & ~(PAGE_SIZE - 1)

U64Array = npt.NDArray[np.uint64]


def _has(entries: U64Array, bits: int) -> npt.NDArray[np.bool_]:
    """Which entries have any of `bits` set."""
    found: npt.NDArray[np.bool_] = np.not_equal(entries & np.uint64(bits), 0)
    return found


def leaves(entries: U64Array, level: int) -> npt.NDArray[np.bool_]:
    """Which entries map a page themselves, PROT_NONE ones included."""
    if level > LARGEST_PAGE_LEVEL:
        return np.zeros(entries.shape, np.bool_)
    mapped = _has(entries, PTE_PRESENT | PTE_PROT_NONE)
    return mapped if level == 1 else mapped & _has(entries, PTE_PAGE_SIZE)


def swapped(entries: U64Array) -> npt.NDArray[np.bool_]:
    """Which entries of level 1 stand for a page that is swapped out."""
    empty = _has(entries, PTE_PRESENT | PTE_PROT_NONE) | (entries == 0)
    found: npt.NDArray[np.bool_] = ~empty & (entries >> np.uint64(SWAP_TYPE_SHIFT) < MAX_SWAP_TYPES)
    return found


def swap_slot(entry: int) -> tuple[int, int]:
    """Number of the swap device and of the slot in it, in pages, of an entry that is `swapped`.

    The slot is stored inverted, against L1TF, between bit 9 and the type.
    """
    return entry >> SWAP_TYPE_SHIFT, (~entry & (1 << SWAP_TYPE_SHIFT) - 1) >> SWAP_OFFSET_SHIFT


def pointers(entries: U64Array, level: int) -> npt.NDArray[np.bool_]:
    """Which entries point to a table of the level below."""
    present = _has(entries, PTE_PRESENT)
    return present if level > LARGEST_PAGE_LEVEL else present & ~_has(entries, PTE_PAGE_SIZE)


def frames_of(entry: U64Array, level: int) -> U64Array:
    """Frame numbers in leaf entries, undoing the inversion of pages that are not present."""
    address = np.where(_has(entry, PTE_PRESENT), entry, ~entry)
    shift = PAGE_SHIFT + 9 * (level - 1)
    return (address & np.uint64(FRAME_MASK & ~((1 << shift) - 1))) >> np.uint64(PAGE_SHIFT)


def leaf_flags(entry: U64Array, denied: U64Array) -> npt.NDArray[np.uint8]:
    """The `Mappings.flags` of leaf entries below tables that deny `denied`."""
    present = _has(entry, PTE_PRESENT)
    facts = (
        (present, PRESENT),
        (~present, PROT_NONE),
        (_has(entry & ~denied, PTE_WRITABLE), WRITABLE),
        (_has(entry & ~denied, PTE_USER), USER),
        (_has(entry | denied, PTE_NO_EXECUTE), NO_EXECUTE),
        (present & _has(entry, PTE_GLOBAL), GLOBAL),
        (_has(entry, PTE_ACCESSED), ACCESSED),
        (_has(entry, PTE_DIRTY), DIRTY),
    )
    flags = np.zeros(entry.shape, np.uint8)
    for holds, flag in facts:
        flags |= holds.astype(np.uint8) * np.uint8(flag)
    return flags
