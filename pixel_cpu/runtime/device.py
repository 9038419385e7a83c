"""Devices: what runs kernels, in a process of its own that a limit can end, or in this one.

>>> with Device("cpu") as device:
...     x = device.zeros(1 << 20, "f4")
...     kernel.launch(1 << 20, device=device, a=2.0, x=x, y=y)
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any

import msgspec
import numpy as np

from .. import errors
from ..backends.launch import Array, Executable, Launch, Outcome
from ..errors import DeviceError, LaunchError, LimitError
from ..ir.model import Module
from ..ir.text import write
from ..passes.bounds import prove_bounds
from .backends import MODULES, compile_kernel, describe, limits, load_prepared, prepare
from .buffers import BufferPool, Ledger, SharedBuffer
from .events import ANNOUNCER
from .messages import Channel, CompileKernel, Done, Failed, Operand, Reply, Request, RunKernel
from .touched import PAGE_BYTES

DEFAULT_MEMORY_BYTES = 4 << 30
"""What the buffers of a device may hold together, unless it is opened with another limit."""
DEFAULT_SECONDS = 60.0
"""What a launch may take, unless it is given another limit."""
_MOST_SECONDS = 2_000_000.0
"""A longer time is no limit: `poll` counts milliseconds in 31 bits."""
_LEAST_DATA_BYTES = 256 << 20
"""What a worker may allocate however little its buffers may hold: it loads kernels and drivers."""
START_SECONDS = 30.0
"""What the start of a worker, or making a kernel ready, may take on a busy host."""


_OUTCOME = msgspec.msgpack.Decoder(Outcome)
_NOTHING = bytes(Done().outcome)


class Device:
    """Runs kernels on one back end: ``cpu``, ``wgpu``, ``numba`` or ``reference``.

    With `isolated`, the default, kernels run in a worker process: a crash, an endless loop or an allocation that is too large ends
    that launch with an error, and the next launch gets a new worker. Arrays from `zeros` and `array` are shared with it; others are
    copied there and back. Without it kernels run in this process: nothing is copied, `host_functions` work, and a launch cannot be
    ended by time, only by its fuel.

    `memory` limits the bytes of all buffers together, `cpus` are the processors that the worker may use. Without `events`
    its launches are told to nobody. A device `beside` another one sees the same arrays in place, and shares its limit of memory.
    Threads may share a device; its launches follow one another.
    """

    def __init__(
        self,
        backend: str = "cpu",
        *,
        isolated: bool = True,
        memory: int = DEFAULT_MEMORY_BYTES,
        cpus: tuple[int, ...] = (),
        events: bool = True,
        beside: Device | None = None,
        **options: str | int | bool | None,
    ) -> None:
        if backend not in MODULES:
            raise DeviceError(f"there is no device {backend!r}; devices are {', '.join(MODULES)}")
        if missing := set(cpus) - os.sched_getaffinity(0):
            here = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
            raise DeviceError(f"there is no processor {min(missing)} for the device; this process may use {here}")
        self.backend, self.is_isolated = backend, isolated
        self.ledger: Ledger = beside.ledger if beside else Ledger(memory)
        self._options, self._has_events = options, events
        self._cpus = cpus
        self._worker: _WorkerProcess | None = None
        self._lock = threading.RLock()
        self._pool: BufferPool = beside._pool if beside else BufferPool(self.ledger, self._forget)
        if beside:
            self._pool.tell(self._forget)
        # By module, then by kernel and group: what is proved in bounds holds for launches of one size of group.
        self._proved: weakref.WeakKeyDictionary[Module, dict[tuple[str, int], _Proved]] = weakref.WeakKeyDictionary()

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker, after the launch that is under way. Arrays stay; the next launch starts a worker again."""
        with self._lock:
            if self._worker:
                self._worker.end()
                self._worker = None

    def zeros(self, count: int, dtype: np.typing.DTypeLike) -> Array:
        """A zeroed one-dimensional array of `count` elements that the device sees in place; `LimitError` where memory is used up."""
        return self._pool.new(np.dtype(dtype), count)

    def array(self, values: np.typing.ArrayLike) -> Array:
        """A copy of `values` that the device sees in place, one-dimensional."""
        given = np.asarray(values).ravel()
        found = self.zeros(len(given), given.dtype)
        found[:] = given
        return found

    def clear(self, array: Array, rows: int) -> bool:
        """Zero an array from `zeros`, of `rows` rows that were written in the same places; False where a new one is cheaper."""
        place = self._pool.find(array)
        row_bytes = array.nbytes // rows
        if place is None or row_bytes % PAGE_BYTES or place[1] % PAGE_BYTES:
            array[:] = 0
            return True
        return place[0].touched.clear(array.view(np.uint8).reshape(rows, row_bytes), place[0].descriptor, place[1])

    def is_shared(self, array: Array) -> bool:
        """Whether the device sees an array in place, as it lies in memory that the device made or adopted."""
        return self._pool.find(array) is not None

    def kill(self) -> None:
        """End the worker at once, whatever it does; who waits for its answer gets `DeviceError`."""
        worker = self._worker
        if worker:
            worker.kill()

    def adopt(self, descriptor: int, size: int) -> Array:
        """The bytes of a file of shared memory that somebody else made, which the device sees in place: see `BufferPool.adopt`."""
        return self._pool.adopt(descriptor, size)

    def provide(self, module: Module, kernel: str, group: int, text: str) -> None:
        """Launches of a kernel in groups of `group` lanes run `text`: its module as another process proved it. `module` may lack bodies."""
        with self._lock:
            proved = self._proved.setdefault(module, {})[kernel, group] = _Proved(module)
            proved.text = text

    def start(self) -> int:
        """Start the worker, if there is none; its process number."""
        with self._lock:
            return self._running_worker().process.pid

    def begin_prepare(self, module: Module, kernel: str, group: int) -> Pending | None:
        """As `prepare`, without waiting: what is to be finished, or None where the kernel is ready. Isolated devices only."""
        with self._lock:
            worker, number, request = self._unready(module, kernel, group)
            if request is None:
                return None
            pending = self._begin(worker, request, f"compiling {kernel}")
            pending.then(lambda reply: worker.kernels.update({number: request.number}))
            return pending

    def begin(self, module: Module, kernel: str, launch: Launch) -> Pending:
        """As `run` of a kernel that is ready and arrays that the device sees in place, without waiting. Isolated devices only."""
        with self._lock:
            worker = self._running_worker()
            number = self._ready(worker, module, kernel, launch.group)
            request, fresh = self._request(worker, module, kernel, launch, number, stage=None)
            pending = self._begin(worker, request, f"kernel {kernel}", [each.descriptor for each in fresh.values()])
            worker.mapped.update(fresh)
            return pending

    def _begin(self, worker: _WorkerProcess, request: Request, what: str, descriptors: Sequence[int] = ()) -> Pending:
        try:
            worker.channel.send(request, descriptors)
        except OSError:
            pass  # it died, which `Pending.finish` says
        return Pending(self, worker, what)

    @property
    def options(self) -> Mapping[str, str | int | bool | None]:
        """The back end's options, as the device was opened."""
        return self._options

    @cached_property
    def description(self) -> str:
        """What stands behind the device on this host, in words."""
        return f"{self.backend}: {describe(self.backend)}"

    @property
    def worker_pid(self) -> int | None:
        """Process number of the worker; None where there is none now."""
        return self._worker.process.pid if self._worker else None

    def prepare(self, module: Module, kernel: str, group: int) -> None:
        """Make a kernel of a verified module ready for launches of groups of `group` lanes: compile it, or load it from a cache."""
        with self._lock:
            if not self.is_isolated:
                self._executable(module, kernel, group)
            else:
                self._ready(self._running_worker(), module, kernel, group)

    def run(self, module: Module, kernel: str, launch: Launch, seconds: float = DEFAULT_SECONDS) -> Outcome:
        """Run a launch that `launch.check` accepted; buffers are changed in place.

        Raises `LimitError` when it takes more than `seconds` (buffers then hold anything), `DeviceError` when its process crashed.
        """
        if not seconds >= 0:
            raise LaunchError(f"the time of a launch is 0 seconds or more, not {seconds:g}")
        if not self._has_events or not ANNOUNCER.is_heard():
            return self._run(module, kernel, launch, seconds)
        return ANNOUNCER.announce(
            module, kernel, launch, self.backend, self._place_of, lambda: self._run(module, kernel, launch, seconds)
        )

    def _run(self, module: Module, kernel: str, launch: Launch, seconds: float) -> Outcome:
        with self._lock:
            if not self.is_isolated:
                return self._run_here(module, kernel, launch)
            if launch.host_functions:
                raise LaunchError("host functions run in this process: open the device with isolated=False")
            return self._run_isolated(module, kernel, launch, seconds)

    def _run_here(self, module: Module, kernel: str, launch: Launch) -> Outcome:
        executable = self._executable(module, kernel, launch.group)
        began = time.perf_counter()
        outcome = executable.run(launch)
        outcome.seconds = time.perf_counter() - began - outcome.build_seconds
        return outcome

    def _prove(self, module: Module, kernel: str, group: int) -> _Proved:
        kernels = self._proved.setdefault(module, {})
        if (kernel, group) not in kernels:
            prepared = prepare(self.backend, module, kernel, **self._options)
            kernels[kernel, group] = (
                _Proved(module, prepared) if prepared else _Proved(prove_bounds(module, kernel, group=group)[0])
            )
        return kernels[kernel, group]

    def _executable(self, module: Module, kernel: str, group: int) -> Executable:
        proved = self._prove(module, kernel, group)
        if proved.executable is None:
            proved.executable = (
                load_prepared(self.backend, proved.prepared)
                if proved.prepared
                else compile_kernel(self.backend, proved.module, kernel, **self._options)
            )
        return proved.executable

    def _run_isolated(self, module: Module, kernel: str, launch: Launch, seconds: float) -> Outcome:
        worker = self._running_worker()
        number = self._ready(worker, module, kernel, launch.group)
        staged: list[tuple[Array, Array, bool]] = []
        request, fresh = self._request(worker, module, kernel, launch, number, staged)
        began = time.perf_counter()
        descriptors = [buffer.descriptor for buffer in fresh.values()]
        reply = self._ask(worker, request, seconds, f"kernel {kernel}", descriptors)
        worker.mapped.update(fresh)
        outcome = _OUTCOME.decode(reply.outcome)
        outcome.seconds = time.perf_counter() - began - outcome.build_seconds
        for given, copy, is_written in staged:
            if is_written:
                given[:] = copy
        return outcome

    def _request(
        self,
        worker: _WorkerProcess,
        module: Module,
        kernel: str,
        launch: Launch,
        number: int,
        stage: list[tuple[Array, Array, bool]] | None,
    ) -> tuple[RunKernel, dict[int, SharedBuffer]]:
        """A launch as the worker is asked for it, and the buffers that it has not mapped.

        Arrays from elsewhere are copied, and put on `stage` with their copies and whether those are written; `LaunchError` where that is None.
        """
        operands: dict[str, Operand] = {}
        fresh: dict[int, SharedBuffer] = {}

        def operand(given: Array, is_written: bool) -> Operand:
            place = self._pool.find(given)
            if place is None:
                if stage is None:
                    raise LaunchError("an array is not in the device's memory")
                copy = self.array(given)
                stage.append((given, copy, is_written))  # until the launch is done; without it the buffer would go
                place = self._pool.find(copy)
            assert place is not None
            buffer, offset = place
            if buffer.number not in worker.mapped:
                fresh[buffer.number] = buffer
            return Operand(buffer.number, offset, given.dtype.str, len(given))

        for memory in module.kernels[kernel].buffers:
            operands[memory.name] = operand(launch.buffers[memory.name], memory.is_writable)
        part = launch.part
        stop = operand(part.stop, False) if part and part.stop is not None else None
        request = RunKernel(
            number,
            launch.lanes,
            launch.group,
            dict(launch.scalars),
            operands,
            launch.fuel,
            launch.printed_lines,
            worker.take_gone(),
            {number: buffer.size for number, buffer in fresh.items()},
            launch.wants_traps,
            (part.first, part.last, part.budget_ns) if part else None,
            stop,
        )
        return request, fresh

    def _place_of(self, array: Array) -> str:
        if self.backend == "wgpu":
            return "copied"
        if not self.is_isolated:
            return "in place"
        return "copied" if self._pool.find(array) is None else "shared"

    def _running_worker(self) -> _WorkerProcess:
        if self._worker is None or self._worker.process.poll() is not None:
            self.close()
            self._worker = _WorkerProcess(self.ledger.limit_bytes, self._cpus)
        return self._worker

    def _unready(
        self, module: Module, kernel: str, group: int
    ) -> tuple[_WorkerProcess, tuple[str | bytes, str], CompileKernel | None]:
        """The worker, the key of a kernel there, and what is asked of it where the kernel is not ready."""
        worker = self._running_worker()
        proved = self._prove(module, kernel, group)
        key = (proved.prepared or proved.text, kernel)
        if key in worker.kernels:
            return worker, key, None
        number = len(worker.kernels) + 1
        text = "" if proved.prepared else proved.text
        return worker, key, CompileKernel(number, self.backend, text, kernel, dict(self._options), proved.prepared)

    def _ready(self, worker: _WorkerProcess, module: Module, kernel: str, group: int) -> int:
        _, key, request = self._unready(module, kernel, group)
        if request:
            self._ask(worker, request, START_SECONDS, f"compiling {kernel}")
            worker.kernels[key] = request.number
        return worker.kernels[key]

    def _ask(
        self, worker: _WorkerProcess, request: Request, seconds: float, what: str, descriptors: Sequence[int] = ()
    ) -> Any:  # noqa: ANN401  # Done
        try:
            reply = worker.ask(request, seconds, descriptors)
        except TimeoutError:
            self.close()
            raise LimitError(f"{what}: not done within {seconds:g} s, and ended; give it more with seconds=") from None
        except (OSError, EOFError):
            raise self._death(worker, what) from None
        except (
            BaseException
        ):  # Ctrl-C: the worker is in the middle of something, and its next reply would be the old one
            self.close()
            raise
        return _checked(reply)

    def _death(self, worker: _WorkerProcess, what: str) -> DeviceError:
        """Why a worker that does not answer any more ended."""
        status = worker.process.wait()
        self.close()
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        return DeviceError(f"{what}: the device's process died ({how}); the next launch gets a new one")

    def _forget(self, number: int) -> None:
        if self._worker:
            self._worker.forgotten.append(number)


