"""The GPU service of this user, as the window shows it: asked once a second by a thread while its panel is looked at."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_bridge.errors import GlassBoxError

if TYPE_CHECKING:
    from gpu_hypervisor.engine import JobRow, SliceRow, Stats
    from gpu_hypervisor.service import Client

log = logging.getLogger(__name__)

ASK_S = 1.0
SHOWN_NS = 10_000_000_000
"""Of the past that the strip of slices shows."""
LOOKED_S = 3.0
"""The service is asked for so long after the panel was last drawn."""


@dataclass(frozen=True, slots=True)
class GpuState:
    """What the service said: `slices` are of the last `SHOWN_NS` before `now_ns` of the monotonic clock."""

    stats: Stats
    jobs: tuple[JobRow, ...]
    slices: tuple[SliceRow, ...]
    now_ns: int


class GpuWatch:
    """The thread that asks; it calls `wake` after each answer.

    Attributes:
        state: the last answer, None where no service runs.
        problem: why there is none.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.state: GpuState | None = None
        self.problem = ""
        self._wake = wake
        self._looked = threading.Event()
        self._stopping = threading.Event()
        self._last_look = 0.0
        self._thread = threading.Thread(target=self._run, name="viewer-gpu", daemon=True)

    def start(self) -> None:
        """Be ready to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; waits half a second at most."""
        self._stopping.set()
        self._looked.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=0.5)

    def look(self) -> None:
        """Somebody looks: ask for a while."""
        self._last_look = time.monotonic()
        self._looked.set()

    def _run(self) -> None:
        client: Client | None = None
        while not self._stopping.is_set():
            self._looked.wait()
            if time.monotonic() - self._last_look > LOOKED_S:
                self._looked.clear()
                continue
            try:
                client = client or _connect()
                self.state, self.problem = _ask(client), ""
            except GlassBoxError as error:
                if client is not None:
                    client.close()
                client, self.state, self.problem = None, None, str(error)
            self._wake()
            self._stopping.wait(ASK_S)
        if client is not None:
            client.close()


def _connect() -> Client:
    # Imported here: the window need not wait for it.
    from gpu_hypervisor.service import Client

    return Client()


def _ask(client: Client) -> GpuState:
    slices, now = client.slices(time.monotonic_ns() - SHOWN_NS)
    return GpuState(client.stats(), client.jobs(), slices, now)
