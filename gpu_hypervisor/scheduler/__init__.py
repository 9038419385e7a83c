"""Which job runs next on the devices of one kind: a state machine over events, without a clock, threads or I/O.

>>> scheduler = Scheduler(["cpu"])
>>> scheduler.handle(TenantOpened(0, "a", weight=60.0))
>>> scheduler.handle(Submitted(0, job=1, tenant="a", kernel="saxpy", units=1000))
[Accepted(job=1, ...), Dispatch(device='cpu', job=1, first=0, ...)]
>>> scheduler.handle(SliceDone(5_000_000, "cpu", used_ns=5_000_000, next_unit=1000))
[Finished(job=1, ...)]

Times are whole nanoseconds of one clock, which the caller reads. The same events give the same decisions.
"""

from .classes import JobClass
from .events import (
    Accepted,
    Cancelled,
    Decision,
    DeviceDown,
    DeviceUp,
    Dispatch,
    Event,
    Finished,
    Preempt,
    Refused,
    SliceDone,
    Started,
    Submitted,
    TenantClosed,
    TenantOpened,
    Tick,
    Weighted,
)
from .policy import Policy
from .scheduler import Scheduler

__all__ = [
    "Accepted",
    "Cancelled",
    "Decision",
    "DeviceDown",
    "DeviceUp",
    "Dispatch",
    "Event",
    "Finished",
    "JobClass",
    "Policy",
    "Preempt",
    "Refused",
    "Scheduler",
    "SliceDone",
    "Started",
    "Submitted",
    "TenantClosed",
    "TenantOpened",
    "Tick",
    "Weighted",
]
