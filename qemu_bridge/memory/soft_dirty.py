"""Soft-dirty marks of the host kernel: does it have them, and what do they say of a process.

Linux marks the page-table entries that a process writes through: bit 55 of ``/proc/PID/pagemap``, cleared through
``/proc/PID/clear_refs`` (Documentation/admin-guide/mm/soft-dirty.rst). Nothing here needs NumPy, so a daemon says how it will find
changes without loading it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from .addresses import PAGE_SHIFT, PAGE_SIZE

SOFT_DIRTY = 1 << 55
"""The mark in an entry of pagemap."""
_CLEAR = b"4"


def clear_marks(pid: int | str) -> None:
    """Clear the marks of process `pid`; `OSError` if that is not allowed."""
    Path(f"/proc/{pid}/clear_refs").write_bytes(_CLEAR)


def pagemap_entries(pid: int, spans: list[tuple[int, int, int]]) -> Iterator[tuple[int, bytes]]:
    """Yield (first page of the file, entries of 8 bytes) for each of `spans`, (start, end, file offset) in process `pid`."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for start, end, offset in spans:
            count = (end - start) >> PAGE_SHIFT
            yield offset >> PAGE_SHIFT, os.pread(pagemap.fileno(), count * 8, (start >> PAGE_SHIFT) * 8)


def host_has_soft_dirty() -> bool:
    """Whether this kernel marks written pages, tested on a page of this process."""
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return False
    page = mmap.mmap(-1, PAGE_SIZE)
    holder = ctypes.c_char.from_buffer(page)
    span = [(ctypes.addressof(holder), ctypes.addressof(holder) + PAGE_SIZE, 0)]
    try:
        marks = []
        for byte in (None, b"x"):
            page[:1] = b"a"
            clear_marks("self")
            if byte is not None:
                page[:1] = byte
            entries = [entry for _, raw in pagemap_entries(os.getpid(), span) for entry in memoryview(raw).cast("Q")]
            marks.append(any(entry & SOFT_DIRTY for entry in entries))
        return marks == [False, True]
    except OSError:
        return False
    finally:
        del holder
        page.close()
