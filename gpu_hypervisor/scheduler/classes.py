"""Classes of jobs: what a job wants of the scheduler, stated by who submits it, or inferred."""

from __future__ import annotations

import enum

INTERACTIVE_NS = 20_000_000
"""A job that is expected to take less is INTERACTIVE; one that is inferred so and took more is not any longer."""
BATCH_NS = 1_000_000_000
"""A job that is expected to take more is BATCH."""
SMALL_UNITS = 64
"""Of a job whose kernel was never measured, so many groups or fewer count as short."""


class JobClass(enum.StrEnum):
    """What a job wants."""

    REALTIME = "realtime"
    """To end before its deadline: earliest deadline first, admitted only where that can be promised."""
    INTERACTIVE = "interactive"
    """To begin soon: it interrupts throughput and batch jobs of tenants that had more than their share."""
    THROUGHPUT = "throughput"
    """To run in long slices."""
    BATCH = "batch"
    """To run when there is time; its part of a contended device is capped."""

    __hash__ = str.__hash__  # that of enumerations is a Python function, and each decision looks up classes


FAIR = (JobClass.INTERACTIVE, JobClass.THROUGHPUT, JobClass.BATCH)
"""Classes that share by weight; of one tenant's jobs the earlier class goes first."""


def infer(*, has_deadline: bool, expected_ns: float | None, units: int) -> tuple[JobClass, str]:
    """The class of a job that states none, and why.

    `expected_ns` is what its kernel's history, or who submits it, says that it takes; None where nobody knows.
    """
    if has_deadline:
        return JobClass.REALTIME, "it has a deadline"
    if expected_ns is None:
        if units <= SMALL_UNITS:
            return JobClass.INTERACTIVE, f"its kernel was never measured, and it has {units} groups only"
        return JobClass.THROUGHPUT, f"its kernel was never measured, and it has {units} groups"
    return by_time(expected_ns), f"it is expected to take {expected_ns / 1e6:.3g} ms"


def by_time(device_ns: float) -> JobClass:
    """The class of a job without a deadline that takes so much device time."""
    if device_ns < INTERACTIVE_NS:
        return JobClass.INTERACTIVE
    return JobClass.BATCH if device_ns > BATCH_NS else JobClass.THROUGHPUT
