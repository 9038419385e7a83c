"""What a scheduler is told, and what it decides. `now` is the moment in nanoseconds; it never goes back."""

from __future__ import annotations

import msgspec

from .classes import JobClass


class TenantOpened(msgspec.Struct, frozen=True):
    """A tenant may submit jobs; of contended time it gets its weight by the sum of those whose jobs wait."""

    now: int
    name: str
    weight: float = 1.0


class TenantClosed(msgspec.Struct, frozen=True):
    """A tenant is gone: its jobs that wait are dropped, those that run are interrupted."""

    now: int
    name: str


class Weighted(msgspec.Struct, frozen=True):
    """A tenant has another weight from now on."""

    now: int
    name: str
    weight: float


class Submitted(msgspec.Struct, frozen=True):
    """A job of `units` groups that may be cut between any two.

    `kernel` names what is measured together: jobs of one kernel cost alike, a unit each. `job_class` None: inferred. `deadline` is a
    moment of the clock of `now`.
    """

    now: int
    job: int
    tenant: str
    kernel: str
    units: int
    job_class: JobClass | None = None
    deadline: int | None = None
    expected_ns: int | None = None
    first: int = 0
    """Units before it are done."""
    is_moved: bool = False
    """It was accepted before, here or for another device, and goes on."""


class Started(msgspec.Struct, frozen=True):
    """The slice that was dispatched to a device began; what it waited before is not held against it."""

    now: int
    device: str


class SliceDone(msgspec.Struct, frozen=True):
    """A slice ended: it used `used_ns` of device time, and the job goes on from `next_unit`.

    `has_ended`: the job ended before its last unit, by an error or because it was cancelled.
    """

    now: int
    device: str
    used_ns: int
    next_unit: int
    has_ended: bool = False


class Cancelled(msgspec.Struct, frozen=True):
    """A job is not wanted (here) any more: one that waits is gone, one that runs is interrupted and ends with its slice."""

    now: int
    job: int
    why: str = "cancelled"


class Tick(msgspec.Struct, frozen=True):
    """Time passed. Deadlines that are over are noted."""

    now: int


class DeviceUp(msgspec.Struct, frozen=True):
    """A device takes slices."""

    now: int
    device: str


class DeviceDown(msgspec.Struct, frozen=True):
    """A device is gone. The job of its slice, if it had one, goes on elsewhere from where that slice began."""

    now: int
    device: str
    used_ns: int = 0


Event = (
    TenantOpened | TenantClosed | Weighted | Submitted | Started | SliceDone | Cancelled | Tick | DeviceUp | DeviceDown
)


class Accepted(msgspec.Struct, frozen=True):
    """A job waits."""

    job: int
    job_class: JobClass
    reason: str


class Refused(msgspec.Struct, frozen=True):
    """A job cannot be promised to end before its deadline; `left_ns` of REALTIME device time is free until then."""

    job: int
    reason: str
    left_ns: int


class Dispatch(msgspec.Struct, frozen=True):
    """Run the job's units from `first` on, `units` of them at most, for `budget_ns` of time at most.

    A device that is able to stop by itself may do all that are left within the budget; others do `units`, which the kernel's history says fit.
    """

    device: str
    job: int
    first: int
    units: int
    budget_ns: int


class Preempt(msgspec.Struct, frozen=True):
    """Interrupt the slice that runs on a device, and say how far it came with `SliceDone`."""

    device: str
    job: int


class Finished(msgspec.Struct, frozen=True):
    """A job has ended; `is_late`: after its deadline."""

    job: int
    used_ns: int
    is_late: bool = False


Decision = Accepted | Refused | Dispatch | Preempt | Finished
