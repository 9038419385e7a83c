"""A QEMU that this process started and that dies with it, however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import MachineError, MachineGoneError
from ...machine.config import RAM_BACKEND, Endpoints, MachineConfig, qemu_argv
from ...memory.addresses import RamLayout, parse_mtree
from ...wire import connection
from ...wire.records import Origin
from .backend import Shell

if TYPE_CHECKING:
    from ...machine.monitor import Monitor
    from ...network.place import Link

_QUIT_TIMEOUT_S = 5.0
# A QEMU that waits for its state leaves RAM as it is, rather than to write firmware into it. The state has no parts around it that describe it.
_WAITING = ("-S", "-incoming", "defer", "-global", "migration.send-configuration=off", "-machine", "suppress-vmdesc=on")


class StartedQemu:
    """One running QEMU and the daemon's ends of its sockets. QEMU dies with this process, however it ends."""

    origin = Origin.STARTED
    is_static = False
    signals_ready = True
    idle_timeout_s: float | None = None
    symbols: Path | None = None
    caveats: tuple[str, ...] = ()
    is_whole = False

    def __init__(
        self,
        qemu: str,
        config: MachineConfig,
        ram: Path,
        console: Path,
        plugin: Path | None = None,
        trace: Path | None = None,
        link: Link | None = None,
        aperture: Path | None = None,
        *,
        waits: bool = False,
    ) -> None:
        """Start program `qemu`; if it `waits`, for the state of vCPUs and devices (`daemon.beginnings`)."""
        self.program, self.plugin = qemu, plugin
        self.monitor_socket, monitor_end = socket.socketpair()
        self.agent_socket, agent_end = socket.socketpair()
        self.errors_socket, errors_end = socket.socketpair()
        qmp = connection.runtime_folder() / f"{config.name}.qmp"
        descriptors = (monitor_end.fileno(), agent_end.fileno(), errors_end.fileno())
        endpoints = Endpoints(ram, qmp, console, *descriptors, plugin, trace)
        inherited: tuple[int, ...] = descriptors
        if link is not None:
            inherited = (*descriptors, link.socket.fileno())
            endpoints = replace(endpoints, net_fd=link.socket.fileno(), mac=link.place.mac)
        if aperture is not None:
            endpoints = replace(endpoints, gpu_port=qmp.with_suffix(".gpu"), aperture=aperture)
        self.argv = qemu_argv(qemu, config, endpoints) + (list(_WAITING) if waits else [])
        self._log = console.with_name("qemu.log")
        # setpriv asks the kernel to kill QEMU when this process dies, before QEMU's first instruction.
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        with monitor_end, agent_end, errors_end, open(self._log, "wb") as log_file:
            self.process = subprocess.Popen(
                prefix + self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                pass_fds=inherited,
            )
        self.pid: int | None = self.process.pid
        self.started = connection.process_started(self.process.pid)

    @property
    def exit_status(self) -> int | None:
        """Its exit status, None while it runs."""
        return self.process.poll()

    @contextlib.asynccontextmanager
    async def connect(self, name: str) -> AsyncIterator[Monitor]:
        """The QMP connection; `MachineError` with the last line of QEMU's log when it did not start."""
        # Imported here, while QEMU starts.
        from ...machine.monitor import Monitor

        greeted = False
        try:
            async with Monitor.connect(self.monitor_socket, name) as monitor:
                greeted = True
                yield monitor
        except MachineError as error:
            if greeted and not isinstance(error, MachineGoneError):
                raise
            self.process.kill()
            self.process.wait()
            raise MachineError(f"QEMU did not start: {self.last_log_line()}") from None

    async def check_layout(self, monitor: Monitor, layout: RamLayout) -> None:
        """`MachineError` unless QEMU reports the expected layout: every address would be wrong."""
        reported = parse_mtree(await monitor.hmp("info mtree -f"), RAM_BACKEND)
        if reported != layout:
            raise MachineError(
                f"QEMU lays out RAM as {reported.regions}, expected {layout.regions}; use machine type pc or q35"
            )

    def shell(self) -> Shell:
        """The shell on the guest's second serial port."""
        from ...machine.agent import Agent

        return Agent(self.agent_socket, self.errors_socket)

    async def wait(self) -> None:
        """Return when the process has ended."""
        if self.process.poll() is not None:  # another waiter was first: the number is no longer its own
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        descriptor = os.pidfd_open(self.process.pid)
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self.process.wait()

    async def end(self, monitor: Monitor) -> None:
        """Send `quit` to QEMU, and kill it if it does not end."""
        with contextlib.suppress(MachineError):
            await monitor.execute("quit", timeout_s=_QUIT_TIMEOUT_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_QUIT_TIMEOUT_S):
                await self.wait()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def describe_exit(self, asked: bool) -> str:
        """How QEMU ended."""
        status = self.process.wait()
        if status == 0:
            return "it was stopped" if asked else "the guest powered off"
        if status < 0:
            return f"QEMU was killed by {signal.Signals(-status).name}"
        return f"QEMU ended with status {status}: {self.last_log_line()}"

    def last_log_line(self) -> str:
        """The last line that QEMU wrote to its log."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("qemu-system-x86_64: ") if lines else "it logged no reason"
