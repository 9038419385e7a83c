"""Machines in folders of their own: which processes and files are theirs."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def processes_of(runtime: Path) -> dict[int, str]:
    """Command line of each process whose runtime folder is `runtime`, by number."""
    found, mark = {}, f"XDG_RUNTIME_DIR={runtime}\0".encode()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            state = (path / "stat").read_text().rpartition(")")[2].split()[0]
            if mark in (path / "environ").read_bytes() + b"\0" and state not in "ZX":
                found[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def kill_all(runtime: Path) -> None:
    """End every process whose runtime folder is `runtime`."""
    while found := processes_of(runtime):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class House:
    """Folders of its own for machines, so that whatever is left in them is left by these."""

    def __init__(self, folder: Path) -> None:
        self.folders = {name: folder / name for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "GLASSBOX_RAM_DIR")}
        for path in self.folders.values():
            path.mkdir(mode=0o700)
        self.environment = {name: str(path) for name, path in self.folders.items()}

    def processes(self) -> dict[int, str]:
        """Command line of each process that was started in these folders, by number."""
        return processes_of(self.folders["XDG_RUNTIME_DIR"])

    def files(self) -> list[str]:
        """What is left of the machine; its logs stay until the next machine of that name."""
        folders = (self.folders["XDG_RUNTIME_DIR"], self.folders["GLASSBOX_RAM_DIR"])
        return [str(path) for folder in folders for path in folder.rglob("*") if not path.is_dir()]
