"""What workers are asked, and the slice that has the device."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

from pixel_cpu.runtime.device import Pending
from qemu_bridge.host.processes import cpu_seconds

from .job import Job


@dataclass(slots=True, eq=False)
class Flight:
    """A kernel that a tenant's worker makes ready (`is_launch` false), or a part of a launch that it runs."""

    job: Job
    pending: Pending
    is_launch: bool
    is_stopped: bool = False
    """Whether the worker was stopped, to let others go first."""
    limit: str = ""
    """Why the worker was ended, where the engine did that."""

    def halt(self) -> None:
        """Stop the worker, wherever it is."""
        self._signal(signal.SIGSTOP)
        self.is_stopped = True

    def resume(self) -> None:
        """Let it go on."""
        if self.is_stopped:
            self._signal(signal.SIGCONT)
            self.is_stopped = False

    def _signal(self, number: int) -> None:
        try:
            os.kill(self.pending.pid, number)
        except ProcessLookupError:
            pass  # it died, which its answer says

    def cpu_ns(self) -> int | None:
        """Processor time of the worker so far; None where it is gone."""
        return _cpu_ns(self.pending.pid)


def _cpu_ns(worker: int) -> int | None:
    found = cpu_seconds(worker)
    return None if found is None else int(found * 1e9)


@dataclass(slots=True, eq=False)
class Slice:
    """The turn that a job has on the device: from `began_ns`, and until `until_ns` of the monotonic clock if it ends by itself."""

    job: Job
    budget_ns: int
    began_ns: int
    until_ns: int
    cpu_began_ns: int | None = None
    is_preempted: bool = False

    def begin(self, worker: int | None) -> None:
        """It is a worker's turn, from what it has used so far. Call before it is asked: short work is done before the answer is looked at."""
        if self.cpu_began_ns is None and worker is not None:
            self.cpu_began_ns = _cpu_ns(worker)

    def used_ns(self, flight: Flight | None) -> int:
        """Processor time that the worker took for it; wall time where nobody knows any more."""
        now = flight.cpu_ns() if flight else None
        if now is None or self.cpu_began_ns is None:
            return time.monotonic_ns() - self.began_ns
        return max(now - self.cpu_began_ns, 0)