def _checked(reply: Reply) -> Any:  # noqa: ANN401  # Done
    """A reply, or the error that it tells."""
    if isinstance(reply, Failed):
        kind = getattr(errors, reply.kind, DeviceError)
        raise (kind if issubclass(kind, errors.GlassBoxError) else DeviceError)(reply.message)
    return reply


class Pending:
    """What a worker was asked and has not answered yet; it is asked nothing else before. `select` says when `fileno` has the answer."""

    def __init__(self, device: Device, worker: _WorkerProcess, what: str) -> None:
        self._device, self._worker, self._what = device, worker, what
        self._then: Callable[[Any], object] = lambda reply: None
        self.began_ns = self.ended_ns = 0
        """When the launch ran, in nanoseconds of the monotonic clock, once it is finished."""
        self.pid = worker.process.pid

    def then(self, action: Callable[[Any], object]) -> None:
        """Do something with the reply before `finish` gives it."""
        self._then = action

    def fileno(self) -> int:
        """The descriptor that can be read when the answer is there, or the worker has died."""
        return self._worker.channel.connection.fileno()

    def finish(self) -> Outcome | None:
        """Wait for the answer: the outcome of a launch, None of anything else. Raises what `Device.run` does."""
        try:
            reply = self._worker.channel.receive_reply()
        except (OSError, EOFError):
            raise self._device._death(self._worker, self._what) from None
        done = _checked(reply)
        self._then(done)
        self.began_ns, self.ended_ns = done.began_ns, done.ended_ns
        return None if bytes(done.outcome) == _NOTHING else _OUTCOME.decode(done.outcome)


