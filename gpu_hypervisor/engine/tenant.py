"""A tenant: what it holds and what it may do."""

from __future__ import annotations

import fcntl
import itertools
import os
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np

from pixel_cpu.backends.launch import Array
from pixel_cpu.errors import LimitError
from pixel_cpu.runtime import Device

from ..errors import AdmissionError, BusyHandleError, HandleError, TenantGoneError
from ..memory import Buffer, Residency, TenantLedger
from ..scheduler import JobClass
from .flight import Flight
from .job import Job
from .seat import take_seat
from .stats import TenantUsage
from .submission import Submission

QUEUE_TIMES = 512
"""Queue times of a tenant's last jobs that percentiles are of."""


class Owner(Protocol):
    """The hypervisor, as its tenants see it."""

    residency: Residency

    def turn(self) -> AbstractContextManager[None]:
        """Hold its lock."""
        ...

    def submit(self, tenant: Tenant, submission: Submission) -> Job:
        """See `Tenant.submit`."""
        ...

    def usage(self, tenant: Tenant) -> TenantUsage:
        """See `Tenant.usage`."""
        ...

    def close_tenant(self, tenant: Tenant) -> None:
        """See `Tenant.close`."""
        ...


class Tenant:
    """A guest, a program or a person that submits jobs. Made by `Hypervisor.open_tenant`; all methods are for any thread."""

    def __init__(
        self,
        hypervisor: Owner,
        name: str,
        weight: float,
        memory_bytes: int,
        queue_jobs: int,
        job_class: JobClass | None,
        devices: Mapping[str, Device],
    ) -> None:
        self.name, self.weight, self.queue_jobs, self.job_class = name, weight, queue_jobs, job_class
        self.ledger = TenantLedger(memory_bytes)
        self.device = next(iter(devices.values()))
        """Makes its arrays, which all devices see."""
        self.is_open = True
        # What the engine keeps of it.
        self.buffers: dict[int, Buffer] = {}
        self.jobs: dict[int, Job] = {}
        self.seats = {name: take_seat(name, device) for name, device in devices.items()}
        """Its places, by the names of the hypervisor's devices."""
        self.pinned: str | None = None
        """The device that all its jobs run on; None: wherever they are done soonest."""
        self.target: str | None = None
        """The device that its jobs go on with, as long as it has any."""
        self.held: dict[int, Job] = {}
        """Jobs that were moved and wait for those before them."""
        self.used_ns = self.ended = self.failed = self.refused = self.restarts = 0
        self.queue_ns: deque[int] = deque(maxlen=QUEUE_TIMES)
        self._handles = itertools.count(1)
        self._hypervisor = hypervisor

    @property
    def flight(self) -> Flight | None:
        """What one of its workers was asked and has not answered."""
        return next((seat.flight for seat in self.seats.values() if seat.flight), None)

    def __enter__(self) -> Tenant:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def check_open(self) -> None:
        """Raise `TenantGoneError` where it was closed."""
        if not self.is_open:
            raise TenantGoneError(f"tenant {self.name} was closed; open it anew")

    # Memory

    def adopt(self, descriptor: int, size_bytes: int, *, is_trusted: bool = False) -> Array:
        """The bytes of a file of shared memory, which kernels see in place; they do not count against the quota.

        Raises `AdmissionError` for a file that could be cut under the kernels' feet (no seal F_SEAL_SHRINK), unless it `is_trusted`.
        """
        self.check_open()
        if not is_trusted:
            try:
                seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
            except OSError:
                seals = 0
            if not seals & fcntl.F_SEAL_SHRINK:
                raise AdmissionError("the memory could be cut while kernels use it; seal it with F_SEAL_SHRINK")
        if not 0 < size_bytes <= os.fstat(descriptor).st_size:
            raise AdmissionError(f"the memory has {os.fstat(descriptor).st_size} bytes, not {size_bytes}")
        try:
            return self.device.adopt(descriptor, size_bytes)
        except LimitError as error:
            raise AdmissionError(str(error)) from None

    def allocate(self, size_bytes: int) -> int:
        """A handle of so many bytes of zeroed device memory. `QuotaError` says what is left."""
        if size_bytes < 1:
            raise AdmissionError(f"a buffer has 1 byte or more, not {size_bytes}")
        with self._hypervisor.turn():
            self.check_open()
            self.ledger.take(size_bytes)
            try:
                self._hypervisor.residency.make_room(size_bytes)
                buffer = Buffer(next(self._handles), size_bytes, self.device)
            except BaseException:
                self.ledger.give_back(size_bytes)
                raise
            self._hypervisor.residency.add(buffer)
            self.buffers[buffer.handle] = buffer
            return buffer.handle

    def free(self, handle: int) -> None:
        """Give a buffer back. `HandleError` where it is not the tenant's (any more), `BusyHandleError` while a job uses it."""
        with self._hypervisor.turn():
            buffer = self.find(handle)
            if buffer.pins:
                raise BusyHandleError(f"{buffer.pins} jobs use buffer {handle}; wait for them, or cancel them")
            self.drop(buffer)

    def drop(self, buffer: Buffer) -> None:
        """Forget a buffer."""
        del self.buffers[buffer.handle]
        self._hypervisor.residency.remove(buffer)
        self.ledger.give_back(buffer.size)

    def find(self, handle: int) -> Buffer:
        """The buffer of a handle; `HandleError` where there is none."""
        if handle not in self.buffers:
            raise HandleError(f"tenant {self.name} has no buffer {handle}; it was freed, or never was")
        return self.buffers[handle]

    def write(self, handle: int, offset: int, data: bytes | memoryview | Array) -> None:
        """Copy bytes into a buffer. `AdmissionError` where they do not fit."""
        given = np.frombuffer(np.ascontiguousarray(data) if isinstance(data, np.ndarray) else data, np.uint8)
        with self._hypervisor.turn():
            self._part(handle, offset, len(given))[:] = given

    def read(self, handle: int, offset: int = 0, size: int | None = None) -> bytes:
        """Bytes of a buffer. `AdmissionError` where it has no such part."""
        with self._hypervisor.turn():
            return self._part(handle, offset, self.find(handle).size - offset if size is None else size).tobytes()

    def _part(self, handle: int, offset: int, size: int) -> Array:
        self.check_open()
        buffer = self.find(handle)
        if not (0 <= offset and 0 <= size and offset + size <= buffer.size):
            raise AdmissionError(f"buffer {handle} has {buffer.size} bytes, and none from {offset} on for {size}")
        self._hypervisor.residency.use(buffer)
        assert buffer.array is not None
        return buffer.array[offset : offset + size]

    # Jobs

    def submit(self, submission: Submission) -> Job:
        """Submit a launch; it does not wait for anything.

        Raises `AdmissionError` for what is seen to be wrong at once, `QuotaError` where the queue or the memory is full. What is wrong with the text
        is the job's `error`.
        """
        return self._hypervisor.submit(self, submission)

    def usage(self) -> TenantUsage:
        """What it has, had and was refused."""
        return self._hypervisor.usage(self)

    def close(self) -> None:
        """End its jobs, free its memory, end its worker. Again: nothing."""
        self._hypervisor.close_tenant(self)
