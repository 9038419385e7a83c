"""The client of the service; its tenants have the methods of those in the hypervisor's own process."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pixel_cpu.backends.launch import Array, address_of
from qemu_bridge.errors import GlassBoxError, HostError

from ..advice import AdviceEntry, Bounds, Suggestion
from ..engine import BufferSlice, GpuEvent, JobRow, JobState, SliceRow, Stats, Submission, TenantUsage
from ..errors import TenantGoneError
from ..scheduler import JobClass
from .messages import (
    Adopt,
    Allocate,
    ArrayPlace,
    AskAdvice,
    AskEvents,
    AskJobs,
    AskSlices,
    AskStats,
    Cancel,
    Connection,
    Copy,
    Drain,
    ErrorReport,
    Free,
    JobReport,
    Move,
    Open,
    Release,
    Reply,
    Request,
    SetWeight,
    Submit,
    Suggest,
    Undo,
    Usage,
    Wait,
    Why,
)
from .server import LONGEST_WAIT_S, default_socket

_ALIGNMENT = 64


class _Asking:
    """A connection, one request at a time."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or default_socket()
        own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            own.connect(os.fspath(self._path))
        except OSError as error:
            own.close()
            reason = error.strerror or str(error)
            raise HostError(f"no GPU service at {self._path} ({reason}); start one with 'glassbox gpu serve'") from None
        self._connection = Connection(own, Reply)
        self._lock = threading.Lock()

    def ask(self, request: Request, *descriptors: int) -> Any:  # noqa: ANN401  # the reply to this request
        with self._lock:
            try:
                self._connection.send(request, *descriptors)
                reply, _ = self._connection.receive()
            except (OSError, EOFError):
                raise TenantGoneError(f"the GPU service at {self._path} ended") from None
        if isinstance(reply, ErrorReport):
            raise reply.error
        return reply

    def close(self) -> None:
        """Leave the service: a tenant's jobs and buffers end with it."""
        self._connection.close()


class Client(_Asking):
    """Asks the service at a path what goes on. Raises `HostError` where there is none."""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def open_tenant(
        self,
        name: str,
        *,
        weight: float = 1.0,
        memory_bytes: int = 256 << 20,
        queue_jobs: int = 64,
        job_class: JobClass | None = None,
    ) -> RemoteTenant:
        """A tenant on a connection of its own; see `Hypervisor.open_tenant`."""
        return RemoteTenant(self._path, Open(name, weight, memory_bytes, queue_jobs, job_class))

    def stats(self) -> Stats:
        """The device, the classes and all tenants."""
        found: Stats = self.ask(AskStats()).stats
        return found

    def why(self, number: int) -> tuple[str, ...]:
        """What was decided about a job, and why."""
        lines: tuple[str, ...] = self.ask(Why(number)).lines
        return lines

    def jobs(self, tenant: str | None = None) -> tuple[JobRow, ...]:
        """Jobs that have not ended, and the last ones that did, by number; of one tenant, or of all."""
        found: tuple[JobRow, ...] = self.ask(AskJobs(tenant)).jobs
        return found

    def slices(self, since_ns: int = 0) -> tuple[tuple[SliceRow, ...], int]:
        """Slices that ended after a moment of the monotonic clock, and the moment of the answer."""
        found = self.ask(AskSlices(since_ns))
        return found.slices, found.now_ns

    def events(self, since: int = 0, timeout_s: float = 0.0) -> tuple[GpuEvent, ...]:
        """Events with a number above `since`; where there are none, those that come within `timeout_s`, 5 s at most. -1: from now on."""
        found: tuple[GpuEvent, ...] = self.ask(AskEvents(since, timeout_s)).events
        return found

    def suggest(self, suggestion: Suggestion) -> AdviceEntry:
        """See `Advice.suggest`."""
        found: AdviceEntry = self.ask(Suggest(suggestion)).entries[0]
        return found

    def undo(self, number: int) -> AdviceEntry:
        """See `Advice.undo`."""
        found: AdviceEntry = self.ask(Undo(number)).entries[0]
        return found

    def advice(self) -> tuple[Bounds, tuple[AdviceEntry, ...]]:
        """What may be suggested, and what was, oldest first."""
        found = self.ask(AskAdvice())
        return found.bounds, found.entries

    def set_weight(self, name: str, weight: float) -> None:
        """Give a tenant another weight."""
        self.ask(SetWeight(name, weight))

    def move(self, tenant: str, device: str | None) -> None:
        """See `Hypervisor.move`."""
        self.ask(Move(tenant, device))

    def drain(self, device: str) -> None:
        """See `Hypervisor.drain`."""
        self.ask(Drain(device))

    def resume(self, device: str) -> None:
        """See `Hypervisor.resume`."""
        self.ask(Drain(device, is_over=True))


