"""The machine that a daemon serves; its parts are created lazily."""

from __future__ import annotations

import contextlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MachineError
from ..host.settings import value_of
from ..machine.config import MachineConfig
from ..memory.soft_dirty import host_has_soft_dirty
from ..wire.connection import Connection
from .backends.backend import Backend
from .state import MachineState
from .viewers import Viewers
from .worker import Worker

# NumPy is loaded by the first operation that needs it, not while the guest boots and needs the CPU.
if TYPE_CHECKING:
    from ..machine.monitor import Monitor
    from ..memory.dirty import DirtyLog
    from ..memory.ram import GuestRam
    from .arming import TraceArming
    from .console import Console
    from .events import EventPublisher
    from .vcpus import Vcpus


class ServedMachine:
    """One machine, its backend and its readers.

    Attributes:
        config, backend, connection: the requested machine, what runs it, how clients find it.
        state: runstate and readiness.
        viewers: those that are open on it.
        worker: answers questions about RAM.
        console: what the guest prints; set once the service runs, where the backend signals readiness.
        monitor: the QMP connection; set once the backend is connected.
        vcpus: stops and continues them, for clients and for the daemon itself; set with the monitor.
        events: what is told to all clients; set once the service runs.
    """

    console: Console
    monitor: Monitor
    vcpus: Vcpus
    events: EventPublisher

    def __init__(self, config: MachineConfig, backend: Backend, connection: Connection) -> None:
        self.config = config
        self.backend = backend
        self.connection = connection
        self.shell = backend.shell()
        self.viewers = Viewers(config.name)
        self.state = MachineState(config.name, backend.is_static, ready=not backend.signals_ready)
        self.worker = Worker(
            Path(connection.ram_path),
            connection.layout,
            Path(connection.page_map_path),
            backend.symbols,
            float(value_of("worker_idle_s")),
            connection.trace_path,
            backend.caveats,
            is_whole=backend.is_whole,
        )

    @cached_property
    def ram(self) -> GuestRam:
        """Guest RAM, mapped read-only."""
        from ..memory.ram import GuestRam

        return GuestRam(Path(self.connection.ram_path), self.connection.layout)

    @cached_property
    def dirty_log(self) -> DirtyLog:
        """The log of changed pages."""
        from ..memory.dirty import DirtyLog, choose_strategy

        strategy = choose_strategy(self.ram, self.backend.pid, is_static=self.backend.is_static)
        return DirtyLog(strategy, self.ram.page_count)

    def note_changed(self, pages: list[int]) -> None:
        """Record pages of RAM that this process wrote, which looking at what QEMU writes would not find."""
        if "dirty_log" in vars(self):
            self.dirty_log.note(pages)

    @property
    def dirty_strategy(self) -> str:
        """How changed pages are found: its name, without making the log of them."""
        if "dirty_log" in vars(self):
            return self.dirty_log.strategy.name
        if self.backend.is_static:
            return "static"
        return "soft-dirty" if self.backend.pid is not None and host_has_soft_dirty() else "comparison"

    @property
    def epoch(self) -> int:
        """The dirty log's epoch; 0 until the first `dirty`."""
        return self.dirty_log.epoch if "dirty_log" in vars(self) else 0

    @cached_property
    def trace(self) -> TraceArming:
        """The control of the trace plugin; `MachineError` without a plugin, with the reason."""
        from .arming import TraceArming

        path = self.connection.trace_path
        if not path:
            reason = self.connection.no_trace or "Glass Box did not start that QEMU; start the machine with it"
            raise MachineError(f"machine {self.config.name!r} has no plugin that traces: {reason}")
        return TraceArming(Path(path), self.monitor, lambda: self.vcpus.held(quietly=True))

    async def is_running(self) -> bool:
        """Whether QEMU says that the vCPUs run."""
        return bool((await self.monitor.execute("query-status"))["running"])

    async def stop(self) -> None:
        """QMP ``stop``, even while a vCPU waits for a trace reader that has stalled."""
        if self.connection.trace_path:
            await self.trace.stop_vcpus()
        else:
            await self.monitor.execute("stop")

    async def cont(self) -> None:
        """QMP ``cont``."""
        await self.monitor.execute("cont")

    def bounded_waits(self) -> contextlib.AbstractAsyncContextManager[None]:
        """A context in which QEMU may stop the vCPUs: none waits long for the trace reader."""
        return self.trace.bounded_waits() if self.connection.trace_path else contextlib.nullcontext()

    def reset(self) -> None:
        """Drop all state of the guest before its reset."""
        self.worker.reset()
        self.state.ready, self.state.panic = not self.backend.signals_ready, ""
