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
from collections.abc import Mapping, Sequence
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
from .messages import Channel, CompileKernel, Failed, Operand, Reply, Request, RunKernel

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


class Device:
    """Runs kernels on one back end: ``cpu``, ``wgpu``, ``numba`` or ``reference``.

    With `isolated`, the default, kernels run in a worker process: a crash, an endless loop or an allocation that is too large ends
    that launch with an error, and the next launch gets a new worker. Arrays from `zeros` and `array` are shared with it; others are
    copied there and back. Without it kernels run in this process: nothing is copied, `host_functions` work, and a launch cannot be
    ended by time, only by its fuel.

    `memory` limits the bytes of all buffers together, `cpus` are the processors that the worker may use. Without `events`
    its launches are told to nobody. Threads may share a device; its launches follow one another.
    """

    def __init__(
        self,
        backend: str = "cpu",
        *,
        isolated: bool = True,
        memory: int = DEFAULT_MEMORY_BYTES,
        cpus: tuple[int, ...] = (),
        events: bool = True,
        **options: str | int | bool | None,
    ) -> None:
        if backend not in MODULES:
            raise DeviceError(f"there is no device {backend!r}; devices are {', '.join(MODULES)}")
        if missing := set(cpus) - os.sched_getaffinity(0):
            here = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
            raise DeviceError(f"there is no processor {min(missing)} for the device; this process may use {here}")
        self.backend, self.is_isolated = backend, isolated
        self.ledger = Ledger(memory)
        self._options, self._has_events = options, events
        self._cpus = cpus
        self._worker: _WorkerProcess | None = None
        self._lock = threading.RLock()
        self._pool = BufferPool(self.ledger, self._forget)
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
        staged: list[tuple[Array, Array]] = []
        copies: list[Array] = []
        operands: dict[str, Operand] = {}
        fresh: dict[int, SharedBuffer] = {}
        for memory in module.kernels[kernel].buffers:
            given = launch.buffers[memory.name]
            place = self._pool.find(given)
            if place is None:
                copy = self.array(given)
                copies.append(copy)  # until the launch is done; without it the buffer would go
                if memory.is_writable:
                    staged.append((given, copy))
                place = self._pool.find(copy)
            assert place is not None
            buffer, offset = place
            if buffer.number not in worker.mapped:
                fresh[buffer.number] = buffer
            operands[memory.name] = Operand(buffer.number, offset, given.dtype.str, len(given))
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
        )
        began = time.perf_counter()
        descriptors = [buffer.descriptor for buffer in fresh.values()]
        reply = self._ask(worker, request, seconds, f"kernel {kernel}", descriptors)
        worker.mapped.update(fresh)
        outcome = _OUTCOME.decode(reply.outcome)
        outcome.seconds = time.perf_counter() - began - outcome.build_seconds
        for given, copy in staged:
            given[:] = copy
        return outcome

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

    def _ready(self, worker: _WorkerProcess, module: Module, kernel: str, group: int) -> int:
        proved = self._prove(module, kernel, group)
        key = (proved.prepared or proved.text, kernel)
        if key not in worker.kernels:
            number = len(worker.kernels) + 1
            text = "" if proved.prepared else proved.text
            request = CompileKernel(number, self.backend, text, kernel, dict(self._options), proved.prepared)
            self._ask(worker, request, START_SECONDS, f"compiling {kernel}")
            worker.kernels[key] = number
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
            status = worker.process.wait()
            self.close()
            how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
            raise DeviceError(f"{what}: the device's process died ({how}); the next launch gets a new one") from None
        except (
            BaseException
        ):  # Ctrl-C: the worker is in the middle of something, and its next reply would be the old one
            self.close()
            raise
        if isinstance(reply, Failed):
            kind = getattr(errors, reply.kind, DeviceError)
            raise (kind if issubclass(kind, errors.GlassBoxError) else DeviceError)(reply.message)
        return reply

    def _forget(self, number: int) -> None:
        if self._worker:
            self._worker.forgotten.append(number)


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
        # It leads a group of its own, in which the compiler that it started is too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


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