class RemoteTenant(_Asking):
    """A tenant of the service. Arrays of `region` are shared with it; others are copied into such ones, and back when a job is waited for."""

    def __init__(self, path: Path, request: Open) -> None:
        super().__init__(path)
        self.name = request.name
        self._regions: dict[int, Array] = {}
        try:
            self.ask(request)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RemoteTenant:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def region(self, size_bytes: int) -> Array:
        """Bytes that kernels see in place; `release` gives them back."""
        descriptor = os.memfd_create("gpu", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, size_bytes)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
            found = np.frombuffer(mmap.mmap(descriptor, size_bytes), np.uint8)
            self._regions[self.ask(Adopt(size_bytes), descriptor).value] = found
        finally:
            os.close(descriptor)
        return found

    def release(self, region: Array) -> None:
        """A region is not needed any more."""
        number, _ = self._find(region) or (0, 0)
        if number:
            self.ask(Release(number))
            del self._regions[number]

    def allocate(self, size_bytes: int) -> int:
        """See `Tenant.allocate`."""
        return int(self.ask(Allocate(size_bytes)).value)

    def free(self, handle: int) -> None:
        """See `Tenant.free`."""
        self.ask(Free(handle))

    def write(self, handle: int, offset: int, data: bytes | memoryview | Array) -> None:
        """See `Tenant.write`."""
        given = np.frombuffer(np.ascontiguousarray(data) if isinstance(data, np.ndarray) else data, np.uint8)
        if len(given):
            with self._staged(len(given)) as (number, region):
                region[:] = given
                self.ask(Copy(handle, offset, number, 0, len(given), True))

    def read(self, handle: int, offset: int, size: int) -> bytes:
        """See `Tenant.read`."""
        with self._staged(max(size, 1)) as (number, region):
            self.ask(Copy(handle, offset, number, 0, size, False))
            found: bytes = region[:size].tobytes()
        return found

    def submit(self, submission: Submission) -> RemoteJob:
        """See `Tenant.submit`."""
        submission.check()
        scalars: dict[str, Any] = {}
        places: list[ArrayPlace] = []
        copied: dict[str, Array] = {}
        for name, value in submission.arguments.items():
            if isinstance(value, BufferSlice):
                size = -1 if value.size_bytes is None else value.size_bytes
                places.append(ArrayPlace(name, value.handle, 0, value.offset, size, ""))
            elif not isinstance(value, np.ndarray):
                scalars[name] = value.item() if isinstance(value, np.generic) else value
            elif found := self._find(value):
                places.append(ArrayPlace(name, 0, *found, value.nbytes, value.dtype.str))
            else:
                copied[name] = value
        staged = self._stage(copied, places)
        own = submission
        grid = (own.text, own.language, own.kernel, own.lanes, own.blocks, own.threads)
        wanted = (own.job_class, own.deadline_s, own.expected_s, own.seconds, own.fuel, own.label)
        try:
            number = self.ask(Submit(*grid, scalars, tuple(places), *wanted)).value
        except GlassBoxError:
            if staged is not None:
                self.release(staged[0])
            raise
        return RemoteJob(self, number, staged)

    def usage(self) -> TenantUsage:
        """See `Tenant.usage`."""
        found: TenantUsage = self.ask(Usage()).usage
        return found

    def _find(self, array: Array) -> tuple[int, int] | None:
        """The region that an array lies in, and its first byte there."""
        at = address_of(array)
        for number, region in self._regions.items():
            offset = at - address_of(region)
            if 0 <= offset and offset + array.nbytes <= len(region):
                return number, offset
        return None

    def _stage(self, copied: Mapping[str, Array], places: list[ArrayPlace]) -> Staged | None:
        """Arrays from elsewhere in a region of their own."""
        if not copied:
            return None
        offsets, end = {}, 0
        for name, array in copied.items():
            offsets[name] = end
            end += -(-max(array.nbytes, 1) // _ALIGNMENT) * _ALIGNMENT
        region = self.region(end)
        number, _ = self._find(region) or (0, 0)
        pairs = []
        for name, array in copied.items():
            part = region[offsets[name] : offsets[name] + array.nbytes].view(array.dtype)
            part[:] = array
            pairs.append((array, part))
            places.append(ArrayPlace(name, 0, number, offsets[name], array.nbytes, array.dtype.str))
        return region, pairs

    @contextlib.contextmanager
    def _staged(self, size: int) -> Any:  # noqa: ANN401  # an iterator of a region
        region = self.region(size)
        try:
            yield (self._find(region) or (0, 0))[0], region
        finally:
            self.release(region)


Staged = tuple[Array, list[tuple[Array, Array]]]
"""A region, and pairs of arrays from elsewhere and of their copies in it."""


class RemoteJob:
    """A job of the service. What it is now is known from `wait`, whose arrays are whole when it has ended."""

    def __init__(self, tenant: RemoteTenant, number: int, staged: Staged | None) -> None:
        self.number = number
        self._tenant, self._staged = tenant, staged
        self.report: JobReport | None = None
        """What was told last; None before the first `wait`."""

    @property
    def state(self) -> JobState:
        """Its state, as it was told last."""
        return self.report.state if self.report else JobState.QUEUED_BUILD

    @property
    def error(self) -> GlassBoxError | None:
        """Why it failed."""
        return self.report.error.error if self.report and self.report.error else None

    def wait(self, timeout_s: float | None = None) -> JobState:
        """See `Job.wait`."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.state.has_ended:
            left = LONGEST_WAIT_S if until is None else max(until - time.monotonic(), 0)
            self.report = self._tenant.ask(Wait(self.number, left))
            if not self.state.has_ended and until is not None and time.monotonic() >= until:
                raise TimeoutError(f"job {self.number} has not ended within {timeout_s:g} s")
        if self._staged:
            region, pairs = self._staged
            self._staged = None
            for array, copy in pairs if self.state is JobState.DONE else ():
                array[:] = copy
            self._tenant.release(region)
        return self.state

    def result(self, timeout_s: float | None = None) -> RemoteJob:
        """See `Job.result`."""
        self.wait(timeout_s)
        if error := self.error:
            raise error
        return self

    def cancel(self) -> bool:
        """See `Job.cancel`."""
        return not self.state.has_ended and bool(self._tenant.ask(Cancel(self.number)).value)
