"""What was ever written of shared memory: its other pages are zero, and need not be cleared to be used again."""

from __future__ import annotations

import mmap
import os

import numpy as np
from numpy.typing import NDArray

PAGE_BYTES = mmap.PAGESIZE
MOST_WASTE = 2
"""How many pages are cleared for each that was written; beyond, new memory is cheaper."""


def touched_pages(descriptor: int, begin: int, size: int) -> NDArray[np.bool_]:
    """Whether each page of `size` bytes from `begin` on of a file of shared memory was ever written."""
    found = np.zeros(-(-size // PAGE_BYTES), bool)
    at, end = begin, begin + size
    while at < end:
        try:
            first = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:  # there is none behind
            break
        at = os.lseek(descriptor, first, os.SEEK_HOLE)
        found[(first - begin) // PAGE_BYTES : -(-(at - begin) // PAGE_BYTES)] = True
    return found


class Touched:
    """Which pages of the rows of one buffer were ever written, from one time that it is cleared to the next."""

    def __init__(self) -> None:
        self._known: tuple[int, ...] = ()
        self._pages: NDArray[np.bool_] = np.zeros(0, bool)

    def clear(self, rows: NDArray[np.uint8], descriptor: int, begin: int) -> bool:
        """Zero memory that lies at `begin` of a file, rows of whole pages: in all rows what was ever written in one.

        False where that is much more than was written; nothing was changed then.
        """
        blocks = os.fstat(descriptor).st_blocks
        if self._known != (begin, rows.shape[1], blocks):  # a file that has as many blocks as then has the same ones
            pages = touched_pages(descriptor, begin, rows.size).reshape(len(rows), -1)
            self._pages = np.logical_or.reduce(pages, axis=0)
            if int(self._pages.sum()) * len(rows) > MOST_WASTE * int(pages.sum()):
                self._known = ()
                return False
        edges = np.flatnonzero(np.diff(self._pages, prepend=False, append=False)) * PAGE_BYTES
        for first, last in edges.reshape(-1, 2).tolist():
            rows[:, first:last] = 0
        self._known = begin, rows.shape[1], os.fstat(descriptor).st_blocks
        return True