class _Proved:
    """A module with one kernel, whose accesses are marked where they are proved in bounds; or what a back end `prepared` instead."""

    def __init__(self, module: Module, prepared: bytes = b"") -> None:
        self.module, self.prepared = module, prepared
        self.executable: Executable | None = None

    @cached_property
    def text(self) -> str:
        """Its text, which a worker reads."""
        return write(self.module)


class _WorkerProcess:
    """A worker that runs, and what it knows: mapped buffers and kernels by number."""

    def __init__(self, memory_bytes: int, cpus: tuple[int, ...]) -> None:
        ours, theirs = socket.socketpair()
        words = [
            str(theirs.fileno()),
            str(os.getpid()),
            str(max(2 * memory_bytes, _LEAST_DATA_BYTES)),
            ",".join(map(str, cpus)),
        ]
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pixel_cpu.runtime.worker", *words],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # A terminal's Ctrl-C is its parent's to handle.
                start_new_session=True,
            )
        finally:
            theirs.close()
        self.channel = Channel(ours)
        self.kernels: dict[tuple[str | bytes, str], int] = {}
        self.mapped: set[int] = set()
        self.forgotten: list[int] = []
        """Buffers that are gone here, and may be mapped there."""
        self._ready = select.poll()
        self._ready.register(ours, select.POLLIN)

    def ask(self, request: Request, seconds: float, descriptors: Sequence[int] = ()) -> Reply:
        """Send a request and wait for its reply; `TimeoutError`, or `EOFError` and `OSError` when the worker died."""
        self.channel.send(request, descriptors)
        if not self._ready.poll(seconds * 1000 if seconds < _MOST_SECONDS else None):
            raise TimeoutError
        return self.channel.receive_reply()

    def take_gone(self) -> list[int]:
        """Buffers that are gone since it was asked last, of those that it has."""
        found = []
        # A buffer may be collected while this runs.
        while self.forgotten:
            number = self.forgotten.pop()
            if number in self.mapped:
                self.mapped.discard(number)
                found.append(number)
        return found

    def end(self) -> None:
        """End the process and wait for it."""
        with contextlib.suppress(OSError):
            self.channel.connection.close()
        self.kill()
        self.process.wait()

    def kill(self) -> None:
        """End the process; its end of the channel closes."""
        # It leads a group of its own, in which the compiler that it started is too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class DeviceInfo:
    """A back end on this host. `reason` says why it cannot be used; empty when it can. `limits` are those of `backends.limits`."""

    name: str
    description: str
    reason: str = ""
    limits: Mapping[str, int] | None = None


def devices(*names: str) -> tuple[DeviceInfo, ...]:
    """Back ends by name (all by default), each with what stands behind it on this host and what it allows."""
    found = []
    for name in names or MODULES:
        try:
            found.append(DeviceInfo(name, describe(name), limits=limits(name)))
        except (ImportError, errors.GlassBoxError) as error:
            found.append(DeviceInfo(name, "", str(error)))
    return tuple(found)
