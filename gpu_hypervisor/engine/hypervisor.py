"""Several tenants on one device, or on several."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import statistics
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pixel_cpu.backends.launch import Array, Launch, check
from pixel_cpu.errors import LaunchError
from pixel_cpu.runtime.device import DEFAULT_MEMORY_BYTES
from qemu_bridge.errors import GlassBoxError, UsageError

from ..admission import Builders, BuildRequest, Built, Failure
from ..admission.built import Reply
from ..errors import AdmissionError, QuotaError, TenantGoneError
from ..memory import Buffer, Residency
from ..scheduler import JobClass, Policy, TenantOpened, Weighted
from .activity import Activity, EventKind, JobRow
from .dispatcher import Dispatcher
from .fleet import Fleet
from .job import Job, JobState
from .seat import Seat
from .stats import ClassStats, DeviceStats, Stats, TenantUsage
from .submission import BufferSlice, Submission
from .tenant import Tenant

MOST_TENANTS = 256
MOST_QUEUE_JOBS = 4096
MOST_BYTES = 1 << 48
ENDED_JOBS = 1000
"""Ended jobs that `job` and `why` know."""
RESTORE_BYTES = 4 << 20
"""What a job writes is kept, up to so much, so that it can begin again when its worker dies."""


class Hypervisor:
    """Owns a device, ``cpu``, ``wgpu``, ``numba`` or ``reference``, and runs jobs of tenants on it by turns.

    Of several devices, such as ``("cpu", "wgpu")`` or ``("cpu@0-1", "cpu@2-3")``, each job runs on the one where it is expected to be
    done first, and goes on with another one where that is idle, or `drain` or `move` say so: what it computes is the same.

    `memory_bytes` is what tenants' buffers may have of the device at once: beyond it those that were used longest ago wait in host memory.

    >>> with Hypervisor() as hypervisor, hypervisor.open_tenant("a", weight=60) as tenant:
    ...     job = tenant.submit(Submission(text, lanes=n, arguments={"a": 2.0, "x": x, "y": y}))
    ...     job.result()

    Raises `DeviceError` where the device cannot be used.
    """

    def __init__(
        self,
        device: str | Sequence[str] = "cpu",
        *,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        policy: Policy | None = None,
        restore_bytes: int = RESTORE_BYTES,
        **options: Any,  # noqa: ANN401  # of the back end
    ) -> None:
        names = (device,) if isinstance(device, str) else tuple(device)
        if options and len(names) > 1:
            raise UsageError(f"{next(iter(options))} is an option of one device; give it with one alone")
        self.fleet = Fleet(names)
        self._options = options
        self.residency = Residency(memory_bytes)
        self.activity = Activity()
        """What happened lately: slices and events."""
        self._tenants: dict[str, Tenant] = {}
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._depth = 0
        self._after: deque[Callable[[], None]] = deque()
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._wake, select.EPOLLIN)
        self._watched: dict[int, tuple[Tenant, Seat, Dispatcher]] = {}
        self._builders = Builders(lambda descriptor: self._poll.register(descriptor, select.EPOLLIN))
        self._dispatchers = {
            each.name: Dispatcher(
                each.name,
                policy or Policy(),
                self._tenants,
                self._watch,
                self._ended,
                self._moved,
                can_stop=each.is_on_processors,
                restore_bytes=restore_bytes,
                activity=self.activity,
            )
            for each in self.fleet
        }
        self._begun = time.monotonic()
        self._is_open = True
        self._thread = threading.Thread(target=self._run, name="gpu hypervisor", daemon=True)
        self._thread.start()

    def __enter__(self) -> Hypervisor:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all tenants and end all processes. Again: nothing."""
        with self.turn():
            if not self._is_open:
                return
            for tenant in list(self._tenants.values()):
                self.close_tenant(tenant)
            self._is_open = False
            self._builders.close()
        os.eventfd_write(self._wake, 1)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._poll.close()
        os.close(self._wake)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the lock; what has to be told to others is told after it."""
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                after = self._after if not self._depth else None
                if after is not None:
                    self._after = deque()
        for action in after or ():
            action()

    # Tenants

    def open_tenant(
        self,
        name: str,
        *,
        weight: float = 1.0,
        memory_bytes: int = 256 << 20,
        queue_jobs: int = 64,
        job_class: JobClass | None = None,
    ) -> Tenant:
        """A tenant of a name that no other has. `memory_bytes` bounds its buffers and its jobs' copies, `queue_jobs` its jobs that have not ended."""
        if not name or len(name) > 200 or not name.isprintable():
            raise UsageError(f"{name[:50]!r} is no name of a tenant: it has 1 to 200 characters that can be printed")
        if not 1 <= queue_jobs <= MOST_QUEUE_JOBS or not 0 <= memory_bytes <= MOST_BYTES:
            raise UsageError(f"a queue has 1 to {MOST_QUEUE_JOBS} jobs, and memory 0 to {MOST_BYTES} bytes")
        with self.turn():
            if not self._is_open:
                raise UsageError("the hypervisor was closed")
            if name in self._tenants:
                raise UsageError(f"there is a tenant {name!r}; choose another name")
            if len(self._tenants) >= MOST_TENANTS:
                raise QuotaError(f"there are {MOST_TENANTS} tenants, which is the most; close one", 1, 0)
            # The tenant's own ledger counts, also what is evicted; arrays of jobs that ended may lie here for a moment longer.
            room = 2 * memory_bytes + (1 << 20)
            own = self.fleet.open(room, self._options)
            tenant = Tenant(self, name, weight, memory_bytes, queue_jobs, job_class, own)
            for dispatcher in self._dispatchers.values():
                dispatcher.tell(TenantOpened(time.monotonic_ns(), name, weight))
            self._tenants[name] = tenant
            self.activity.add_event(EventKind.TENANT_OPENED, name, f"weight {weight:g}")
            return tenant

    def close_tenant(self, tenant: Tenant) -> None:
        """End a tenant's jobs, free its memory, end its worker."""
        with self.turn():
            if not tenant.is_open:
                return
            tenant.is_open = False
            gone = TenantGoneError(f"tenant {tenant.name} was closed")
            self._builders.drop(tenant.name)
            for job in list(tenant.jobs.values()):
                if not self._is_dispatched(job):
                    job.state, job.error = JobState.CANCELLED, gone
                    self._ended(job)
                else:
                    job.failure = gone
            for seat in tenant.seats.values():
                self._unwatch(seat)
                seat.device.close()
            for dispatcher in self._dispatchers.values():
                dispatcher.drop(tenant)
            for buffer in list(tenant.buffers.values()):
                tenant.drop(buffer)
            del self._tenants[tenant.name]
            self.activity.add_event(EventKind.TENANT_CLOSED, tenant.name)

    def tenants(self) -> tuple[Tenant, ...]:
        """All that are open, by the time of their opening."""
        with self._lock:
            return tuple(self._tenants.values())

    def set_weight(self, name: str, weight: float) -> None:
        """Give a tenant another weight."""
        with self.turn():
            for dispatcher in self._dispatchers.values():
                dispatcher.tell(Weighted(time.monotonic_ns(), name, weight))
            self._tenants[name].weight = weight
            self.activity.add_event(EventKind.WEIGHED, name, f"weight {weight:g}")

    # Devices

    def move(self, tenant: str, device: str | None) -> None:
        """Have a tenant's jobs go on with a device, and all later ones run there; None: from now on wherever they are done soonest.

        `UsageError` for a device that is not there or is drained. A job goes on where every device can; one that is in a group which does
        not end stays.
        """
        with self.turn():
            found = self._tenants.get(tenant)
            if found is None:
                raise UsageError(f"there is no tenant {tenant!r}")
            if device is not None:
                self.fleet.check_taking(device)
            found.pinned = device
            if device is not None:
                self._send(found, device)

    def drain(self, device: str) -> None:
        """Have all jobs of a device go on with others, and none come: before it is switched off. `UsageError` where it is the last one."""
        with self.turn():
            self.fleet.drain(device)
            for tenant in self._tenants.values():
                tenant.pinned = None if tenant.pinned == device else tenant.pinned
                if job := next((job for job in tenant.jobs.values() if job.device == device), None):
                    tenant.target = None
                    self._send(tenant, tenant.pinned or self.fleet.best(job.kind, job.lanes_left))

    def resume(self, device: str) -> None:
        """Have a device that was drained take jobs again."""
        with self.turn():
            self.fleet.resume(device)

    def _is_dispatched(self, job: Job) -> bool:
        return bool(job.device) and job.number in self._dispatchers[job.device].jobs

    def _place(self, tenant: Tenant, job: Job) -> None:
        """Choose the device that a job runs on, or goes on with: that of its tenant's other jobs, so that they keep their order."""
        given = tenant.pinned, "its tenant's jobs run there"
        if given[0] is None:
            others = [other for other in tenant.jobs.values() if other is not job and other.device]
            if not others:
                tenant.target = None
            given = tenant.target or (others[-1].device if others else None), "jobs of its tenant go before it there"
        job.device, why = self.fleet.place(job.number, job.kind, job.lanes_left, *given)
        if len(self.fleet) > 1:
            job.places.append(f"{job.device}: {why}")

    def _send(self, tenant: Tenant, device: str) -> None:
        """Have all jobs of a tenant go on with a device."""
        tenant.target = device
        for job in list(tenant.jobs.values()):
            if not job.device or job.device == device:
                continue
            if self._is_dispatched(job):
                self._dispatchers[job.device].move(job)
            else:  # its kernel is being built, or it was moved and waits
                self._place(tenant, job)
        self._let_go(tenant)

    def _moved(self, job: Job) -> None:
        """A job left its device: it goes on with another one, after those that came before it."""
        tenant = self._tenants[job.tenant]
        self._place(tenant, job)
        job.state = JobState.QUEUED_BUILD
        tenant.held[job.number] = job
        self._let_go(tenant)

    def _let_go(self, tenant: Tenant) -> None:
        """Let jobs go on that were built or moved, unless one that has to be before them is not there yet."""
        for number in sorted(tenant.held):
            job = tenant.held.get(number)
            if job and not any(other.number < number and self._is_before(other, job) for other in tenant.jobs.values()):
                del tenant.held[number]
                self._dispatchers[job.device].ready(job)

    def _is_before(self, earlier: Job, job: Job) -> bool:
        """Whether a job that was submitted earlier has to come to the device first: of the same class, as far as that is known."""
        is_alike = earlier.submission.job_class is job.submission.job_class
        return is_alike and (earlier.device != job.device or not self._is_dispatched(earlier))

    def _balance(self) -> None:
        """Let a device without work have the jobs of a tenant that waits for another one, where they would be done sooner."""
        for idle in self._dispatchers.values():
            if idle.jobs or self.fleet.is_drained(idle.name):
                continue
            for busy in self._dispatchers.values():
                job = busy.find_waiting(self._is_free)
                if job and self.fleet.is_sooner(idle.name, job.number, job.kind, busy.name):
                    self._send(self._tenants[job.tenant], idle.name)
                    break

    def _is_free(self, tenant: Tenant) -> bool:
        return tenant.pinned is None and not tenant.held

    # Jobs

    def submit(self, tenant: Tenant, submission: Submission) -> Job:
        """See `Tenant.submit`."""
        try:
            return self._submit(tenant, submission)
        except AdmissionError as error:
            tenant.refused += 1
            self.activity.add_event(EventKind.REFUSED, tenant.name, str(error))
            raise

    def _submit(self, tenant: Tenant, submission: Submission) -> Job:
        submission.check()
        with self.turn():
            tenant.check_open()
            if len(tenant.jobs) >= tenant.queue_jobs:
                text = (
                    f"{len(tenant.jobs)} jobs of tenant {tenant.name} have not ended, which is the most; wait for one"
                )
                raise QuotaError(text, 1, 0)
            job = Job(next(self._numbers), tenant.name, submission)
            job.job_class = submission.job_class or (tenant.job_class if submission.deadline_s is None else None)
            job.cancel = lambda: self._cancel(job)
            self._pin(tenant, job)
            self._jobs[job.number] = tenant.jobs[job.number] = job
        try:
            # Copied outside of the lock: others need not wait for it.
            for place, (name, array, _) in enumerate(job.copies):
                job.copies[place] = name, array, tenant.device.array(array)
        except BaseException:
            with self.turn():
                self._release(job)
            raise
        with self.turn():
            tenant.check_open()
            kernel = (submission.language, submission.text, submission.kernel, submission.threads)
            job.kind = BuildRequest("", *kernel).digest if len(self.fleet) > 1 else ""
            self._place(tenant, job)
            request = BuildRequest(self.fleet[job.device].backend, *kernel)
            job.key = request.digest
            self._builders.build(tenant.name, request, lambda reply: self._built(job, reply))
            self._wake_up()
        return job

    def _pin(self, tenant: Tenant, job: Job) -> None:
        """Keep what a job uses on the device, and count what is copied for it."""
        try:
            for name, value in job.submission.arguments.items():
                if isinstance(value, BufferSlice):
                    buffer = tenant.find(value.handle)
                    size = buffer.size - value.offset if value.size_bytes is None else value.size_bytes
                    if not (0 <= value.offset and 0 <= size and value.offset + size <= buffer.size):
                        raise AdmissionError(
                            f"{name}: buffer {value.handle} has {buffer.size} bytes, and none from {value.offset} on for {size}"
                        )
                    self.residency.use(buffer)
                    buffer.pins += 1
                    job.buffers.append(buffer)
                elif isinstance(value, np.ndarray) and not tenant.device.is_shared(value):
                    tenant.ledger.take(value.nbytes)
                    job.copied_bytes += value.nbytes
                    self.residency.take(value.nbytes)
                    job.copies.append((name, value, value))
        except BaseException:
            self._release(job)
            raise

    def _release(self, job: Job) -> None:
        """A job uses nothing any more."""
        tenant = self._tenants.get(job.tenant)
        for buffer in job.buffers:
            buffer.pins -= 1
        job.buffers = []
        if tenant:
            tenant.ledger.give_back(job.copied_bytes)
            tenant.jobs.pop(job.number, None)
        self.residency.give_back(job.copied_bytes)
        job.copied_bytes = 0

    def _built(self, job: Job, reply: Reply) -> None:
        """A job's kernel is built: check its arguments, and let the scheduler have it."""
        if job.state.has_ended:
            return
        job.build_seconds = (time.monotonic_ns() - job.submitted_ns) * 1e-9
        try:
            if isinstance(reply, Failure):
                raise reply.error
            self._fit(job, reply)
        except GlassBoxError as error:
            job.state, job.error = JobState.FAILED, error
            self._ended(job)
            return
        tenant = self._tenants[job.tenant]
        tenant.held[job.number] = job
        self._let_go(tenant)

    def _fit(self, job: Job, built: Built) -> None:
        tenant, given = self._tenants[job.tenant], job.submission
        job.kernel, job.module, job.group = built.kernel, built.module, built.group
        kernel = built.module.kernels[built.kernel]
        for seat in tenant.seats.values():
            seat.device.provide(built.module, built.kernel, built.group, built.text)
        copies = {name: copy for name, _, copy in job.copies}
        elements = {memory.name: memory.element.dtype for memory in kernel.buffers}
        scalars: dict[str, Any] = {}
        buffers: dict[str, Array] = {}
        for name, value in given.arguments.items():
            if isinstance(value, BufferSlice):
                if name not in elements:
                    raise LaunchError(f"{kernel.name} has no buffer {name}; it has {', '.join(elements) or 'none'}")
                buffers[name] = _view(name, tenant.find(value.handle), value, elements[name])
            elif isinstance(value, np.ndarray):
                buffers[name] = copies.get(name, value)
            else:
                scalars[name] = value
        lanes = given.lanes if given.lanes is not None else (given.blocks or 0) * built.group
        job.launch = check(kernel, Launch(lanes, built.group, scalars, buffers, given.fuel))
        if job.job_class is None and built.is_latency_critical and given.deadline_s is None:
            job.job_class = JobClass.INTERACTIVE

    def _cancel(self, job: Job) -> bool:
        with self.turn():
            if job.state.has_ended:
                return False
            if self._is_dispatched(job):
                self._dispatchers[job.device].cancel(job)
            else:
                job.state = JobState.CANCELLED
                self._ended(job)
            return True

    def _ended(self, job: Job) -> None:
        """A job is over: give back what it used, then tell who waits."""
        tenant = self._tenants.get(job.tenant)
        state, error = job.state, job.error
        copies = job.copies if state is JobState.DONE else []
        job.copies, job.launch = [], None
        self._release(job)
        if tenant and tenant.is_open:
            tenant.held.pop(job.number, None)
            self._let_go(tenant)
        self.fleet.ended(job.number, None if job.moves or state is not JobState.DONE else job.device_seconds)
        if tenant:
            tenant.ended += 1
            tenant.failed += state is JobState.FAILED
        self.activity.add_event(EventKind[state.name], job.tenant, str(error or ""), job.number)
        while len(self._jobs) > ENDED_JOBS and next(iter(self._jobs.values())).state.has_ended:
            self._jobs.popitem(last=False)

        def tell() -> None:
            for _, array, copy in copies:
                array[:] = copy
            job.end(state, error)

        self._after.append(tell)

    def job(self, number: int) -> Job:
        """A job that has not ended, or one of the last that did; `UsageError` for others."""
        with self._lock:
            if number not in self._jobs:
                raise UsageError(f"no job {number} is known; those of the last {ENDED_JOBS} ended jobs are")
            return self._jobs[number]

    def why(self, number: int) -> tuple[str, ...]:
        """What was decided about a job, and why, oldest first."""
        job = self.job(number)
        with self._lock:
            label = f" ({job.submission.label})" if job.submission.label else ""
            head = f"job {number} of tenant {job.tenant}{label}: {job.kernel or 'its kernel'}, {job.state}"
            head_lines = (head, *job.places)
            known = [each.scheduler for each in self._dispatchers.values() if number in each.scheduler.known]
            if known:
                return (*head_lines, *(line for scheduler in known for line in scheduler.why(number)))
            reason = f"refused: {job.error}" if job.error else "its kernel is being built"
            return (*head_lines, reason)

    # What goes on

    def jobs(self) -> tuple[JobRow, ...]:
        """All jobs that have not ended and the last ones that did, by number."""
        with self._lock:
            return tuple(map(JobRow.of, self._jobs.values()))

    def usage(self, tenant: Tenant) -> TenantUsage:
        """What a tenant has, had and was refused."""
        with self._lock:
            used = sum(other.used_ns for other in self._tenants.values())
            weights = sum(other.weight for other in self._tenants.values())
            jobs = list(tenant.jobs.values())
            states = [job.state for job in jobs]
            queue_ms = sorted(each / 1e6 for each in tenant.queue_ns) or [0.0]
            return TenantUsage(
                tenant.name,
                tenant.weight,
                tenant.weight / weights if tenant.is_open else 0.0,
                tenant.used_ns / used if used else 0.0,
                tuple(name for name in JobClass if any(job.job_class is name for job in jobs)),
                states.count(JobState.QUEUED_BUILD),
                states.count(JobState.QUEUED),
                states.count(JobState.RUNNING),
                tenant.ended,
                tenant.failed,
                tenant.refused,
                tenant.used_ns * 1e-9,
                statistics.median(queue_ms),
                queue_ms[min(int(0.99 * len(queue_ms)), len(queue_ms) - 1)],
                tenant.ledger.bytes,
                tenant.ledger.limit_bytes,
                len(tenant.buffers),
                next((pid for seat in tenant.seats.values() if (pid := seat.device.worker_pid)), None),
                tenant.restarts,
                tuple(dict.fromkeys(job.submission.label for job in jobs if job.submission.label)),
            )

    def stats(self) -> Stats:
        """The device, the classes and all tenants."""
        with self._lock:
            own = list(self._dispatchers.values())
            switches = sorted(took / 1e3 for each in own for took in each.switches_ns) or [0.0]
            classes = [job.job_class for each in own for job in each.jobs.values()]
            busy = sum(each.busy_ns for each in own)
            return Stats(
                ", ".join(each.description for each in self.fleet),
                time.monotonic() - self._begun,
                busy * 1e-9,
                sum(each.slices for each in own),
                sum(each.stops for each in own),
                statistics.median(switches),
                switches[min(int(0.99 * len(switches)), len(switches) - 1)],
                self.residency.bytes,
                self.residency.limit_bytes,
                self.residency.evictions,
                self.residency.restores,
                tuple(self.usage(tenant) for tenant in self._tenants.values()),
                tuple(
                    ClassStats(
                        name,
                        sum(each.scheduler.shares.of(name) * each.busy_ns for each in own) / max(busy, 1),
                        classes.count(name),
                    )
                    for name in JobClass
                ),
                tuple(
                    DeviceStats(each.name, each.busy_ns * 1e-9, len(each.jobs), self.fleet.is_drained(each.name))
                    for each in own
                ),
            )

    def limits(self) -> Mapping[str, int]:
        """What kernels, launches and tenants may have."""
        return {**self.fleet.limits(), "tenants": MOST_TENANTS, "queue_jobs": MOST_QUEUE_JOBS}

    # The thread

    def _watch(self, tenant: Tenant, seat: Seat) -> None:
        """Hear of the answer of a tenant's worker."""
        assert seat.flight
        descriptor = seat.flight.pending.fileno()
        if descriptor not in self._watched or self._watched[descriptor][1] is not seat:
            self._unwatch(seat)
            self._watched[descriptor] = tenant, seat, self._dispatchers[seat.name]
        # Each time: a worker that was replaced may have the number of the one before, which went with its descriptor.
        with contextlib.suppress(FileExistsError):
            self._poll.register(descriptor, select.EPOLLIN)
        self._wake_up()

    def _unwatch(self, seat: Seat) -> None:
        for descriptor in [each for each, (_, other, _) in self._watched.items() if other is seat]:
            del self._watched[descriptor]
            with contextlib.suppress(OSError):  # closed with its worker
                self._poll.unregister(descriptor)

    def _wake_up(self) -> None:
        """Have the thread look at the clock anew."""
        if threading.current_thread() is not self._thread:
            os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        while True:
            ready = self._poll.poll(self._timeout())
            with self.turn():
                if not self._is_open:
                    return
                for descriptor, _ in ready:
                    if descriptor == self._wake:
                        os.eventfd_read(self._wake)
                    elif self._builders.owns(descriptor):
                        self._builders.ready(descriptor)
                    elif watched := self._watched.get(descriptor):
                        tenant, seat, dispatcher = watched
                        if seat.flight is None:  # it died while it had nothing to do
                            self._unwatch(seat)
                        else:
                            dispatcher.answered(tenant)
                for dispatcher in self._dispatchers.values():
                    dispatcher.check_times()
                if len(self._dispatchers) > 1:
                    self._balance()
                self._builders.expire()

    def _timeout(self) -> float | None:
        with self._lock:
            moments = [self._builders.next_expiry]
            for dispatcher in self._dispatchers.values():
                if (moment_ns := dispatcher.next_moment_ns) is not None:
                    moments.append(moment_ns * 1e-9)
        known = [moment for moment in moments if moment is not None]
        return max(min(known) - time.monotonic(), 0) if known else None


def _view(name: str, buffer: Buffer, given: BufferSlice, dtype: np.dtype[Any]) -> Array:
    """A part of a buffer as a kernel's elements."""
    assert buffer.array is not None
    size = buffer.size - given.offset if given.size_bytes is None else given.size_bytes
    if size % dtype.itemsize:
        raise LaunchError(f"{name}: {size} bytes are no whole number of elements of {dtype.itemsize} bytes")
    return buffer.array[given.offset : given.offset + size].view(dtype)
