"""The keeper of a process VM: starts commands, sums what they have, and leaves none behind.

``python -m gpu_hypervisor.vms.keeper FD STATUS LIMITS`` serves the listening socket FD until it is told to stop, or killed.

Commands are found by descent: the keeper is the reaper of all their children, whatever those do to get away from their parents. Limits
that the kernel keeps for each process alone are summed here: what is over is ended, and nothing else of the host.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from qemu_bridge.host.parent import die_with_parent
from qemu_bridge.host.plain_file import write_atomic

from .limits import VmLimits
from .protocol import Command, Ended, VmStatus, receive, send

LOOK_S = 0.05
"""How often memory and processes are summed."""
STATUS_S = 0.5
_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER."""
_END_S = 5.0


class Keeper:
    """Runs commands of one VM."""

    def __init__(self, listener: socket.socket, status: Path, limits: VmLimits, name: str) -> None:
        self._listener, self._path, self._limits, self._name = listener, status, limits, name
        self._began = time.time()
        self._waiting: dict[int, socket.socket] = {}
        """Who waits for the end of a command, by its process."""
        self._over: dict[int, str] = {}
        """Commands that were ended, and why."""
        self._commands = self._crashes = self._kills = self._peak_bytes = 0
        self._told = 0.0

    def serve(self) -> None:
        """Answer until SIGTERM; then end all commands."""
        stopped = os.eventfd(0, os.EFD_CLOEXEC)
        signal.signal(signal.SIGTERM, lambda number, frame: os.eventfd_write(stopped, 1))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(stopped, select.POLLIN)
        try:
            while True:
                ready = {descriptor for descriptor, _ in poll.poll(LOOK_S * 1000)}
                if stopped in ready:
                    return
                if ready:
                    self._accept()
                self._reap()
                self._sum()
        finally:
            self._end_all()
            self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(_END_S)
        try:
            command, descriptors = receive(connection)
            if not isinstance(command, Command) or len(descriptors) != 3:
                connection.close()
                return
            try:
                pid = self._start(command, descriptors)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
        except (OSError, EOFError, ValueError, msgspec.DecodeError) as error:
            with contextlib.suppress(OSError):
                send(connection, Ended(127, str(error)))
            connection.close()
            return
        self._commands += 1
        self._waiting[pid] = connection

    def _start(self, command: Command, descriptors: Sequence[int]) -> int:
        """A process of its own session with the limits; its number. `OSError` where it cannot be started."""
        said, saying = os.pipe2(os.O_CLOEXEC)
        keeper = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                die_with_parent(keeper)
                os.setsid()
                if self._limits.cores:
                    os.sched_setaffinity(0, self._limits.cores)
                resource.setrlimit(resource.RLIMIT_DATA, (self._limits.memory_bytes,) * 2)
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                for place, descriptor in enumerate(descriptors):
                    os.dup2(descriptor, place)
                os.chdir(command.folder)
                os.execvpe(command.words[0], command.words, command.environment)
            except BaseException as error:
                os.write(saying, str(error).encode()[:4000])
            os._exit(127)
        os.close(saying)
        with open(said, "rb") as stream:
            if reason := stream.read():
                os.waitpid(pid, 0)
                raise OSError(reason.decode(errors="replace"))
        return pid

    def _reap(self) -> None:
        """Tell who waits of commands that have ended; children that were left to the keeper end here, too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            connection = self._waiting.pop(pid, None)
            why = self._over.pop(pid, "")
            if connection:
                code = os.waitstatus_to_exitcode(status)
                self._crashes += code < 0 and not why
                with contextlib.suppress(OSError), connection:
                    send(connection, Ended(code, why))

    def _sum(self) -> None:
        """End commands while all have more than their limits; write down what they have."""
        found = {pid: _memory_bytes(pid) for pid in _descendants(os.getpid())}
        total = sum(found.values())
        self._peak_bytes = max(self._peak_bytes, total)
        why = ""
        if total > self._limits.memory_bytes:
            why = f"the VM's processes had {total} bytes together, and {self._limits.memory_bytes} are allowed; give it more with --memory"
        elif len(found) > self._limits.processes:
            why = f"the VM had {len(found)} processes, and {self._limits.processes} are allowed"
        if why:
            self._kills += 1
            self._over = dict.fromkeys(self._waiting, why)
            _kill_all(found)
        for pid, connection in list(self._waiting.items()):
            if _is_closed(connection):  # nobody waits any more: its terminal has gone
                self._waiting.pop(pid).close()
                _kill_all([pid, *_descendants(pid)])
        now = time.monotonic()
        if now - self._told > STATUS_S:
            self._told = now
            self._write(total, len(found))

    def _write(self, total: int, processes: int) -> None:
        status = VmStatus(
            self._name,
            os.getpid(),
            self._began,
            self._limits,
            processes,
            total,
            self._peak_bytes,
            self._commands,
            self._crashes,
            self._kills,
        )
        write_atomic(self._path, msgspec.json.encode(status))

    def _end_all(self) -> None:
        until = time.monotonic() + _END_S
        self._over = dict.fromkeys(self._waiting, "the VM was stopped")
        while time.monotonic() < until and (found := _descendants(os.getpid())):
            _kill_all(found)
            self._reap()
            time.sleep(0.005)


def _kill_all(pids: Sequence[int] | dict[int, int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _is_closed(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))


def _descendants(pid: int) -> list[int]:
    """All processes below one, by the kernel's lists of children."""
    found: list[int] = []
    waiting = [pid]
    while waiting and len(found) < 1 << 16:
        parent = waiting.pop()
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{parent}/task"):
                with contextlib.suppress(OSError):
                    text = Path(f"/proc/{parent}/task/{task}/children").read_text()
                    children = [int(word) for word in text.split()]
                    found += children
                    waiting += children
    return found


def _memory_bytes(pid: int) -> int:
    """Resident memory of a process, its part of what is shared; 0 where it has gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith(("Pss:", "SwapPss:")))


def main(words: list[str]) -> None:
    """Serve the socket that the words name, in a process that is nobody's child."""
    if os.fork():
        os._exit(0)
    os.setsid()
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    limits = msgspec.json.decode(words[2], type=VmLimits)
    status = Path(words[1])
    Keeper(socket.socket(fileno=int(words[0])), status, limits, status.stem).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
