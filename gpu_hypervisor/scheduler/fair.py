"""Start-time fair queueing: tenants share device time by weight, whatever their slices turn out to take.

Each tenant has a start tag: the device time that it had, divided by its weight. The ready tenant with the least tag is next. A tenant
that comes back after a pause starts at the device's virtual time, the tag of who ran last: it gets no credit for having waited.
The tag grows by what a slice is expected to take when it begins, and is put right by what was measured when it ends.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

from .classes import FAIR, JobClass
from .jobs import Job


@dataclass(slots=True, eq=False)
class Flow:
    """A tenant's jobs that wait, first in first out in each class, and its tag. One job of each class runs at a time."""

    name: str
    weight: float
    tag: float = 0.0
    version: int = 0
    """Entries of the heaps with another one are out of date."""
    queues: dict[JobClass, deque[Job]] = field(default_factory=lambda: {name: deque() for name in FAIR})
    running: dict[JobClass, Job] = field(default_factory=dict)

    @property
    def is_idle(self) -> bool:
        """Whether none of its jobs wait or run."""
        return not self.running and not any(self.queues.values())


_Entry = tuple[float, int, int, Flow]
"""Tag, a number that breaks ties, version of the flow, flow."""


class FairQueue:
    """The tenants of one kind of device, a heap for each class."""

    def __init__(self) -> None:
        self.flows: dict[str, Flow] = {}
        self.virtual = 0.0
        self._heaps: dict[JobClass, list[_Entry]] = {name: [] for name in FAIR}
        self._ready = dict.fromkeys(FAIR, 0)
        self._entries = 0
        self.waiting: tuple[JobClass, ...] = ()
        """Classes that have a job which could run."""

    def open(self, name: str, weight: float) -> Flow:
        """A tenant that has no jobs yet."""
        flow = self.flows[name] = Flow(name, weight)
        return flow

    def wake(self, flow: Flow) -> None:
        """Call before the first job of a tenant that was idle: it starts at the virtual time."""
        if flow.tag < self.virtual:
            flow.tag = self.virtual
            self._push(flow)

    def add(self, flow: Flow, job: Job, *, is_first: bool = False) -> None:
        """A job waits behind those of its class, or before them."""
        queue = flow.queues[job.job_class]
        if is_first:
            queue.appendleft(job)
        else:
            queue.append(job)
        if len(queue) == 1 and job.job_class not in flow.running:
            self._set_ready(flow, job.job_class)

    def remove(self, flow: Flow, job: Job) -> None:
        """A job that waits is not wanted any more."""
        queue = flow.queues[job.job_class]
        queue.remove(job)
        if not queue and job.job_class not in flow.running:
            self._count(job.job_class, -1)
            self._push(flow)

    def charge(self, flow: Flow, device_ns: float) -> None:
        """A tenant had device time; less than nothing puts an expectation right."""
        flow.tag += device_ns / flow.weight
        self._push(flow)

    def peek(self, classes: tuple[JobClass, ...]) -> tuple[Flow, JobClass] | None:
        """The tenant and class whose turn it is, among these classes; the earlier class where one tenant has several."""
        best: _Entry | None = None
        chosen = None
        for name in classes:
            heap = self._heaps[name]
            while heap and not self._is_current(heap[0], name):
                heapq.heappop(heap)
            if heap and (best is None or heap[0][0] < best[0]):
                best, chosen = heap[0], name
        return (best[3], chosen) if best is not None and chosen is not None else None

    def take(self, flow: Flow, job_class: JobClass, expected_ns: float) -> Job:
        """The first job of a tenant's class begins a slice that is expected to take so long."""
        job = flow.queues[job_class].popleft()
        flow.running[job_class] = job
        self._count(job_class, -1)
        self.virtual = max(self.virtual, flow.tag)
        self.charge(flow, expected_ns)
        return job

    def put_back(self, flow: Flow, job: Job, *, goes_on: bool) -> None:
        """A job's slice ended; it waits for the next one before all others of its class, or has ended."""
        job_class = next(name for name, running in flow.running.items() if running is job)
        del flow.running[job_class]
        if goes_on and job.job_class is job_class:
            flow.queues[job_class].appendleft(job)
        if flow.queues[job_class]:
            self._set_ready(flow, job_class)
        if goes_on and job.job_class is not job_class:
            self.add(flow, job, is_first=True)

    def _set_ready(self, flow: Flow, job_class: JobClass) -> None:
        self._count(job_class, 1)
        self._push(flow)

    def _count(self, job_class: JobClass, change: int) -> None:
        """More or fewer tenants are ready in a class."""
        count = self._ready[job_class] = self._ready[job_class] + change
        if count <= 1:
            self.waiting = tuple(name for name in FAIR if self._ready[name])

    def _push(self, flow: Flow) -> None:
        """Enter a tenant anew into the heaps of the classes that it has ready jobs of."""
        flow.version += 1
        for name in FAIR:
            if flow.queues[name] and name not in flow.running:
                heap = self._heaps[name]
                self._entries += 1
                heapq.heappush(heap, (flow.tag, self._entries, flow.version, flow))
                if len(heap) > 64 + 4 * self._ready[name]:
                    self._heaps[name] = [entry for entry in heap if self._is_current(entry, name)]
                    heapq.heapify(self._heaps[name])

    @staticmethod
    def _is_current(entry: _Entry, job_class: JobClass) -> bool:
        flow = entry[3]
        return entry[2] == flow.version and bool(flow.queues[job_class]) and job_class not in flow.running
