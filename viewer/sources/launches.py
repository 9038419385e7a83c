"""The launches of kernels by any program of this user, while the window is open: heard on a thread, kept in a list."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qemu_bridge.errors import GlassBoxError

if TYPE_CHECKING:
    from pixel_cpu.runtime.events import LaunchEvent, Listener

log = logging.getLogger(__name__)

KEPT = 1000
"""Launches that the list holds; older ones are dropped."""
SHOW_S = 0.1
"""The picture follows a program that launches without a break so often."""


class LaunchList:
    """Launches, newest first; threads may share it.

    Attributes:
        events: the last `KEPT` ones; another tuple when there are others.
        seen: how many there were.
        lost: how many more came too fast to be heard.
        problem: why none can be heard; empty where they can.
        chosen: pid and number of the launch whose details show; None for the newest.
    """

    def __init__(self) -> None:
        self.events: tuple[LaunchEvent, ...] = ()
        self.seen, self.lost = 0, 0
        self.problem = ""
        self.chosen: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def add(self, events: Sequence[LaunchEvent], lost: int = 0) -> None:
        """Add launches, oldest first, and count those that were `lost` before them."""
        with self._lock:
            self.events = (*reversed(events), *self.events)[:KEPT]
            self.seen += len(events)
            self.lost += lost

    def shown(self) -> LaunchEvent | None:
        """The launch whose details show; the newest one where the chosen one is no longer kept."""
        events = self.events
        found = (event for event in events if (event.pid, event.number) == self.chosen)
        return next(found, events[0] if events else None)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self.events, self.seen, self.lost, self.chosen = (), 0, 0, None


class LaunchWatch:
    """The thread that fills a list; it calls `wake` after each change, at most every `SHOW_S` seconds."""

    def __init__(self, launches: LaunchList, wake: Callable[[], None]) -> None:
        self._launches, self._wake = launches, wake
        self._listener: Listener | None = None
        self._is_stopped = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="viewer-launches", daemon=True)

    def start(self) -> None:
        """Start to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more; waits half a second at most."""
        with self._lock:
            self._is_stopped = True
            if self._listener is not None:
                self._listener.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout=0.5)

    def _run(self) -> None:
        # Imported here: the window need not wait for it.
        from pixel_cpu.runtime.events import Listener

        try:
            with Listener() as listener:
                with self._lock:
                    self._listener = listener
                self._listen(listener)
                with self._lock:
                    self._listener = None
        except (GlassBoxError, OSError) as error:
            log.warning("launches of kernels are not shown: %s", error)
            self._launches.problem = str(error)

    def _listen(self, listener: Listener) -> None:
        lost = 0
        while not self._is_stopped:
            events = listener.receive()
            if events:
                self._launches.add(events, listener.lost - lost)
                lost = listener.lost
                self._wake()
                time.sleep(SHOW_S)
