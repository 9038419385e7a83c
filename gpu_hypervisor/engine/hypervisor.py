"""Several tenants on one device."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import statistics
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from pixel_cpu.backends.launch import Array, Launch, check
from pixel_cpu.errors import LaunchError
from pixel_cpu.runtime import Device, devices
from pixel_cpu.runtime.device import DEFAULT_MEMORY_BYTES
from qemu_bridge.errors import GlassBoxError, UsageError

from ..admission import Builders, BuildRequest, Built, Failure
from ..admission.built import Reply
from ..errors import AdmissionError, QuotaError, TenantGoneError
from ..memory import Buffer, Residency
from ..scheduler import JobClass, Policy, TenantOpened, Weighted
from .dispatcher import Dispatcher
from .job import Job, JobState
from .stats import ClassStats, Stats, TenantUsage
from .submission import BufferSlice, Submission
from .tenant import Tenant

MOST_TENANTS = 256
MOST_QUEUE_JOBS = 4096
MOST_BYTES = 1 << 48
ENDED_JOBS = 1000
"""Ended jobs that `job` and `why` know."""
RESTORE_BYTES = 4 << 20
"""What a job writes is kept, up to so much, so that it can begin again when its worker dies."""
ON_PROCESSORS = ("cpu", "numba", "reference")
"""Back ends whose kernels stop when their process is stopped."""


class Hypervisor:
    """Owns a device, ``cpu``, ``wgpu``, ``numba`` or ``reference``, and runs jobs of tenants on it by turns.

    `memory_bytes` is what tenants' buffers may have of the device at once: beyond it those that were used longest ago wait in host memory.

    >>> with Hypervisor() as hypervisor, hypervisor.open_tenant("a", weight=60) as tenant:
    ...     job = tenant.submit(Submission(text, lanes=n, arguments={"a": 2.0, "x": x, "y": y}))
    ...     job.result()

    Raises `DeviceError` where the device cannot be used.
    """

    def __init__(
        self,
        device: str = "cpu",
        *,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        policy: Policy | None = None,
        restore_bytes: int = RESTORE_BYTES,
        **options: Any,  # noqa: ANN401  # of the back end
    ) -> None:
        (info,) = devices(device)
        if info.reason:
            raise LaunchError(f"device {device!r} cannot be used: {info.reason}")
        self.device, self._info, self._options = device, info, options
        self.residency = Residency(memory_bytes)
        self._tenants: dict[str, Tenant] = {}
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._depth = 0
        self._after: deque[Callable[[], None]] = deque()
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll.register(self._wake, select.EPOLLIN)
        self._watched: dict[int, Tenant] = {}
        self._builders = Builders(lambda descriptor: self._poll.register(descriptor, select.EPOLLIN))
        self._dispatcher = Dispatcher(
            policy or Policy(),
            self._tenants,
            self._watch,
            self._ended,
            can_stop=device in ON_PROCESSORS or "llvmpipe" in info.description.lower(),
            restore_bytes=restore_bytes,
        )
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
            device = Device(self.device, memory=room, events=False, **self._options)
            tenant = Tenant(self, name, weight, memory_bytes, queue_jobs, job_class, device)
            self._dispatcher.tell(TenantOpened(time.monotonic_ns(), name, weight))
            self._tenants[name] = tenant
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
                if job.number not in self._dispatcher.jobs:
                    job.state, job.error = JobState.CANCELLED, gone
                    self._ended(job)
                else:
                    job.failure = gone
            self._unwatch(tenant)
            tenant.device.close()
            self._dispatcher.drop(tenant)
            for buffer in list(tenant.buffers.values()):
                tenant.drop(buffer)
            del self._tenants[tenant.name]

    def tenants(self) -> tuple[Tenant, ...]:
        """All that are open, by the time of their opening."""
        with self._lock:
            return tuple(self._tenants.values())

    def set_weight(self, name: str, weight: float) -> None:
        """Give a tenant another weight."""
        with self.turn():
            self._dispatcher.tell(Weighted(time.monotonic_ns(), name, weight))
            self._tenants[name].weight = weight

    # Jobs

    def submit(self, tenant: Tenant, submission: Submission) -> Job:
        """See `Tenant.submit`."""
        try:
            return self._submit(tenant, submission)
        except AdmissionError:
            tenant.refused += 1
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
            request = BuildRequest(self.device, *kernel)
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
        self._dispatcher.ready(job)

    def _fit(self, job: Job, built: Built) -> None:
        tenant, given = self._tenants[job.tenant], job.submission
        job.kernel, job.module, job.group = built.kernel, built.module, built.group
        kernel = built.module.kernels[built.kernel]
        tenant.device.provide(built.module, built.kernel, built.group, built.text)
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
            if job.number in self._dispatcher.jobs:
                self._dispatcher.cancel(job)
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
        if tenant:
            tenant.ended += 1
            tenant.failed += state is JobState.FAILED
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
            if number in self._dispatcher.scheduler.known:
                return (head, *self._dispatcher.scheduler.why(number))
            reason = f"refused: {job.error}" if job.error else "its kernel is being built"
            return head, reason

    # What goes on

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
                tenant.device.worker_pid,
                tenant.restarts,
                tuple(dict.fromkeys(job.submission.label for job in jobs if job.submission.label)),
            )

    def stats(self) -> Stats:
        """The device, the classes and all tenants."""
        with self._lock:
            own = self._dispatcher
            switches = sorted(each / 1e3 for each in own.switches_ns) or [0.0]
            classes = [job.job_class for job in own.jobs.values()]
            return Stats(
                self._info.description,
                time.monotonic() - self._begun,
                own.busy_ns * 1e-9,
                own.slices,
                own.stops,
                statistics.median(switches),
                switches[min(int(0.99 * len(switches)), len(switches) - 1)],
                self.residency.bytes,
                self.residency.limit_bytes,
                self.residency.evictions,
                self.residency.restores,
                tuple(self.usage(tenant) for tenant in self._tenants.values()),
                tuple(ClassStats(name, own.scheduler.shares.of(name), classes.count(name)) for name in JobClass),
            )

    def limits(self) -> Mapping[str, int]:
        """What kernels, launches and tenants may have."""
        return {**(self._info.limits or {}), "tenants": MOST_TENANTS, "queue_jobs": MOST_QUEUE_JOBS}

    # The thread

    def _watch(self, tenant: Tenant) -> None:
        """Hear of the answer of a tenant's worker."""
        assert tenant.flight
        descriptor = tenant.flight.pending.fileno()
        if self._watched.get(descriptor) is not tenant:
            self._unwatch(tenant)
            self._watched[descriptor] = tenant
        # Each time: a worker that was replaced may have the number of the one before, which went with its descriptor.
        with contextlib.suppress(FileExistsError):
            self._poll.register(descriptor, select.EPOLLIN)
        self._wake_up()

    def _unwatch(self, tenant: Tenant) -> None:
        for descriptor in [each for each, other in self._watched.items() if other is tenant]:
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
                    elif tenant := self._watched.get(descriptor):
                        if tenant.flight is None:  # it died while it had nothing to do
                            self._unwatch(tenant)
                        else:
                            self._dispatcher.answered(tenant)
                self._dispatcher.check_times()
                self._builders.expire()

    def _timeout(self) -> float | None:
        with self._lock:
            moments = [self._builders.next_expiry]
            if (moment_ns := self._dispatcher.next_moment_ns) is not None:
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
