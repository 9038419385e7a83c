"""Machines in folders of their own: which processes and files are theirs."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
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


def holders_of(file: str) -> set[int]:
    """Numbers of the processes that have `file` open, such as ``pipe:[4026]``."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(os.readlink(descriptor) == file for descriptor in (path / "fd").iterdir()):
                found.add(int(path.name))
    return found


def kill_all(runtime: Path, others: Callable[[], set[int]] = set, timeout_s: float = 60.0) -> None:
    """End every process whose runtime folder is `runtime`, and `others`; `TimeoutError` names those that a kill does not end."""
    deadline = time.monotonic() + timeout_s
    while found := processes_of(runtime).keys() | others():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not ended {timeout_s:g} s after SIGKILL: {'; '.join(map(_describe, sorted(found)))}")
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _describe(pid: int) -> str:
    """A process that should be gone: its state and name, and where in the kernel it waits."""
    with contextlib.suppress(OSError):
        folder = Path(f"/proc/{pid}")
        return f"{pid} {(folder / 'stat').read_text()[:60]} in {(folder / 'wchan').read_text()}"
    return f"{pid}, which has ended just now"


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
