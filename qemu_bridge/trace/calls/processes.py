"""Which process a page-table root is of, as the system calls of a trace tell it: programs that start, and processes that are made.

What there was when the recording began stands in the trace's header (`file.guest_note`). From then on ``fork`` and its like give a
child its number, and ``execve`` gives a root its name. So a root that is used again has the name of that time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

_NAME_BYTES = 15
"""Of a process: what ``/proc/PID/comm`` shows."""
_OWN_NUMBER = frozenset(("set_tid_address", "getpid"))
"""Calls that tell a process its number, which its first thread has too."""


@dataclass(slots=True)
class Pid:
    """The number of a process; a child runs before its parent hears it."""

    value: int | None = None
    is_own: bool = False
    """The process said it itself: of two children made at one place either may begin first."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process while it executes one program. An empty `name`: it is not known."""

    pid: Pid
    name: str

    def __str__(self) -> str:
        return f"{self.pid.value or '?'} {self.name or '?'}"


class Processes:
    """Processes by page-table root, as of now."""

    def __init__(self, known: Iterable[tuple[int, int, str]], name: Callable[[int], str]) -> None:
        """`known` at the beginning: root, pid and name. `name` gives ``PID NAME`` of a root that is not among them, or nothing."""
        self._name = name
        self._ended: set[int] = set()
        self._of_root = {root: Running(Pid(pid, True), text) for root, pid, text in known}

    def at(self, root: int) -> Running:
        """Who runs under `root` now."""
        found = self._of_root.get(root)
        if found is None:
            pid, _, text = self._name(root).partition(" ")
            found = self._of_root[root] = Running(Pid(int(pid), True) if pid.isdecimal() else Pid(), text)
        return found

    def begin(self, root: int, name: str, pid: Pid) -> None:
        """A process `pid` begins under `root`, as a copy of one called `name`."""
        self._set(root, Running(pid, name))

    def execute(self, root: int, pid: Pid, path: bytes) -> None:
        """The process `pid` begins the program at `path`, under a new `root`."""
        name = path.rpartition(b"/")[2][:_NAME_BYTES].decode(errors="replace")
        self._set(root, Running(pid, name))

    def _set(self, root: int, running: Running) -> None:
        self._ended.discard(root)
        self._of_root[root] = running

    def end(self, root: int) -> None:
        """The process under `root` ends. Its threads may go on for a moment where they run; when `root` is loaded again, it is another's."""
        self._ended.add(root)

    def load(self, root: int) -> None:
        """`root` is loaded in place of another."""
        if root in self._ended:
            self._ended.discard(root)
            self._of_root.pop(root, None)


def learn(running: Running, call: str, result: int) -> None:
    """A call of `running` returned `result`, which may be its number."""
    if call in _OWN_NUMBER and result > 0:
        pid = running.pid
        if not pid.is_own:
            pid.value, pid.is_own = result, True
