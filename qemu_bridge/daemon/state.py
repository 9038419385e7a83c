"""The machine's current state: runstate and readiness, and the waiters for a change."""

from __future__ import annotations

import asyncio

from ..errors import MachineError
from ..wire.records import Grade, Runstate

_POLL_S = 0.01


class MachineState:
    """Runstate and readiness of one machine.

    Attributes:
        runstate: `RUNNING`, or `PAUSED` whenever the vCPUs do not run; `status` gives QEMU's own word.
        ready: the guest's user space is up, as far as can be known.
        panic: why the guest's kernel gave up, as it says on the console; empty while it lives.
        running: set while the vCPUs run.
    """

    def __init__(self, name: str, is_static: bool, ready: bool) -> None:
        self._name = name
        self._is_static = is_static
        self._suppressed = 0
        self.runstate = Runstate.RUNNING
        self.ready = ready
        self.panic = ""
        self.running = asyncio.Event()

    @property
    def is_running(self) -> bool:
        """Whether the vCPUs run."""
        return self.runstate is Runstate.RUNNING

    @property
    def grade(self) -> Grade:
        """The grade of what is read now."""
        if self._is_static:
            return Grade.CAPTURE
        return Grade.LIVE if self.is_running else Grade.PAUSED

    def set_running(self, is_running: bool) -> None:
        """Record that the vCPUs now run, or are stopped."""
        self.runstate = Runstate.RUNNING if is_running else Runstate.PAUSED
        (self.running.set if is_running else self.running.clear)()

    def suppress_runstate_events(self, count: int) -> None:
        """Hide the next `count` STOP and RESUME events from clients: they are the daemon's own."""
        self._suppressed += count

    def take_suppressed(self) -> bool:
        """Whether the STOP or RESUME just received is to be hidden."""
        is_ours = self._suppressed > 0
        self._suppressed -= is_ours
        return is_ours

    async def wait_ready(self, timeout_s: float) -> None:
        """Return when user space is up; `MachineError` after `timeout_s`, or at once where the guest's kernel panicked."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while not self.ready:
            if self.panic:
                raise MachineError(
                    f"the guest's kernel panicked: {self.panic}; see 'glassbox console {self._name}', "
                    "and give it more memory if that ran out"
                )
            if loop.time() > deadline:
                raise MachineError(f"the guest was not up within {timeout_s:g} s; see 'glassbox console {self._name}'")
            await asyncio.sleep(_POLL_S)
