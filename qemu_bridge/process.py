"""The QEMU process: started with its sockets, killed with whoever started it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from . import connection
from .machine import Endpoints, MachineConfig, qemu_argv


class Qemu:
    """One running QEMU and our ends of its sockets. It dies with this process, however that ends."""

    def __init__(self, qemu: str, config: MachineConfig, ram: Path, console: Path) -> None:
        self.monitor_socket, monitor_end = socket.socketpair()
        self.agent_socket, agent_end = socket.socketpair()
        qmp = connection.runtime_folder() / f"{config.name}.qmp"
        endpoints = Endpoints(ram, qmp, console, monitor_end.fileno(), agent_end.fileno())
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
        self.started = connection.process_started(self.process.pid)

    def last_words(self) -> str:
        """The last line that QEMU wrote to its log."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1].removeprefix("qemu-system-x86_64: ") if lines else "it gave no reason"
