"""Shares of contended device time that classes had lately, against their guarantees and caps."""

from __future__ import annotations

import math

from .classes import FAIR, JobClass
from .policy import Policy

_MOST_UNIT, _MOST_WINDOWS = 1e100, 100.0
"""The unit at which sums begin anew, and of a slice the windows that count: what is older than that is as good as nothing."""


class Shares:
    """Device time of each class while jobs of another class waited; older time fades with the policy's window.

    Time that nobody else wanted counts for nothing: who used an idle device owes nobody for it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._used = dict.fromkeys(JobClass, 0.0)
        self._total = 0.0
        # Newer time counts more: sums are in a unit that grows, which costs one multiplication a slice.
        self._unit = 1.0
        self._guaranteed = [(name, policy.guarantees[name]) for name in FAIR if name in policy.guarantees]
        self._capped = policy.capped

    def add(self, job_class: JobClass, used_ns: int) -> None:
        """A slice of a class ended, and others had waited."""
        self._unit *= math.exp(min(used_ns / self._policy.window_ns, _MOST_WINDOWS))
        self._used[job_class] += used_ns * self._unit
        self._total += used_ns * self._unit
        if self._unit > _MOST_UNIT:
            self._used = {name: used / self._unit for name, used in self._used.items()}
            self._total /= self._unit
            self._unit = 1.0

    def of(self, job_class: JobClass) -> float:
        """The share of a class; 0 where nothing was contended lately."""
        return self._used[job_class] / self._total if self._total else 0.0

    def allowed(self, waiting: tuple[JobClass, ...]) -> tuple[tuple[JobClass, ...], str]:
        """Of the classes whose jobs wait those whose turn it is, and why some are left out; never none of them."""
        if len(waiting) < 2:
            return waiting, ""
        for name, share in self._guaranteed:
            if name in waiting and self._used[name] < share * self._total:
                return (name,), f"{name} has less than its guarantee of {share:.0%}"
        for name, share in self._capped:
            if name in waiting and self._used[name] > share * self._total:
                rest = tuple(other for other in waiting if other is not name)
                return rest, f"{name} has more than its cap of {share:.0%}"
        return waiting, ""
