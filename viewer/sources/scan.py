"""Finding the pages of RAM that changed: when to scan (`ScanPolicy`), and the scan itself (`ChangeScanner`).

RAM is compared, a slice of some milliseconds at a time, with a copy: pages that differ are copied and reported. Pages that
were never touched are neither read nor copied. A scan of all RAM costs as much as the guest has touched, so how often it is
done follows what the guest does: QEMU's processor time says whether the guest can have written anything.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from qemu_bridge.memory.addresses import PAGE_SHIFT, PAGE_SIZE

from .source import Ram

RUN_PAGES = 64
BUSY_PAUSE_S, IDLE_PAUSE_S, REST_PAUSE_S = 0.1, 0.5, 3.0
GUEST_WORK_S = 0.01

# The C library's: it reads faster than any loop of NumPy's, and releases the GIL meanwhile.
_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class ScanPolicy:
    """When to scan all of RAM again.

    As soon as the guest has used `GUEST_WORK_S` of processor time, and after `REST_PAUSE_S` in any case. Where that time is
    not known: often while changes are found, less and less often while none are. Two scans are at least twice as far
    apart as the last one took.
    """

    def __init__(self, work_s: Callable[[], float | None]) -> None:
        """`work_s` gives the processor time in seconds that the guest has used so far, None where that is not known."""
        self._work_s = work_s
        self._worked_s: float | None = None  # at the begin of the last scan
        self._begun_s = -np.inf
        self._is_requested = False
        self._shortest_pause_s = self._pause_s = BUSY_PAUSE_S

    def is_due(self, now_s: float) -> bool:
        """Whether to scan now."""
        waited = now_s - self._begun_s
        if waited < self._shortest_pause_s:
            return False
        if self._is_requested:
            return True
        work_s = self._work_s()
        if work_s is None or self._worked_s is None:
            return waited >= self._pause_s
        return work_s - self._worked_s >= GUEST_WORK_S or waited >= REST_PAUSE_S

    def begin(self, now_s: float) -> None:
        """A scan begins."""
        self._begun_s, self._worked_s, self._is_requested = now_s, self._work_s(), False

    def end(self, now_s: float, has_found: bool) -> None:
        """The scan ended, and found changes or not."""
        self._shortest_pause_s = max(BUSY_PAUSE_S, 2 * (now_s - self._begun_s))
        self._pause_s = BUSY_PAUSE_S if has_found else min(self._pause_s * 1.5, IDLE_PAUSE_S)

    def request(self) -> None:
        """Scan soon, whatever the guest does."""
        self._is_requested = True


class ChangeScanner:
    """Finds the pages of RAM that differ from how they were when last scanned.

    Attributes:
        touched: which pages the host had given memory when the last round began, `bool` an entry a page.
    """

    def __init__(self, ram: Ram) -> None:
        self._ram = ram
        self._page_count = len(ram.view) >> PAGE_SHIFT
        self._now = ram.view[: self._page_count << PAGE_SHIFT].view(np.uint64).reshape(self._page_count, -1)
        # The host gives the copy memory only where something is written: for touched pages.
        self._copy = np.zeros((self._page_count, PAGE_SIZE // 8), np.uint64)
        self._runs: list[tuple[int, int]] = []
        self._next = 0
        self._is_first = True
        self.touched = np.zeros(self._page_count, np.bool_)

    def scan(self, budget_s: float) -> npt.NDArray[np.int64]:
        """Page numbers found changed within about `budget_s` seconds, ascending; the next call continues from there.

        Of pages given back to the host, and of new ones, which may hold zeros alone, a round tells when it begins; of those
        that are on another host and are not wanted here, whether they changed.
        """
        deadline = time.monotonic() + budget_s
        found = [self._begin_round() if self._next == 0 else np.zeros(0, np.int64)]
        now, copy = self._now.ctypes.data, self._copy.ctypes.data
        for number in range(self._next, len(self._runs)):
            first, count = self._runs[number]
            start = first << PAGE_SHIFT
            self._ram.fetch(first, first + count)
            if _memcmp(now + start, copy + start, count << PAGE_SHIFT):
                found.append(first + self._compare(slice(first, first + count)))
            if time.monotonic() >= deadline and number + 1 < len(self._runs):
                self._next = number + 1
                break
        else:
            self._next = 0
        return np.unique(np.concatenate(found))

    def _begin_round(self) -> npt.NDArray[np.int64]:
        before, self.touched = self.touched, self._ram.resident_pages()[: self._page_count]
        wanted = self._ram.wanted
        self._runs = _touched_runs(self.touched if wanted is None else self.touched & wanted[: self._page_count])
        unwanted = self._ram.take_unwanted_changes()
        is_first, self._is_first = self._is_first, False
        if is_first:
            return np.zeros(0, np.int64)
        self._copy[before & ~self.touched] = 0
        changed = before != self.touched
        changed[unwanted[unwanted < self._page_count]] = True
        return np.flatnonzero(changed).astype(np.int64)

    @property
    def scanned_pages(self) -> int:
        """The page that the present round has come to; 0 when none has begun."""
        return self._runs[self._next][0] if 0 < self._next < len(self._runs) else 0

    @property
    def is_round_done(self) -> bool:
        """Whether the last scan reached the end of RAM."""
        return self._next == 0

    def _compare(self, pages: slice) -> npt.NDArray[np.int64]:
        # Copies the slice: a page must be compared and kept as it was at one moment.
        now, copy = self._now[pages].copy(), self._copy[pages]
        changed = np.flatnonzero((now != copy).any(axis=1))
        copy[changed] = now[changed]
        return changed.astype(np.int64)


def _touched_runs(touched: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, count) of the touched pages, one after another, at most `RUN_PAGES` each."""
    # A run ends where touched pages do, and at every multiple of RUN_PAGES.
    pages = np.flatnonzero(touched)
    is_first = np.ones(len(pages), np.bool_)
    is_first[1:] = (np.diff(pages) != 1) | (pages[1:] % RUN_PAGES == 0)
    starts = np.flatnonzero(is_first)
    counts = np.diff(np.append(starts, len(pages)))
    return list(zip(pages[starts].tolist(), counts.tolist(), strict=True))
