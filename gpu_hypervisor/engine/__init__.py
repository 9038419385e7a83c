"""The engine: one process owns the device, and runs the slices that the scheduler decides on.

Each tenant's kernels run in a worker process of its own, which maps that tenant's buffers and no others. A worker that does not end
its slice is stopped (SIGSTOP) where kernels run on processors, so that nobody waits for it, and goes on when it has its turn.
"""

from .activity import Activity, EventKind, GpuEvent, JobRow, SliceRow
from .hypervisor import Hypervisor
from .job import Job, JobState
from .stats import ClassStats, Stats, TenantUsage
from .submission import BufferSlice, Origin, Submission, Submitter
from .tenant import Tenant

__all__ = [
    "Activity",
    "BufferSlice",
    "ClassStats",
    "EventKind",
    "GpuEvent",
    "Hypervisor",
    "Job",
    "JobRow",
    "JobState",
    "Origin",
    "SliceRow",
    "Stats",
    "Submission",
    "Submitter",
    "Tenant",
    "TenantUsage",
]
