"""What stands behind a machine's RAM, and the commonest case of it: a QEMU that we started.

A daemon serves RAM; whose it is makes little difference to it. `Origin` is that difference: how to talk to whoever runs
the vCPUs, when that has ended, and what it means to stop. A QEMU of our own dies with us (`Qemu`); one that somebody
else started lives on, and a file with RAM in it has no vCPUs at all (`attach`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...errors import MachineError, MachineGoneError
from ...machine.config import Endpoints, MachineConfig, qemu_argv
from ...wire import connection

if TYPE_CHECKING:
    from ...machine.monitor import Monitor

_QUIT_TIMEOUT_S = 5.0


class Shell(Protocol):
    """A root shell in the guest."""

    async def run(self, command: str | Sequence[str], timeout_s: float) -> tuple[bytes, int]:
        """(output, exit status) of `command`; `MachineError` where there is no shell or no answer."""

    def forget(self) -> None:
        """Wait for no earlier answer: the guest was reset."""


class Origin(Protocol):
    """What a machine's RAM belongs to.

    Attributes:
        kind: what the connection file says: ``started``, ``attached``, ``image`` or ``capture``.
        pid: the process that may be stopped and looked into to find what it wrote, None for one that is not ours.
    """

    kind: str
    pid: int | None

    @property
    def exit_status(self) -> int | None:
        """Of the QEMU that has ended, negative for the signal that killed it; None where nobody can know."""

    def connect(self, name: str) -> AbstractAsyncContextManager[Monitor]:
        """The way to its vCPUs, for as long as the context lasts; `MachineError` when it does not answer."""

    def shell(self) -> Shell:
        """The guest's root shell, or what says that there is none."""

    async def wait(self) -> None:
        """Return when it has ended by itself."""

    async def end(self, monitor: Monitor) -> None:
        """Do what `glassbox stop` means for it."""

    def describe_exit(self, asked: bool) -> str:
        """How it ended, in words; `asked` if somebody wanted it to."""


class Qemu:
    """One running QEMU and our ends of its sockets. It dies with this process, however that ends."""

    kind = "started"

    def __init__(
        self,
        qemu: str,
        config: MachineConfig,
        ram: Path,
        console: Path,
        plugin: Path | None = None,
        trace: Path | None = None,
    ) -> None:
        self.monitor_socket, monitor_end = socket.socketpair()
        self.agent_socket, agent_end = socket.socketpair()
        qmp = connection.runtime_folder() / f"{config.name}.qmp"
        endpoints = Endpoints(ram, qmp, console, monitor_end.fileno(), agent_end.fileno(), plugin, trace)
        self.argv = qemu_argv(qemu, config, endpoints)
        self._log = console.with_name("qemu.log")
        # setpriv asks the kernel to kill QEMU when this process dies, before QEMU's first instruction.
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        with monitor_end, agent_end, open(self._log, "wb") as log_file:
            self.process = subprocess.Popen(
                prefix + self.argv,
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                pass_fds=(monitor_end.fileno(), agent_end.fileno()),
            )
        self.pid: int | None = self.process.pid
        self.started = connection.process_started(self.process.pid)

    @property
    def exit_status(self) -> int | None:
        """Its exit status, None while it runs."""
        return self.process.poll()

    @contextlib.asynccontextmanager
    async def connect(self, name: str) -> AsyncIterator[Monitor]:
        """The QMP connection; `MachineError` with QEMU's last words when it did not start."""
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
            raise MachineError(f"QEMU did not start: {self.last_words()}") from None

    def shell(self) -> Shell:
        """The shell on the guest's second serial port."""
        from ...machine.agent import Agent

        return Agent(self.agent_socket)

    async def wait(self) -> None:
        """Return when the process has ended."""
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
        """Ask QEMU to quit, and kill it if it does not."""
        with contextlib.suppress(MachineError):
            await monitor.execute("quit", timeout_s=_QUIT_TIMEOUT_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wait(), _QUIT_TIMEOUT_S)
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
        return f"QEMU ended with status {status}: {self.last_words()}"

    def last_words(self) -> str:
        """The last line that QEMU wrote to its log."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("qemu-system-x86_64: ") if lines else "it gave no reason"
