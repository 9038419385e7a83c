"""A job of a tenant, from its submission to its end."""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from typing import Any

from pixel_cpu.backends.launch import Array, Launch, Outcome, PrintedLine, joined
from qemu_bridge.errors import GlassBoxError

from ..memory import Buffer
from ..scheduler import JobClass
from .submission import Submission


class JobState(enum.StrEnum):
    """Where a job is. It goes down this list, and ends in one of the last three."""

    QUEUED_BUILD = "building"
    """Its kernel is read, checked and compiled."""
    QUEUED = "queued"
    RUNNING = "running"
    """It has had a slice; between slices too."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class Job:
    """A submitted launch. Everything may be read at any time; after the end nothing changes.

    Attributes:
        error: why it failed, as the class that says what was wrong; None unless it is FAILED.
        printed: lines that lanes printed, by lane within each slice.
        device_seconds: what it used of the device.
        slices: how many it was cut into.
    """

    def __init__(self, number: int, tenant: str, submission: Submission) -> None:
        self.number, self.tenant, self.submission = number, tenant, submission
        self.kernel = submission.kernel or ""
        self.job_class: JobClass | None = submission.job_class
        self.state = JobState.QUEUED_BUILD
        self.error: GlassBoxError | None = None
        self.device_seconds = self.build_seconds = 0.0
        self.slices = 0
        self.submitted_ns = time.monotonic_ns()
        self.ready_ns = self.began_ns = self.ended_ns = 0
        self.outcome: Outcome | None = None
        # What the engine keeps of it.
        self.launch: Launch | None = None
        self.key = ""
        """Names its kernel: what is measured of one job holds for others of the same key."""
        self.module: Any = None
        self.group = 1
        self.next_lane: int | None = 0
        """The lane that its next slice begins with; None when all have run."""
        self.buffers: list[Buffer] = []
        self.copies: list[tuple[str, Array, Array]] = []
        """Arguments that were copied in: name, the submitter's array, the copy."""
        self.copied_bytes = 0
        self.saved: list[tuple[Array, bytes]] | None = None
        """What its slices write, as it was before; None where that was not kept."""
        self.restarts = self.prepare_restarts = 0
        self.failure: GlassBoxError | None = None
        self.is_cancelled = self.is_moving = False
        self.moves = 0
        """How often it went on elsewhere, or tried to."""
        self.device = ""
        """The device that it runs on."""
        self.kind = ""
        """As `key`, but of all devices."""
        self.places: list[str] = []
        """Where it ran, and why there; of several devices."""
        self._ended = threading.Event()
        self._callbacks: list[Callable[[Job], object]] = []
        self._lock = threading.Lock()
        self.cancel: Callable[[], bool] = lambda: False
        """End it; False where it had ended. A running one ends between two groups, or its worker is ended."""

    def wait(self, timeout_s: float | None = None) -> JobState:
        """Wait for the end; the state then. `TimeoutError` after so many seconds."""
        if not self._ended.wait(timeout_s):
            raise TimeoutError(f"job {self.number} has not ended within {timeout_s:g} s")
        return self.state

    @property
    def is_told(self) -> bool:
        """Whether it has ended and its arrays are whole."""
        return self._ended.is_set()

    def result(self, timeout_s: float | None = None) -> Job:
        """Wait for the end; raises `error` where it failed, `TimeoutError` as `wait`."""
        self.wait(timeout_s)
        if self.error:
            raise self.error
        return self

    def add_done_callback(self, action: Callable[[Job], object]) -> None:
        """Call `action` with the job once when it ends, in the engine's thread; at once if it has ended."""
        with self._lock:
            if not self._ended.is_set():
                self._callbacks.append(action)
                return
        action(self)

    @property
    def printed(self) -> tuple[PrintedLine, ...]:
        """Lines that lanes printed."""
        return self.outcome.printed if self.outcome else ()

    @property
    def traps(self) -> int:
        """Lanes that ended by a trap."""
        return self.outcome.traps if self.outcome else 0

    @property
    def queued_seconds(self) -> float:
        """From the moment that it could run to its first slice."""
        return ((self.began_ns or time.monotonic_ns()) - self.ready_ns) * 1e-9 if self.ready_ns else 0.0

    @property
    def lanes_left(self) -> int:
        """Lanes that have not run, as far as that is known without the kernel."""
        given = self.submission
        lanes = given.lanes if given.lanes is not None else (given.blocks or 0) * (given.threads or self.group)
        return max(lanes - (self.next_lane or 0), 0)

    def add(self, outcome: Outcome) -> None:
        """A slice ended."""
        self.outcome = joined(self.outcome, outcome) if self.outcome else outcome
        self.next_lane = outcome.next_lane

    def end(self, state: JobState, error: GlassBoxError | None = None) -> None:
        """It is over; who waits is told."""
        with self._lock:
            self.state, self.error = state, error
            self.ended_ns = time.monotonic_ns()
            self._ended.set()
            callbacks, self._callbacks = self._callbacks, []
        for action in callbacks:
            action(self)
