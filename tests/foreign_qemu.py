"""A QEMU that Glass Box did not start."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from pathlib import Path

from support import wait_until

from qemu_bridge.machine.config import find_qemu

_LISTENING = "00010000"
"""The flag of a listening socket in /proc/net/unix (__SO_ACCEPTCON of include/uapi/linux/net.h)."""


class Foreign:
    """A QEMU that Glass Box knows nothing of."""

    def __init__(self, folder, *arguments):
        self.qmp = folder / "foreign.qmp"
        self.ram = folder / "foreign.ram"
        self.process = subprocess.Popen(
            [find_qemu(), "-nodefaults", "-display", "none", "-qmp", f"unix:{self.qmp},server=on,wait=off", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._listens)

    def _listens(self):
        # A socket is there before it listens, and who connects to find out takes the only place there is.
        rows = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
        return any(row[3] == _LISTENING and row[-1] == str(self.qmp) for row in rows)

    def end(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(timeout=120)


@contextlib.contextmanager
def foreign(folder, *arguments):
    """One of them, gone at the end with its RAM."""
    found = Foreign(folder, *arguments)
    try:
        yield found
    finally:
        found.end()
        found.ram.unlink(missing_ok=True)


def shared(folder, size="64M", machine="pc"):
    """Arguments for RAM that can be attached to."""
    backend = f"memory-backend-file,id=mine,size={size},mem-path={folder / 'foreign.ram'},share=on"
    return ("-machine", f"{machine},memory-backend=mine", "-m", size, "-object", backend)
