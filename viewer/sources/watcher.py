"""A thread that watches the guest's memory while it runs, and hands what changed to the window in portions.

It scans RAM (`viewer.sources.scan`) and reads the page map again when pages changed. Of a paused guest nothing is read at all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.memory.addresses import PAGE_SHIFT
from qemu_bridge.wire.page_map import PageMap

from .scan import BUSY_PAUSE_S, ChangeScanner, ScanPolicy
from .source import Source, read_page_map

log = logging.getLogger(__name__)

SLICE_S = 0.01
MAP_PERIOD_S = 1.0


class MemoryWatcher:
    """Watches a source on a thread and keeps what the window has not drawn yet.

    `wake` is called on that thread whenever there is something new.
    """

    def __init__(self, source: Source, wake: Callable[[], None]) -> None:
        self._source = source
        self._wake = wake
        self._scan = ChangeScanner(source.ram)
        self._policy = ScanPolicy(source.guest_work_s)
        self._scan_now = threading.Event()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._watching = threading.Event()
        self._watching.set()
        self._guest_runs = threading.Event()
        self._guest_runs.set()
        self._pending = np.zeros(len(source.ram.view) >> PAGE_SHIFT, np.bool_)
        self._written = np.zeros(len(self._pending), np.bool_)
        self._is_first_round = True
        self._page_map: PageMap | None = None
        self._last_map: PageMap | None = None
        self._error: GlassBoxError | None = None
        self._thread = threading.Thread(target=self._run, name="viewer-watcher", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> bool:
        """End the thread; return whether it has ended, and reads nothing of the source any more."""
        self._stop.set()
        self._watching.set()
        self._guest_runs.set()
        self._scan_now.set()
        if self.is_started:
            self._thread.join(timeout=5)
        return not self._thread.is_alive()

    def toggle_pause(self) -> bool:
        """Pause or resume watching; return whether it is paused now."""
        if self._watching.is_set():
            self._watching.clear()
        else:
            self._watching.set()
        return not self._watching.is_set()

    def set_guest_paused(self, is_paused: bool) -> None:
        """Say whether the guest is paused: if so scans end once two of them found nothing."""
        if is_paused:
            self._guest_runs.clear()
        else:
            self._guest_runs.set()
        self._scan_now.set()

    @property
    def is_guest_paused(self) -> bool:
        """Whether the guest is known to be paused."""
        return not self._guest_runs.is_set()

    def scan_soon(self) -> None:
        """Scan RAM now, whatever the guest does."""
        self._scan_now.set()

    def take_changes(self, budget_bytes: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
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
        return self.take_changes(limit << PAGE_SHIFT)[0]

    def touched(self, pages: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of `pages` had memory at the last scan: reading the others would make the host allocate some."""
        known: npt.NDArray[np.bool_] = self._scan.touched[pages]
        return known

    @property
    def is_started(self) -> bool:
        """Whether the watch has begun."""
        return self._thread.ident is not None

    @property
    def scanned_bytes(self) -> int:
        """How far the present scan of RAM has come."""
        return self._scan.scanned_pages << PAGE_SHIFT

    @property
    def is_following(self) -> bool:
        """Whether all of RAM was scanned once, so that what is found now are writes."""
        return not self._is_first_round

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
        # None for the same map again: no reason to draw.
        page_map, last = read_page_map(self._source), self._last_map
        self._last_map = page_map
        if last is not None and np.array_equal(page_map.entries, last.entries) and page_map.owners == last.owners:
            return None
        return page_map

    def _watch(self) -> None:
        map_due, is_stale, quiet_rounds = 0.0, True, 0
        while not self._stop.is_set():
            self._watching.wait()
            # Two rounds: the first may have begun before the guest stopped.
            if quiet_rounds > 1 and not is_stale:
                self._guest_runs.wait()
                quiet_rounds = 0
            if not self._guest_runs.is_set():
                self._policy.request()  # its last writes, and then nothing
            if self._policy.is_due(time.monotonic()):
                has_found = self._scan_round()
                is_stale |= has_found
                quiet_rounds = 0 if has_found or self._guest_runs.is_set() else quiet_rounds + 1
            if time.monotonic() >= map_due:
                self._source.validate()
                # The guest's own tables are in RAM: where no page changed, the map is the same.
                page_map, is_stale = self._read_page_map() if is_stale else None, False
                self._report(None, page_map)
                map_due = time.monotonic() + MAP_PERIOD_S
            self._rest()

    def _scan_round(self) -> bool:
        """Scan all of RAM, a slice at a time; return whether anything changed."""
        has_found, is_done = False, False
        self._policy.begin(time.monotonic())
        while not is_done and not self._stop.is_set():
            pages = self._scan.scan(SLICE_S)
            is_done = self._scan.is_round_done
            has_found |= len(pages) > 0
            self._report(pages, None)
            if not is_done:
                # As long as was scanned: the guest and the window want the processors too.
                self._stop.wait(SLICE_S)
        self._policy.end(time.monotonic(), has_found)
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
        if self._scan_now.wait(BUSY_PAUSE_S):
            self._scan_now.clear()
            self._policy.request()
