"""What a simulation measures."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from ..scheduler import Finished
from .loads import SimulatedJob


@dataclass(slots=True)
class _Job:
    tenant: str
    wanted_ns: int
    submitted: int
    has_deadline: bool
    used_ns: int = 0


class Report:
    """Sums over a simulation. Times are simulated, but those of decisions, which are this processor's."""

    def __init__(self, weights: Mapping[str, float], devices: int) -> None:
        self._weights, self._devices = weights, devices
        self._open: dict[int, _Job] = {}
        self._used = dict.fromkeys(weights, 0)
        self._decisions: list[int] = []
        self._slowdowns: list[float] = []
        self._by_tenant: dict[str, list[float]] = {name: [] for name in weights}
        self.jobs = self.finished_jobs = self.deadlines = self.misses = self.refusals = self.slices = 0
        self.simulated_ns = 0

    # Told by the world

    def submitted(self, number: int, job: SimulatedJob, now: int) -> None:
        """A job came."""
        self.jobs += 1
        self._open[number] = _Job(job.tenant, job.units * job.unit_ns, now, job.deadline_ns is not None)

    def refused(self, number: int) -> None:
        """A job was refused."""
        self.refusals += 1
        del self._open[number]

    def used(self, tenant: str, number: int, used_ns: int) -> None:
        """A slice ended."""
        self.slices += 1
        self._used[tenant] += used_ns
        self._open[number].used_ns += used_ns

    def finished(self, decision: Finished, now: int) -> None:
        """A job ended."""
        job = self._open.pop(decision.job)
        self.finished_jobs += 1
        self.deadlines += job.has_deadline
        self.misses += decision.is_late
        slowdown = (now - job.submitted) / max(job.wanted_ns, 1)
        self._slowdowns.append(slowdown)
        self._by_tenant[job.tenant].append(slowdown)

    def decided(self, took_ns: int) -> None:
        """The scheduler took so long for one event."""
        self._decisions.append(took_ns)

    def end(self, now: int) -> None:
        """The simulation ended."""
        self.simulated_ns = now

    # Asked afterwards

    @property
    def shares(self) -> Mapping[str, float]:
        """Of all device time that was used, each tenant's part."""
        total = sum(self._used.values()) or 1
        return {name: used / total for name, used in self._used.items()}

    @property
    def share_error(self) -> float:
        """The largest difference between a tenant's share and its weight's, as a part of the latter; of tenants that always had jobs."""
        total = sum(self._weights.values())
        return max(abs(share * total / self._weights[name] - 1) for name, share in self.shares.items())

    @property
    def jain(self) -> float:
        """Jain's index of device time by weight: 1 where all have their share, 1 / tenants where one has all."""
        return _jain([used / self._weights[name] for name, used in self._used.items()])

    @property
    def jain_of_slowdowns(self) -> float:
        """Jain's index of tenants' mean speeds (1 / slowdown), for loads in which tenants want different amounts."""
        return _jain([1 / statistics.fmean(found) for found in self._by_tenant.values() if found])

    @property
    def utilisation(self) -> float:
        """Part of the devices' time in which they ran slices."""
        return sum(self._used.values()) / max(self._devices * self.simulated_ns, 1)

    @property
    def slowdown_p50(self) -> float:
        """Median of jobs' time from submission to end, by the device time that they took."""
        return statistics.median(self._slowdowns) if self._slowdowns else 0.0

    def decision_us(self, part: float = 0.5) -> float:
        """Microseconds of an event, such that this part of all events took less."""
        ordered = sorted(self._decisions)
        return ordered[min(int(part * len(ordered)), len(ordered) - 1)] / 1e3 if ordered else 0.0


def _jain(values: list[float]) -> float:
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0
