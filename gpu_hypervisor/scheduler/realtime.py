"""Earliest deadline first, for jobs that were promised to end in time: what cannot be promised is refused."""

from __future__ import annotations

import bisect

from .jobs import Job
from .policy import Policy


class Realtime:
    """Admitted REALTIME jobs of one kind of device, in order of deadline.

    Devices give them `Policy.promised` of their time at least. A job is admitted where, up to each deadline from its own on, what is
    promised together fits into that share of the time, less what a switch takes.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._jobs: list[tuple[int, int, Job]] = []

    def __len__(self) -> int:
        return len(self._jobs)

    def left_ns(self, now: int, deadline: int, devices: int) -> int:
        """Device time that a new job with this deadline could be promised."""
        # One job is on one device at a time, however much the devices could promise together.
        left, promised, switch_ns = float(deadline - now - self._policy.switch_ns), 0.0, self._policy.switch_ns
        rate, is_counted = self._policy.promised * devices, False
        for due, _, job in self._jobs:
            if due > deadline and not is_counted:
                left, is_counted = min(left, rate * (deadline - now - switch_ns) - promised), True
            promised += job.remaining_ns
            if due > deadline:  # what is promised later has to fit behind the new job, too
                left = min(left, rate * (due - now - switch_ns) - promised)
        if not is_counted:
            left = min(left, rate * (deadline - now - switch_ns) - promised)
        return max(int(left), 0)

    def add(self, job: Job) -> None:
        """A job that was admitted."""
        assert job.deadline is not None
        bisect.insort(self._jobs, (job.deadline, job.number, job))

    def remove(self, job: Job) -> None:
        """A job ended, or lost its promise."""
        assert job.deadline is not None
        del self._jobs[bisect.bisect_left(self._jobs, (job.deadline, job.number))]

    def first_waiting(self) -> Job | None:
        """The job with the earliest deadline that does not run."""
        return next((job for _, _, job in self._jobs if job.device is None), None)

    def late(self, now: int) -> list[Job]:
        """Jobs whose deadline is over and was not noted before."""
        found = []
        for due, _, job in self._jobs:
            if due >= now:
                break
            if not job.is_late:
                found.append(job)
        return found
