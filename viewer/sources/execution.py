"""What the guest executes now, page by page: counted by the plugin in QEMU's translator; the counts decay here."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.memory.addresses import PAGE_SHIFT

from .queries import Queries, Topic

if TYPE_CHECKING:
    from qemu_bridge.client import Client

log = logging.getLogger(__name__)

PERIOD_S = 0.25
HALF_LIFE_S = 2.0
ASK_S = 0.5
"""The last writer of a page is asked for no more often."""
_WRITER: Topic[str] = Topic("writer")


class ExecutionWatch:
    """A thread that has executed blocks counted for as long as it runs. The guest runs slower meanwhile.

    Attributes:
        counts: `uint32` a page, blocks executed of late; changes by itself.
        problem: why it ended by itself; empty while it runs.
    """

    def __init__(self, connect: Callable[[], Client], page_count: int, wake: Callable[[], None]) -> None:
        """`connect` gives the thread a client of its own; `wake` is called on the thread when there is something new."""
        self.counts = np.zeros(page_count, np.uint32)
        self.problem = ""
        self._connect, self._wake = connect, wake
        self._heat: Any = None
        self._asked: tuple[int, int, int] | None = None
        self._asked_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="viewer-execution", daemon=True)

    def start(self) -> None:
        """Begin to count."""
        self._thread.start()

    def stop(self) -> None:
        """Stop counting; the plugin is disarmed when this returns."""
        self._stop.set()
        self._thread.join(timeout=10)

    def writers(self, queries: Queries, offset: int) -> list[str]:
        """The last writer of the page of byte `offset`, as text; it comes from `queries`, a moment later."""
        heat, page = self._heat, offset >> PAGE_SHIFT
        if heat is None or not 0 <= page < len(heat.writers):
            return ["not counted yet"]
        writer = heat.writers[page].copy()
        key = (page, int(writer["code"]), int(writer["root"]))
        if not any(key[1:]):
            return ["no store was seen while this was watched"]
        is_other = self._asked is None or self._asked[0] != page
        if key != self._asked and (is_other or time.monotonic() - self._asked_s > ASK_S):
            self._asked, self._asked_s = key, time.monotonic()
            queries.ask(_WRITER, lambda client: str(client.name_writer(writer)), key)
        answer = queries.result(_WRITER)
        if answer is None or not isinstance(answer.key, tuple) or answer.key[0] != page:
            return ["…"]
        return [answer.value or answer.error]

    def _run(self) -> None:
        try:
            with self._connect() as client, client.heat() as heat:
                self._heat = heat
                last, faded = heat.blocks.copy(), np.zeros(len(heat.blocks), np.float32)
                while not self._stop.wait(PERIOD_S):
                    now = heat.blocks.copy()
                    faded *= 0.5 ** (PERIOD_S / HALF_LIFE_S)
                    faded += now - last
                    last = now
                    self.counts[:] = np.minimum(faded[: len(self.counts)], 2**31)
                    self._wake()
                    client.validate()
        except GlassBoxError as error:
            log.warning("%s", error)
            self.problem = str(error)
            self._wake()
