"""What happened lately: slices of the device, and events such as the end of a job. The newest are kept; nobody waits for who looks."""

from __future__ import annotations

import enum
import threading
import time
from collections import deque

import msgspec

from ..scheduler import JobClass
from .job import Job, JobState
from .submission import Submitter

MOST_SLICES = 1 << 15
MOST_EVENTS = 1 << 13
_MOST_LETTERS = 300


class SliceRow(msgspec.Struct, frozen=True, array_like=True):
    """A turn of a job on a device, in nanoseconds of the monotonic clock; `used_ns` of device time were charged for it."""

    job: int
    tenant: str
    kernel: str
    job_class: JobClass
    device: str
    began_ns: int
    ended_ns: int
    used_ns: int


class JobRow(msgspec.Struct, frozen=True):
    """A job as it is now. Moments are nanoseconds of the monotonic clock, 0 before they come.

    `session`, `is_open` and `processes` are of its `Origin`: which session of a guest's port, whether that lasts, and who has the port
    open. `label` is what its submitter calls itself.
    """

    number: int
    tenant: str
    kernel: str
    label: str
    job_class: JobClass | None
    state: JobState
    submitted_ns: int
    ready_ns: int
    began_ns: int
    ended_ns: int
    device_seconds: float
    slices: int
    error: str
    session: int
    is_open: bool
    processes: tuple[Submitter, ...]

    @classmethod
    def of(cls, job: Job) -> JobRow:
        """The row of a job."""
        origin = job.submission.origin
        return cls(
            job.number,
            job.tenant,
            job.kernel,
            job.submission.label,
            job.job_class,
            job.state,
            job.submitted_ns,
            job.ready_ns,
            job.began_ns,
            job.ended_ns,
            job.device_seconds,
            job.slices,
            str(job.error or "")[:_MOST_LETTERS],
            origin.session if origin else 0,
            origin is not None and origin.is_open,
            origin.processes if origin else (),
        )


class EventKind(enum.StrEnum):
    """What an event tells."""

    TENANT_OPENED = "tenant-opened"
    TENANT_CLOSED = "tenant-closed"
    WEIGHED = "weighed"
    REFUSED = "refused"
    """A submission, at once."""
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ADVISED = "advised"
    """A suggestion was taken, refused or taken back."""


class GpuEvent(msgspec.Struct, frozen=True):
    """Something that happened at `time`, in seconds since 1970; `number` counts up. `job` is 0 where it is about none."""

    number: int
    time: float
    kind: EventKind
    tenant: str
    text: str
    job: int


class Activity:
    """The last slices and events; for any thread."""

    def __init__(self) -> None:
        self._slices: deque[SliceRow] = deque(maxlen=MOST_SLICES)
        self._events: deque[GpuEvent] = deque(maxlen=MOST_EVENTS)
        self._number = 0
        self._changed = threading.Condition()

    def add_slice(self, row: SliceRow) -> None:
        """A slice ended."""
        self._slices.append(row)

    def add_event(self, kind: EventKind, tenant: str, text: str = "", job: int = 0) -> None:
        """Something happened."""
        with self._changed:
            self._number += 1
            self._events.append(GpuEvent(self._number, time.time(), kind, tenant, text[:_MOST_LETTERS], job))
            self._changed.notify_all()

    def slices(self, since_ns: int = 0) -> tuple[SliceRow, ...]:
        """Slices that ended after a moment, in the order of their ends."""
        found = []
        for row in reversed(self._slices.copy()):
            if row.ended_ns <= since_ns:
                break
            found.append(row)
        return tuple(reversed(found))

    def events(self, since: int = 0, timeout_s: float = 0.0) -> tuple[GpuEvent, ...]:
        """Events with a number above `since`; where there are none, those that come within `timeout_s`. -1: what is new from now on."""
        with self._changed:
            since = self._number if since < 0 else since
            self._changed.wait_for(lambda: self._number > since, timeout_s)
            kept = len(self._events)
            wanted = min(max(self._number - since, 0), kept)
            return tuple(list(self._events)[kept - wanted :])
