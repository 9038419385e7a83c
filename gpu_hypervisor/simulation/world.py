"""Simulated devices, tenants and time around the real scheduler."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..scheduler import (
    Cancelled,
    Decision,
    Dispatch,
    Event,
    Finished,
    Preempt,
    Refused,
    Scheduler,
    SliceDone,
    Submitted,
    TenantOpened,
)
from .loads import Load, SimulatedJob
from .report import Report


@dataclass(slots=True)
class _Slice:
    """What a device does: it began at `began`, and would end at `ends` without an interruption."""

    job: int
    first: int
    began: int
    units: int
    number: int


class World:
    """Devices that take exactly what their jobs' units take; one that is interrupted ends the unit that it is at.

    `watch` is called after each event with the world and what was decided.
    """

    def __init__(self, load: Load, watch: Callable[[World, list[Decision]], None] | None = None) -> None:
        self.load, self._watch = load, watch
        self.now = 0
        self.scheduler = Scheduler([f"gpu{number}" for number in range(load.devices)], load.policy)
        self.jobs: dict[int, SimulatedJob] = {}
        self.report = Report(load.weights, load.devices)
        self._slices: dict[str, _Slice] = {}
        self._numbers = itertools.count(1)
        self._ends: list[tuple[int, int, str]] = []
        for name, weight in load.weights.items():
            self.tell(TenantOpened(0, name, weight))

    def run(self) -> Report:
        """Play the load to its end, then let what is left run out, unless the load is closed."""
        waiting = list(reversed(self.load.jobs))
        while waiting or self._ends:
            at = waiting[-1].at if waiting else None
            if self._ends and (at is None or self._ends[0][0] < at):
                ends, number, device = heapq.heappop(self._ends)
                if self.load.is_closed and ends > self.load.end_ns:
                    break
                slice_ = self._slices.get(device)
                if slice_ and slice_.number == number:  # else it was interrupted, and ends at another time
                    self.now = ends
                    self._end_slice(device, slice_)
            else:
                job = waiting.pop()
                self.now = max(self.now, job.at)
                self.submit(job)
        self.report.end(min(self.now, self.load.end_ns) if self.load.is_closed else self.now)
        return self.report

    def submit(self, job: SimulatedJob) -> int:
        """A job comes now; its number."""
        number = len(self.jobs) + 1
        self.jobs[number] = job
        self.report.submitted(number, job, self.now)
        due = None if job.deadline_ns is None else self.now + job.deadline_ns
        self.tell(Submitted(self.now, number, job.tenant, job.kernel, job.units, job.job_class, due, job.expected_ns))
        return number

    def cancel(self, number: int) -> None:
        """A job is not wanted any more."""
        self.tell(Cancelled(self.now, number))

    def tell(self, event: Event) -> None:
        """Give the scheduler an event, measure what it takes, and do what it decides."""
        started = time.perf_counter_ns()
        decisions = self.scheduler.handle(event)
        self.report.decided(time.perf_counter_ns() - started)
        if self._watch:
            self._watch(self, decisions)
        again: list[SimulatedJob] = []
        for decision in decisions:
            match decision:
                case Dispatch():
                    self._dispatch(decision)
                case Preempt():
                    self._interrupt(decision.device)
                case Finished():
                    job = self.jobs[decision.job]
                    self.report.finished(decision, self.now)
                    if self.load.is_closed and self.now < self.load.end_ns:
                        again.append(job)
                case Refused():
                    self.report.refused(decision.job)
        for job in again:  # only now: what was decided before comes first
            self.submit(job)

    def _dispatch(self, decision: Dispatch) -> None:
        job = self.jobs[decision.job]
        fits = max(decision.budget_ns // job.unit_ns, 1)
        units = min(fits, job.units - decision.first)
        self._run(decision.device, _Slice(decision.job, decision.first, self.now, units, 0))

    def _run(self, device: str, slice_: _Slice) -> None:
        slice_.number = next(self._numbers)
        self._slices[device] = slice_
        ends = slice_.began + slice_.units * self.jobs[slice_.job].unit_ns
        heapq.heappush(self._ends, (ends, slice_.number, device))

    def _interrupt(self, device: str) -> None:
        slice_ = self._slices[device]
        begun = -(-(self.now - slice_.began) // self.jobs[slice_.job].unit_ns)
        slice_.units = min(max(begun, 1), slice_.units)
        self._run(device, slice_)

    def _end_slice(self, device: str, slice_: _Slice) -> None:
        del self._slices[device]
        used = slice_.units * self.jobs[slice_.job].unit_ns
        self.report.used(self.jobs[slice_.job].tenant, slice_.job, used)
        self.tell(SliceDone(self.now, device, used, slice_.first + slice_.units))


def run(load: Load) -> Report:
    """Play a load; what came of it."""
    return World(load).run()
