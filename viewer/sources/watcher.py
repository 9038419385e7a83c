"""What changes while the guest runs: found on a thread of its own, handed to the window in small helpings.

RAM is compared, a slice of some milliseconds at a time, with a soft copy: pages that differ are copied and reported; pages
that were never touched are neither read nor copied. A look through all of RAM costs as much as the guest has touched, so
how often that is done follows what the guest does (`Tempo`): QEMU's processor time says whether it can have written
anything. Of a guest that stands still nothing is read at all.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.memory.addresses import PAGE_SHIFT, PAGE_SIZE
from qemu_bridge.wire.page_map import PageMap

from .source import Ram, Source, read_page_map

log = logging.getLogger(__name__)

RUN_PAGES = 64
SLICE_S = 0.01
BUSY_PAUSE_S, IDLE_PAUSE_S, REST_PAUSE_S = 0.1, 0.5, 3.0
GUEST_WORK_S = 0.01
MAP_PERIOD_S = 1.0

# The C library's: it reads faster than any loop of NumPy's, and lets other threads run meanwhile.
_memcmp = ctypes.CDLL(None).memcmp
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class Tempo:
    """When to look through all of RAM again.

    As soon as the guest has worked for `GUEST_WORK_S`, and after `REST_PAUSE_S` in any case; where nobody says what the
    guest works, sooner and sooner while something is found and less and less while nothing is. Between two looks at least
    as long passes as the last one took.
    """

    def __init__(self, work_s: Callable[[], float | None]) -> None:
        """`work_s` gives the processor time that the guest has used so far, None where that is not known."""
        self._work_s = work_s
        self._worked_s: float | None = None
        self._looked_s = -np.inf
        self._is_hurried = False
        self._least_s = self._pause_s = BUSY_PAUSE_S

    def is_due(self, now_s: float) -> bool:
        """Whether it is time."""
        waited = now_s - self._looked_s
        if waited < self._least_s:
            return False
        if self._is_hurried:
            return True
        work_s = self._work_s()
        if work_s is None or self._worked_s is None:
            return waited >= self._pause_s
        return work_s - self._worked_s >= GUEST_WORK_S or waited >= REST_PAUSE_S

    def begin(self, now_s: float) -> None:
        """A look begins."""
        self._looked_s, self._worked_s, self._is_hurried = now_s, self._work_s(), False

    def end(self, now_s: float, has_found: bool) -> None:
        """It ended, and found something or not."""
        self._least_s = max(BUSY_PAUSE_S, 2 * (now_s - self._looked_s))
        self._pause_s = BUSY_PAUSE_S if has_found else min(self._pause_s * 1.5, IDLE_PAUSE_S)

    def hurry(self) -> None:
        """Look soon, whatever the guest does: somebody wants to know."""
        self._is_hurried = True


class ChangeScan:
    """Which pages of RAM differ from how they were when last scanned.

    Attributes:
        touched: which pages the host had given memory when the last round began, `bool` an entry a page.
    """

    def __init__(self, ram: Ram) -> None:
        self._ram = ram
        self._page_count = len(ram.view) >> PAGE_SHIFT
        self._now = ram.view[: self._page_count << PAGE_SHIFT].view(np.uint64).reshape(self._page_count, -1)
        # The soft copy. The host gives it memory only where something is written: for touched pages.
        self._copy = np.zeros((self._page_count, PAGE_SIZE // 8), np.uint64)
        self._runs: list[tuple[int, int]] = []
        self._next = 0
        self._is_first = True
        self.touched = np.zeros(self._page_count, np.bool_)

    def scan(self, budget_s: float) -> npt.NDArray[np.int64]:
        """Page numbers found changed within about `budget_s` seconds, ascending; the next call goes on from there.

        Of pages given back to the host, and of new ones, which may hold zeros alone, a round tells when it begins.
        """
        deadline = time.monotonic() + budget_s
        found = [self._begin_round() if self._next == 0 else np.zeros(0, np.int64)]
        now, copy = self._now.ctypes.data, self._copy.ctypes.data
        for number in range(self._next, len(self._runs)):
            first, count = self._runs[number]
            start = first << PAGE_SHIFT
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
        self._runs = _touched_runs(self.touched)
        is_first, self._is_first = self._is_first, False
        if is_first:
            return np.zeros(0, np.int64)
        self._copy[before & ~self.touched] = 0
        return np.flatnonzero(before != self.touched).astype(np.int64)

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


class Feed:
    """A thread that watches a source and keeps what the window has not drawn yet.

    `wake` is called on that thread whenever there is something new.
    """

    def __init__(self, source: Source, wake: Callable[[], None]) -> None:
        self._source = source
        self._wake = wake
        self._scan = ChangeScan(source.ram)
        # A source may know how much the guest works.
        self._tempo = Tempo(getattr(source, "guest_work_s", lambda: None))
        self._hurry = threading.Event()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._moving = threading.Event()
        self._moving.set()
        self._pending = np.zeros(len(source.ram.view) >> PAGE_SHIFT, np.bool_)
        self._written = np.zeros(len(self._pending), np.bool_)
        self._is_first_round = True
        self._page_map: PageMap | None = None
        self._last_map: PageMap | None = None
        self._error: GlassBoxError | None = None
        self._thread = threading.Thread(target=self._run, name="viewer-feed", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._running.set()
        self._moving.set()
        self._hurry.set()
        self._thread.join(timeout=5)

    def toggle_pause(self) -> bool:
        """Stop or go on watching; return whether it is paused now."""
        if self._running.is_set():
            self._running.clear()
        else:
            self._running.set()
        return not self._running.is_set()

    def set_still(self, is_still: bool) -> None:
        """Say whether the guest stands still: if so the watch rests once all of RAM was seen to be the same twice."""
        if is_still:
            self._moving.clear()
        else:
            self._moving.set()
        self._hurry.set()

    @property
    def is_still(self) -> bool:
        """Whether the guest stands still."""
        return not self._moving.is_set()

    def hurry(self) -> None:
        """Look through RAM now, whatever the guest does."""
        self._hurry.set()

    def take(self, budget_bytes: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Changed pages not taken before, lowest first, at most `budget_bytes` of them, and which of them were written.

        Those not written were only found for the first time, when the watch began.
        """
        with self._lock:
            pages = np.flatnonzero(self._pending)[: max(budget_bytes >> PAGE_SHIFT, 1)]
            written = self._written[pages]
            self._pending[pages] = self._written[pages] = False
        return pages.astype(np.int64), written

    def take_pages(self, limit: int) -> npt.NDArray[np.int64]:
        """At most `limit` changed pages not taken before, lowest first."""
        return self.take(limit << PAGE_SHIFT)[0]

    def touched(self, pages: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of `pages` had memory when they were last looked at: what reads the others would give them some."""
        known: npt.NDArray[np.bool_] = self._scan.touched[pages]
        return known

    @property
    def is_following(self) -> bool:
        """Whether all of RAM was looked through once, so that what is found now is news."""
        return not self._is_first_round

    @property
    def backlog_bytes(self) -> int:
        """Bytes of changed pages not taken yet."""
        return self.backlog() << PAGE_SHIFT

    def backlog(self) -> int:
        """Changed pages not taken yet."""
        return int(np.count_nonzero(self._pending))

    def take_page_map(self) -> PageMap | None:
        """The newest page map, once."""
        with self._lock:
            page_map, self._page_map = self._page_map, None
        return page_map

    @property
    def error(self) -> GlassBoxError | None:
        """Why the watch ended, if it did: usually that the machine has gone."""
        return self._error

    def _run(self) -> None:
        try:
            self._watch()
        except GlassBoxError as error:
            log.warning("%s", error)
            self._error = error
            self._wake()

    def _read_page_map(self) -> PageMap | None:
        # None where it says what the last one said: nobody need wake for that.
        page_map, last = read_page_map(self._source), self._last_map
        self._last_map = page_map
        if last is not None and np.array_equal(page_map.entries, last.entries) and page_map.owners == last.owners:
            return None
        return page_map

    def _watch(self) -> None:
        map_due, is_stale, quiet_rounds = 0.0, True, 0
        while not self._stop.is_set():
            self._running.wait()
            # Two rounds: the first may have begun before the guest stopped.
            if quiet_rounds > 1 and not is_stale:
                self._moving.wait()
                quiet_rounds = 0
            if not self._moving.is_set():
                self._tempo.hurry()  # the last of it, and then nothing
            if self._tempo.is_due(time.monotonic()):
                has_found = self._look_round()
                is_stale |= has_found
                quiet_rounds = 0 if has_found or self._moving.is_set() else quiet_rounds + 1
            if time.monotonic() >= map_due:
                self._source.validate()
                # What pages are is written in pages: where none changed, the map says what it said.
                page_map, is_stale = self._read_page_map() if is_stale else None, False
                self._report(None, page_map)
                map_due = time.monotonic() + MAP_PERIOD_S
            self._rest()

    def _look_round(self) -> bool:
        """Look through all of RAM, a slice at a time; return whether anything changed."""
        has_found, is_done = False, False
        self._tempo.begin(time.monotonic())
        while not is_done and not self._stop.is_set():
            pages = self._scan.scan(SLICE_S)
            is_done = self._scan.is_round_done
            has_found |= len(pages) > 0
            self._report(pages, None)
            if not is_done:
                # As long as was worked: the guest and the window want the processors too.
                self._stop.wait(SLICE_S)
        self._tempo.end(time.monotonic(), has_found)
        self._is_first_round = False
        return has_found

    def _report(self, pages: npt.NDArray[np.int64] | None, page_map: PageMap | None) -> None:
        if (pages is None or not len(pages)) and page_map is None:
            return
        with self._lock:
            if pages is not None:
                self._pending[pages] = True
                self._written[pages] |= not self._is_first_round
            self._page_map = page_map or self._page_map
        self._wake()

    def _rest(self) -> None:
        if self._hurry.wait(BUSY_PAUSE_S):
            self._hurry.clear()
            self._tempo.hurry()
