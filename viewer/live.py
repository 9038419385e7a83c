"""What changes while the guest runs: found on a thread of its own, handed to the window in small helpings.

RAM is compared, a slice at a time, with a soft copy: pages that differ are copied and reported. A slice
takes a few milliseconds, and the pause between rounds grows while nothing changes, so an idle guest
costs next to nothing. Pages that were never touched are neither read nor copied.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from qemu_bridge.addresses import PAGE_SHIFT, PAGE_SIZE
from qemu_bridge.errors import GlassBoxError
from qemu_bridge.page_map import PageMap

from .scene import Ram, Source, read_page_map

log = logging.getLogger(__name__)

SLICE_PAGES = 2048
BUSY_PAUSE_S, IDLE_PAUSE_S = 0.1, 0.5
MAP_PERIOD_S = 1.0


class ChangeScan:
    """Which pages of RAM differ from how they were when last scanned."""

    def __init__(self, ram: Ram) -> None:
        self._ram = ram
        self._page_count = len(ram.view) >> PAGE_SHIFT
        # The soft copy. The host gives it memory only where something is written: for touched pages.
        self._copy = np.zeros((self._page_count, PAGE_SIZE // 8), np.uint64)
        self._touched = np.zeros(0, np.int64)
        self._next = 0

    def scan(self, budget_s: float) -> npt.NDArray[np.int64]:
        """Page numbers found changed within about `budget_s` seconds, ascending; the next call goes on from there."""
        deadline = time.monotonic() + budget_s
        found = []
        while True:
            if self._next == 0:
                self._touched = np.flatnonzero(self._ram.resident_pages()[: self._page_count]).astype(np.int64)
            pages = self._touched[self._next : self._next + SLICE_PAGES]
            found.append(self._compare(pages))
            self._next = self._next + SLICE_PAGES if self._next + SLICE_PAGES < len(self._touched) else 0
            if self._next == 0 or time.monotonic() >= deadline:
                return np.concatenate(found)

    @property
    def is_round_done(self) -> bool:
        """Whether the last scan reached the end of RAM."""
        return self._next == 0

    def _compare(self, pages: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        if not len(pages):
            return pages
        words = self._ram.view[: self._page_count << PAGE_SHIFT].view(np.uint64).reshape(self._page_count, -1)
        # Copies the slice: a page must be compared and kept as it was at one moment.
        now = words[pages]
        changed = (now != self._copy[pages]).any(axis=1)
        self._copy[pages[changed]] = now[changed]
        found: npt.NDArray[np.int64] = pages[changed]
        return found


class Feed:
    """A thread that watches a source and keeps what the window has not drawn yet.

    `wake` is called on that thread whenever there is something new.
    """

    def __init__(self, source: Source, wake: Callable[[], None]) -> None:
        self._source = source
        self._wake = wake
        self._scan = ChangeScan(source.ram)
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
        map_due, pause, is_stale = 0.0, BUSY_PAUSE_S, True
        quiet_rounds = 0
        while not self._stop.is_set():
            self._running.wait()
            # Two rounds: the first may have begun before the guest stopped.
            if quiet_rounds > 1 and not is_stale:
                self._moving.wait()
            pages = self._scan.scan(0.02)
            quiet_rounds = 0 if len(pages) or self._moving.is_set() else quiet_rounds + self._scan.is_round_done
            page_map = None
            # What pages are is written in pages: where none changed, the map says what it said.
            is_stale |= len(pages) > 0
            if time.monotonic() >= map_due:
                self._source.validate()
                if is_stale:
                    page_map, is_stale = self._read_page_map(), False
                map_due = time.monotonic() + MAP_PERIOD_S
            if len(pages) or page_map is not None:
                with self._lock:
                    self._pending[pages] = True
                    self._written[pages] |= not self._is_first_round
                    self._page_map = page_map or self._page_map
                self._wake()
            self._is_first_round &= not self._scan.is_round_done
            pause = BUSY_PAUSE_S if len(pages) else min(pause * 1.5, IDLE_PAUSE_S)
            self._stop.wait(pause if self._scan.is_round_done else 0.002)
