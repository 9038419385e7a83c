"""Slices: what the scheduler decides, done by workers.

Everything here runs under the hypervisor's lock. Nothing waits: workers are asked, and `answered` is called when one has replied.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from pixel_cpu.backends.launch import Outcome, Part
from pixel_cpu.errors import DeviceError, LimitError, TrapError
from pixel_cpu.runtime.device import START_SECONDS
from qemu_bridge.errors import GlassBoxError

from ..errors import DeadlineError
from ..scheduler import (
    Accepted,
    Cancelled,
    Decision,
    Dispatch,
    Event,
    Finished,
    JobClass,
    Policy,
    Preempt,
    Refused,
    Scheduler,
    SliceDone,
    Submitted,
    TenantClosed,
    Tick,
)
from .activity import Activity, SliceRow
from .flight import Flight, Slice
from .job import Job, JobState
from .seat import Seat
from .tenant import Tenant

GRACE_NS = 1_000_000
"""A worker that was told to end its slice is stopped after so long."""
LATE_NS = 3_000_000
"""One whose budget is over, after so long."""
SWITCHES = 4096
"""Switches that percentiles are of."""
_MOST_MOVES = 16
"""Of a job that is moved because a device is idle."""
_MOST_LANES_AT_ONCE = 64
"""Of a back end that runs lanes in step; it takes powers of two."""


class Dispatcher:
    """Runs slices on the device `name`.

    `watch` is called with the tenant of each new request; `ended` with each job that is over, `moved` with each that is to go on elsewhere.
    `can_stop` says whether stopping a worker's process stops its kernel: where kernels run on processors.
    """

    def __init__(
        self,
        name: str,
        policy: Policy,
        tenants: dict[str, Tenant],
        watch: Callable[[Tenant, Seat], None],
        ended: Callable[[Job], None],
        moved: Callable[[Job], None],
        *,
        can_stop: bool,
        restore_bytes: int,
        activity: Activity,
    ) -> None:
        self.name = name
        self.scheduler = Scheduler([name], policy)
        self.slice: Slice | None = None
        self.jobs: dict[int, Job] = {}
        self.busy_ns = self.slices = self.stops = 0
        self.switches_ns: deque[int] = deque(maxlen=SWITCHES)
        self._tenants, self._watch, self._ended, self._moved = tenants, watch, ended, moved
        self._can_stop, self._restore_bytes, self._activity = can_stop, restore_bytes, activity
        self._events: deque[Event] = deque()
        self._is_deciding = False
        self._last_end_ns = 0
        self._prepares: dict[int, int] = {}
        """Jobs whose kernel is made ready, and when that is too long."""

    def tell(self, event: Event) -> None:
        """Give the scheduler an event and do what it decides; what follows from that comes after it."""
        self._events.append(event)
        if self._is_deciding:
            return
        self._is_deciding = True
        try:
            while self._events:
                for decision in self.scheduler.handle(self._events.popleft()):
                    self._do(decision)
        finally:
            self._is_deciding = False
        if self.slice is None:  # what comes later comes after a pause, not after a switch
            self._last_end_ns = 0

    def _do(self, decision: Decision) -> None:
        match decision:
            case Accepted():
                job = self.jobs[decision.job]
                job.state, job.job_class, job.ready_ns = JobState.QUEUED, decision.job_class, time.monotonic_ns()
            case Refused():
                job = self.jobs.pop(decision.job)
                self._end(job, JobState.FAILED, DeadlineError(decision.reason, decision.left_ns * 1e-9))
            case Dispatch():
                self._begin_slice(decision)
            case Preempt():
                self._preempt(decision)
            case Finished():
                self._finished(decision)

    # Jobs come

    def ready(self, job: Job) -> None:
        """A job's kernel is built: have the worker load it now if it is idle, so that its first slice need not."""
        self.jobs[job.number] = job
        self._seat(job).arriving.append(job)
        self._arrive(self._seat(job))

    def _arrive(self, seat: Seat) -> None:
        """Give the scheduler jobs in their order: one whose kernel is made ready is waited for."""
        while seat.arriving:
            job = seat.arriving[0]
            if self.jobs.get(job.number) is job and job.state is JobState.QUEUED_BUILD:
                if seat.flight and not seat.flight.is_launch and seat.flight.job is job:
                    return
                if seat.flight is None:
                    try:
                        pending = seat.device.begin_prepare(job.module, job.kernel, job.group)
                    except GlassBoxError as error:
                        seat.arriving.popleft()
                        self._fail_early(job, error)
                        continue
                    if pending:
                        self._fly(seat, Flight(job, pending, is_launch=False))
                        return
                seat.arriving.popleft()
                self._submit(job)
            else:  # it was cancelled, or went elsewhere
                seat.arriving.popleft()

    def _seat(self, job: Job) -> Seat:
        """Where its kernels run here."""
        return self._tenants[job.tenant].seats[self.name]

    def _submit(self, job: Job) -> None:
        given = job.submission
        now = time.monotonic_ns()
        assert job.launch and job.next_lane is not None
        first = job.next_lane // job.launch.group
        self.tell(
            Submitted(
                now,
                job.number,
                job.tenant,
                job.key,
                job.launch.groups,
                job.job_class,
                None if given.deadline_s is None else job.submitted_ns + int(given.deadline_s * 1e9),
                None if given.expected_s is None else int(given.expected_s * 1e9),
                first,
                job.moves > 0,
            )
        )

    def _fail_early(self, job: Job, error: GlassBoxError) -> None:
        del self.jobs[job.number]
        self._end(job, JobState.FAILED, error)

    def cancel(self, job: Job) -> None:
        """A job that was built is not wanted any more."""
        job.is_cancelled = True
        if job.state is JobState.QUEUED_BUILD:
            del self.jobs[job.number]
            self._end(job, JobState.CANCELLED, None)
            return
        self.tell(Cancelled(time.monotonic_ns(), job.number))

    def move(self, job: Job) -> None:
        """Let a job go where every back end can go on: `moved` is called then. It stays where it is in a group that does not end."""
        if job.is_moving or job.is_cancelled:
            return
        if job.state is JobState.QUEUED_BUILD:  # its kernel is made ready here, for nothing
            del self.jobs[job.number]
            job.moves += 1
            self._moved(job)
            return
        job.is_moving = True
        self._leave(job)

    def _leave(self, job: Job) -> None:
        self.tell(Cancelled(time.monotonic_ns(), job.number, "it is to go on with another device"))

    def drop(self, tenant: Tenant) -> None:
        """A tenant is gone, and its worker has ended."""
        tenant.seats[self.name].flight = None
        self.tell(TenantClosed(time.monotonic_ns(), tenant.name))
        if self.slice and self.slice.job.tenant == tenant.name:
            self._end_slice(0)
        for job in [job for job in self.jobs.values() if job.tenant == tenant.name]:  # those that were not ready
            self._fail_early(job, job.failure or DeviceError("its tenant is gone"))

    def find_waiting(self, is_free: Callable[[Tenant], bool]) -> Job | None:
        """A job that waits for the device; no job of its tenant has a deadline, or the device."""
        own = self.slice.job.tenant if self.slice else None
        refused = {own}
        for job in reversed(self.jobs.values()):
            if job.tenant in refused:
                continue
            tenant = self._tenants[job.tenant]
            waits = job.state in (JobState.QUEUED, JobState.RUNNING) and job.moves < _MOST_MOVES and not job.is_moving
            if waits and self._seat(job).flight is None and is_free(tenant):
                if not any(other.job_class is JobClass.REALTIME for other in tenant.jobs.values()):
                    return job
            refused.add(job.tenant)
        return None

    # Slices

    def _begin_slice(self, decision: Dispatch) -> None:
        job = self.jobs[decision.job]
        now = time.monotonic_ns()
        self.slice = Slice(job, decision.budget_ns, now, now + decision.budget_ns + LATE_NS)
        if job.state is JobState.QUEUED:
            job.state = JobState.RUNNING
            if not job.began_ns:
                job.began_ns = now
                self._tenants[job.tenant].queue_ns.append(now - job.ready_ns)
        if job.next_lane is None:  # it had ended while another job of its tenant waited for the worker
            self._end_slice(None)
            return
        self._go_on()

    def _go_on(self) -> None:
        """Ask the worker for what the slice is for; one that does something else yet ends that first."""
        assert self.slice
        job = self.slice.job
        seat = self._seat(job)
        flight = seat.flight
        if flight is not None:
            # A job that cannot be cut further has the worker: it ends its group, for which the tenant pays.
            seat.stop[0] = flight.job is not job
            self.slice.begin(flight.pending.pid)
            if flight.is_stopped and self._last_end_ns:
                self.switches_ns.append(time.monotonic_ns() - self._last_end_ns)
            flight.resume()
            return
        seat.stop[0] = 0
        self.slice.begin(seat.device.worker_pid)
        try:
            pending = seat.device.begin_prepare(job.module, job.kernel, job.group)
            if pending:
                self._fly(seat, Flight(job, pending, is_launch=False))
            else:
                assert job.launch and job.next_lane is not None
                self._save(job)
                job.launch.part = Part(job.next_lane, None, self.slice.budget_ns, seat.stop)
                if job.is_moving:  # just so far that it can be moved
                    job.launch.part = Part(job.next_lane, -(-job.next_lane // _stride(job)) * _stride(job))
                self._fly(seat, Flight(job, seat.device.begin(job.module, job.kernel, job.launch), is_launch=True))
        except GlassBoxError as error:
            job.failure = error
            self._end_slice(None)
            return
        assert seat.flight
        self.slice.begin(seat.flight.pending.pid)  # of a worker that was started for it
        if self.slice.is_preempted:
            seat.stop[0] = 1

    def _fly(self, seat: Seat, flight: Flight) -> None:
        seat.flight = flight
        if not flight.is_launch:
            self._prepares[flight.job.number] = time.monotonic_ns() + int(START_SECONDS * 1e9)
        self._watch(self._tenants[flight.job.tenant], seat)

    def _preempt(self, decision: Preempt) -> None:
        if self.slice and self.slice.job.number == decision.job:
            self.slice.is_preempted = True
            self.slice.until_ns = min(self.slice.until_ns, time.monotonic_ns() + GRACE_NS)
            self._seat(self.slice.job).stop[0] = 1

    def answered(self, tenant: Tenant) -> None:
        """A tenant's worker replied, or died."""
        seat = tenant.seats[self.name]
        flight, seat.flight = seat.flight, None
        if flight is None:
            return
        used = self.slice.used_ns(flight) if self.slice and self.slice.job.tenant == tenant.name else 0
        job, mine = flight.job, self.slice is not None and self.slice.job is flight.job
        self._prepares.pop(job.number, None)
        try:
            outcome = flight.pending.finish()
        except GlassBoxError as error:
            if flight.is_launch or job.number in self.jobs:  # else it went elsewhere meanwhile
                self._failed(tenant, flight, error)
        else:
            if outcome is not None:
                job.add(outcome)
                job.slices += 1
                if mine and not self._can_stop:
                    used = _on_device_ns(outcome, flight)
                if mine and 0 < self._last_end_ns <= flight.pending.began_ns:
                    self.switches_ns.append(flight.pending.began_ns - self._last_end_ns)
                self._last_end_ns = flight.pending.ended_ns
        if not flight.is_launch and job.state is JobState.QUEUED_BUILD and job.number in self.jobs:
            if seat.arriving and seat.arriving[0] is job:
                seat.arriving.popleft()
            if job.failure:
                self._fail_early(job, job.failure)
            else:
                self._submit(job)
        elif not mine and job.failure and job.number in self.jobs:
            self.tell(Cancelled(time.monotonic_ns(), job.number))
        if self.slice and self.slice.job.tenant == tenant.name:
            if self.slice.job is job and (flight.is_launch or job.failure):
                self._end_slice(used)
            elif self.slice.job.failure:
                self._end_slice(used)
            else:
                self._go_on()
        self._arrive(seat)

    def _end_slice(self, used_ns: int | None) -> None:
        """The device is free; the scheduler is told what the slice used."""
        assert self.slice
        own, self.slice = self.slice, None
        job = own.job
        used = own.used_ns(self._seat(job).flight) if used_ns is None else used_ns
        self.slices += 1
        self.busy_ns += used
        about = (job.number, job.tenant, job.kernel, job.job_class or JobClass.THROUGHPUT)
        self._activity.add_slice(SliceRow(*about, self.name, own.began_ns, time.monotonic_ns(), used))
        job.device_seconds += used * 1e-9
        self._tenants[job.tenant].used_ns += used
        if job.device_seconds > job.submission.seconds and job.next_lane is not None and not job.failure:
            job.failure = _too_long(job)
        assert job.launch
        units = job.launch.groups
        known = self.scheduler.jobs[job.number].next_unit
        done = units if job.next_lane is None else max(min(job.next_lane // job.launch.group, units - 1), known)
        if job.is_moving and _is_movable(job):
            self._leave(job)
        self.tell(SliceDone(time.monotonic_ns(), self.name, used, done, job.failure is not None))

    @property
    def next_moment_ns(self) -> int | None:
        """When `check_times` has something to do."""
        moments = list(self._prepares.values())
        if self.slice:
            moments.append(self.slice.until_ns)
        return min(moments, default=None)

    def check_times(self) -> None:
        """See to slices that are late, and kernels that are not ready in time."""
        now = time.monotonic_ns()
        for number, until in list(self._prepares.items()):
            flight = self._seat(self.jobs[number]).flight if number in self.jobs else None
            if now >= until:
                del self._prepares[number]
                if flight and flight.job.number == number:
                    flight.limit = (
                        f"its kernel was not ready within {START_SECONDS:g} s, and was given up; make it smaller"
                    )
                    self._seat(flight.job).device.kill()
        if not self.slice or now < self.slice.until_ns:
            return
        job = self.slice.job
        seat = self._seat(job)
        flight = seat.flight
        if flight is None:
            return
        # A device that is no processor works while its worker waits.
        spent = self.slice.used_ns(flight) if self._can_stop else now - self.slice.began_ns
        if job.device_seconds + spent * 1e-9 > job.submission.seconds:
            flight.limit = str(_too_long(job))
            flight.resume()
            seat.device.kill()
            self.slice.until_ns = now + LATE_NS
        elif self._can_stop and (self.slice.is_preempted or self.scheduler.is_anybody_waiting()):
            flight.halt()
            self.stops += 1
            self._last_end_ns = time.monotonic_ns()
            self._end_slice(None)
        else:
            self.slice.until_ns = now + LATE_NS
            self.tell(Tick(now))

    # Jobs end

    def _failed(self, tenant: Tenant, flight: Flight, error: GlassBoxError) -> None:
        """A request failed: the job does, unless its worker died of something else and it can begin again."""
        job = flight.job
        if flight.limit:
            job.failure = LimitError(flight.limit)
        elif isinstance(error, DeviceError) and flight.is_launch and not job.restarts and job.saved is not None:
            tenant.restarts += 1
            job.restarts += 1
            for array, before in job.saved:
                array.view("u1")[:] = memoryview(before)
            job.next_lane, job.outcome = 0, None
            self.scheduler.restart(
                job.number, time.monotonic_ns(), "its worker died; what it wrote is undone, and it begins again"
            )
        elif isinstance(error, DeviceError) and flight.is_launch:
            lost = ", ".join(memory.name for memory in job.module.kernels[job.kernel].buffers if memory.is_writable)
            job.failure = DeviceError(f"{error}; what {lost or 'it'} holds is not whole")
        elif isinstance(error, DeviceError) and not job.prepare_restarts:
            # Nothing ran: what a launch may lose is another count.
            job.prepare_restarts += 1
        else:
            job.failure = error

    def _save(self, job: Job) -> None:
        """Keep what a job's first slice may change, so that it can begin again."""
        if job.next_lane or job.saved is not None:
            return
        assert job.launch
        written = [job.launch.buffers[m.name] for m in job.module.kernels[job.kernel].buffers if m.is_writable]
        if sum(array.nbytes for array in written) <= self._restore_bytes:
            job.saved = [(array, array.tobytes()) for array in written]

    def _finished(self, decision: Finished) -> None:
        job = self.jobs.pop(decision.job)
        seat = self._seat(job)
        is_inside = seat.flight is not None and seat.flight.job is job
        if job.is_moving and not job.is_cancelled and not job.failure and job.next_lane is not None:
            job.moves += 1
            if _is_movable(job) and not is_inside:
                job.is_moving = False
                self._moved(job)
                return
            # It goes on here: up to where it can be moved, or, in a group that does not end, for good.
            job.is_moving = not is_inside
            self.jobs[job.number] = job
            self._submit(job)
            return
        if is_inside:
            seat.device.kill()  # it is in a group that does not end
        if job.failure:
            self._end(job, JobState.FAILED, job.failure)
        elif job.is_cancelled or job.next_lane is not None:
            self._end(job, JobState.CANCELLED, None)
        elif job.outcome and job.outcome.trap:
            trap = job.outcome.trap
            self._end(job, JobState.FAILED, TrapError(job.kernel, trap.lane, trap.reason, trap.line))
        else:
            self._end(job, JobState.DONE, None)

    def _end(self, job: Job, state: JobState, error: GlassBoxError | None) -> None:
        job.saved = None
        job.state, job.error = state, error
        self._ended(job)


def _on_device_ns(outcome: Outcome, flight: Flight) -> int:
    """Time of a slice by the device's own clock, where it has one, else by the worker's."""
    if outcome.device_seconds is not None:
        return int(outcome.device_seconds * 1e9)
    return flight.pending.ended_ns - flight.pending.began_ns


def _stride(job: Job) -> int:
    """Lanes between two places where every back end can go on."""
    return math.lcm(job.group, _MOST_LANES_AT_ONCE)


def _is_movable(job: Job) -> bool:
    return job.next_lane is not None and job.next_lane % _stride(job) == 0


def _too_long(job: Job) -> LimitError:
    return LimitError(
        f"it took more than the {job.submission.seconds:g} s of device time that it may take; give it more with seconds="
    )
