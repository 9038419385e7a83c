"""What the guest's own kernel says of its pages, and the table by which it is compared with a page map.

Flags are those of ``/proc/kpageflags`` (``include/uapi/linux/kernel-page-flags.h``; Documentation/admin-guide/mm/pagemap.rst).
"""

from __future__ import annotations

import numpy as np

from qemu_bridge.page_map import FLAG_HEAD, FLAG_HUGE, FLAG_MAPPED, ORDER_SHIFT
from qemu_bridge.protocol import PageClass

BITS = {
    "SLAB": 7, "BUDDY": 10, "MMAP": 11, "ANON": 12, "SWAPBACKED": 14, "HEAD": 15, "TAIL": 16, "HUGE": 17,
    "NOPAGE": 20, "KSM": 21, "ZERO_PAGE": 24, "PGTABLE": 26, "RESERVED": 32,
}  # fmt: skip
FILES = (PageClass.PROCESS_TEXT, PageClass.PROCESS_FILE, PageClass.PAGE_CACHE, PageClass.SHMEM)


def read_words(machine, name):
    """The 64-bit words of /proc/`name`, one for each page of RAM."""
    size = machine.ram.page_count * 8
    data = machine.exec(f"dd if=/proc/{name} bs=65536 count={-(-size // 65536)} 2>/dev/null")
    return np.frombuffer(data[: len(data) // 8 * 8], "<u8")[: machine.ram.page_count]


def has(words, name):
    return (words >> np.uint64(BITS[name]) & np.uint64(1)).astype(bool)


def expected_flags(page_map, builder):
    """What each flag should be by the page map: a mask of pages, or a pair (must be set, may be set)."""
    memmap_class, page_class = builder._memmap.page_class, page_map.entries["page_class"]
    flags = page_map.entries["flags"]
    free = memmap_class == PageClass.FREE
    anonymous = np.isin(memmap_class, [PageClass.PROCESS_ANONYMOUS, PageClass.KSM])
    files = np.isin(memmap_class, [PageClass.PAGE_CACHE, PageClass.SHMEM])
    table = memmap_class == PageClass.PAGE_TABLE
    mapped = (flags & FLAG_MAPPED != 0) & (anonymous | files)
    return {
        # A free page that one processor keeps for itself is free, but in no block of the buddy allocator.
        "BUDDY": free & ((flags & FLAG_HEAD != 0) | (flags >> ORDER_SHIFT != 0)),
        "SLAB": page_class == PageClass.SLAB,
        "HEAD": ~free & (flags & FLAG_HUGE != 0) & (flags & FLAG_HEAD != 0),
        "TAIL": ~free & (flags & FLAG_HUGE != 0) & (flags & FLAG_HEAD == 0),
        "PGTABLE": table,
        "ZERO_PAGE": page_class == PageClass.ZERO_PAGE,
        "HUGE": page_class == PageClass.HUGE_PAGE,
        "KSM": memmap_class == PageClass.KSM,
        "NOPAGE": memmap_class == PageClass.OTHER,
        "RESERVED": memmap_class == PageClass.RESERVED,
        "ANON": anonymous,
        "MMAP": mapped,
        "SWAPBACKED": anonymous | (memmap_class == PageClass.SHMEM),
    }
