"""The service: a thread for each connection, whose tenant ends with it."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from pixel_cpu.backends.launch import Array
from qemu_bridge.errors import GlassBoxError, HostError, UsageError
from qemu_bridge.host.folders import runtime_folder, runtime_path

from ..advice import Advice, Bounds
from ..engine import BufferSlice, Hypervisor, Job, JobState, Origin, Submission, Submitter, Tenant
from ..errors import AdmissionError
from .messages import (
    VERSION,
    Adopt,
    AdviceReport,
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
    EventsReport,
    Free,
    JobReport,
    JobsReport,
    Lines,
    Move,
    Number,
    Open,
    Release,
    Reply,
    Request,
    SetWeight,
    SlicesReport,
    StatsReport,
    Submit,
    Suggest,
    Undo,
    Usage,
    UsageReport,
    Wait,
    Why,
)

MOST_CONNECTIONS = 512
MOST_REGIONS = 1024
"""Of one tenant."""
MOST_JOBS = 2000
"""Jobs and events of one answer: the newest ones."""
LONGEST_WAIT_S = 5.0
"""A wait is answered after so long; the client asks again."""
PRINTED_LINES = 10_000
"""Of a job that are told."""


def default_socket() -> Path:
    """Where the service of this user listens, unless it is told otherwise."""
    return runtime_path() / "gpu.sock"


class Server:
    """Serves a hypervisor at a path, until it is closed. Raises `HostError` where another service listens there, or nothing can."""

    def __init__(self, hypervisor: Hypervisor, path: Path | None = None, bounds: Bounds | None = None) -> None:
        """`bounds` say which suggestions are taken; none without."""
        self.advice = Advice(hypervisor, bounds)
        if path is None:
            runtime_folder()
        self.path = path or default_socket()
        self._hypervisor = hypervisor
        self._sessions: set[Session] = set()
        self._lock = threading.Lock()
        self._is_open = True
        self._socket = _listen(self.path)
        self._thread = threading.Thread(target=self._accept, name="gpu service", daemon=True)
        self._thread.start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def close(self) -> None:
        """End all connections and stop listening."""
        with self._lock:
            self._is_open = False
            sessions = list(self._sessions)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.path.unlink(missing_ok=True)
        for session in sessions:
            session.end()
        self._thread.join()
        for session in sessions:
            session.thread.join()

    def _accept(self) -> None:
        while True:
            try:
                own, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                if not self._is_open or len(self._sessions) >= MOST_CONNECTIONS:
                    own.close()
                    continue
                session = Session(self._hypervisor, self.advice, own, self._left)
                self._sessions.add(session)
                session.thread.start()

    def _left(self, session: Session) -> None:
        with self._lock:
            self._sessions.discard(session)


class Session:
    """One connection: who is there is known by it, and never by what a message says."""

    def __init__(self, hypervisor: Hypervisor, advice: Advice, own: socket.socket, left: Any) -> None:  # noqa: ANN401  # of the server
        self._hypervisor, self._connection, self._left = hypervisor, Connection(own, Request), left
        self._advice, self._submitter = advice, _other_end(own)
        self._origin = Origin(processes=(self._submitter,))
        self._tenant: Tenant | None = None
        self._regions: dict[int, Array] = {}
        self._numbers = 0
        self._jobs: dict[int, Job] = {}
        self.thread = threading.Thread(target=self._serve, name="gpu session", daemon=True)

    def end(self) -> None:
        """Have the thread end."""
        with contextlib.suppress(OSError):
            self._connection.socket.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        try:
            while True:
                try:
                    request, descriptors = self._connection.receive()
                except UsageError as error:
                    self._connection.send(ErrorReport.of(error))
                    continue
                try:
                    reply = self._answer(request, descriptors)
                except GlassBoxError as error:
                    reply = ErrorReport.of(error)
                finally:
                    for each in descriptors:
                        os.close(each)
                self._connection.send(reply)
        except (EOFError, OSError):
            pass
        finally:
            self._connection.close()
            self._regions.clear()
            self._origin.is_open = False
            if self._tenant:
                self._tenant.close()
            self._left(self)

    def _answer(self, request: Request, descriptors: list[int]) -> Reply:
        match request:
            case AskStats():
                return StatsReport(self._hypervisor.stats())
            case Why():
                return Lines(self._hypervisor.why(request.job))
            case SetWeight():
                self._hypervisor.set_weight(request.name, request.weight)
                return Number()
            case Move():
                self._hypervisor.move(request.tenant, request.device)
                return Number()
            case Drain():
                (self._hypervisor.resume if request.is_over else self._hypervisor.drain)(request.device)
                return Number()
            case AskJobs():
                rows = self._hypervisor.jobs()
                return JobsReport(tuple(row for row in rows if request.tenant in (None, row.tenant))[-MOST_JOBS:])
            case AskSlices():
                return SlicesReport(self._hypervisor.activity.slices(request.since_ns), time.monotonic_ns())
            case AskEvents():
                timeout = min(max(request.timeout_s, 0.0), LONGEST_WAIT_S)
                return EventsReport(self._hypervisor.activity.events(request.since, timeout)[-MOST_JOBS:])
            case Suggest():
                by = f"{self._submitter.name} ({self._submitter.pid})"
                return AdviceReport(self._advice.bounds, (self._advice.suggest(request.suggestion, by),))
            case Undo():
                return AdviceReport(self._advice.bounds, (self._advice.undo(request.number),))
            case AskAdvice():
                return AdviceReport(self._advice.bounds, self._advice.entries())
            case Open():
                return self._open(request)
        if self._tenant is None:
            raise UsageError("the connection is no tenant; open one first")
        return self._answer_tenant(self._tenant, request, descriptors)

    def _open(self, request: Open) -> Reply:
        if request.version != VERSION:
            raise UsageError(
                f"the service speaks version {VERSION} of its protocol, the client {request.version}; update"
            )
        if self._tenant:
            raise UsageError(f"the connection is tenant {self._tenant.name} already; open another connection")
        self._tenant = self._hypervisor.open_tenant(
            request.name,
            weight=request.weight,
            memory_bytes=request.memory_bytes,
            queue_jobs=request.queue_jobs,
            job_class=request.job_class,
        )
        return Number()

    def _answer_tenant(self, tenant: Tenant, request: Request, descriptors: list[int]) -> Reply:
        match request:
            case Adopt():
                return Number(self._adopt(tenant, request, descriptors))
            case Release():
                self._regions.pop(request.region, None)
            case Allocate():
                return Number(tenant.allocate(request.size_bytes))
            case Free():
                tenant.free(request.handle)
            case Copy():
                self._copy(tenant, request)
            case Submit():
                job = tenant.submit(self._submission(request))
                self._jobs[job.number] = job
                return Number(job.number)
            case Wait():
                return self._wait(request)
            case Cancel():
                return Number(int(self._job(request.job).cancel()))
            case Usage():
                return UsageReport(tenant.usage())
        return Number()

    def _adopt(self, tenant: Tenant, request: Adopt, descriptors: list[int]) -> int:
        if len(descriptors) != 1:
            raise AdmissionError(f"a region comes with its descriptor, not with {len(descriptors)}")
        if len(self._regions) >= MOST_REGIONS:
            raise AdmissionError(f"the tenant shares {MOST_REGIONS} regions, which is the most; release some")
        region = tenant.adopt(descriptors[0], request.size_bytes)
        self._numbers += 1
        self._regions[self._numbers] = region
        return self._numbers

    def _part(self, region: int, offset: int, size: int) -> Array:
        if region not in self._regions:
            raise AdmissionError(f"the tenant shares no region {region}")
        whole = self._regions[region]
        if not (0 <= offset and 0 <= size and offset + size <= len(whole)):
            raise AdmissionError(f"region {region} has {len(whole)} bytes, and none from {offset} on for {size}")
        return whole[offset : offset + size]

    def _copy(self, tenant: Tenant, request: Copy) -> None:
        part = self._part(request.region, request.region_offset, request.size_bytes)
        if request.to_buffer:
            tenant.write(request.handle, request.offset, part)
        else:
            part[:] = np.frombuffer(tenant.read(request.handle, request.offset, request.size_bytes), np.uint8)

    def _submission(self, request: Submit) -> Submission:
        arguments: dict[str, Any] = dict(request.scalars)
        for each in request.arrays:
            arguments[each.name] = self._argument(each)
        return Submission(
            request.text,
            request.language,
            request.kernel,
            request.lanes,
            request.blocks,
            request.threads,
            arguments,
            request.job_class,
            request.deadline_s,
            request.expected_s,
            request.seconds,
            request.fuel,
            request.label[:200],
            self._origin,
        )

    def _argument(self, place: ArrayPlace) -> Array | BufferSlice:
        if place.handle:
            return BufferSlice(place.handle, place.offset, None if place.size_bytes < 0 else place.size_bytes)
        try:
            dtype = np.dtype(place.dtype)
        except (TypeError, ValueError):
            dtype = np.dtype(object)
        if dtype.kind not in "biuf" or place.size_bytes % dtype.itemsize:
            raise AdmissionError(f"{place.name}: {place.size_bytes} bytes are no elements of {place.dtype!r}")
        return self._part(place.region, place.offset, place.size_bytes).view(dtype)

    def _job(self, number: int) -> Job:
        if number not in self._jobs:
            raise AdmissionError(f"the tenant has no job {number}, or has heard of its end")
        return self._jobs[number]

    def _wait(self, request: Wait) -> JobReport:
        job = self._job(request.job)
        with contextlib.suppress(TimeoutError):
            job.wait(min(max(request.timeout_s, 0.0), LONGEST_WAIT_S))
        has_ended = job.is_told
        if has_ended:
            del self._jobs[request.job]
        return JobReport(
            job.number,
            # Its end counts when its arrays are whole.
            job.state if has_ended or not job.state.has_ended else JobState.RUNNING,
            job.kernel,
            job.job_class,
            ErrorReport.of(job.error) if job.error and has_ended else None,
            tuple((line.lane, line.text) for line in job.printed[:PRINTED_LINES]) if has_ended else (),
            job.traps,
            job.device_seconds,
            job.queued_seconds,
            job.build_seconds,
            job.slices,
        )


_CREDENTIALS = struct.Struct("3i")
"""``struct ucred``: pid, uid, gid."""


def _other_end(own: socket.socket) -> Submitter:
    """The process that connected, as the kernel says."""
    pid = _CREDENTIALS.unpack(own.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[0]
    try:
        name = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        name = "?"
    return Submitter(pid, name)


def _listen(path: Path) -> socket.socket:
    own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            if _is_heard(path):
                raise HostError(f"a service listens at {path} already; give --socket another path")
            path.unlink(missing_ok=True)
        before = os.umask(0o177)  # only this user may open it, from the first moment on
        try:
            own.bind(os.fspath(path))
        finally:
            os.umask(before)
        own.listen(64)
    except OSError as error:
        own.close()
        raise HostError(f"cannot listen at {path} ({error.strerror or error}); give --socket another path") from None
    except BaseException:
        own.close()
        raise
    return own


def _is_heard(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        return trial.connect_ex(os.fspath(path)) == 0
