"""What a client reads on its own host without the daemon: RAM, the page map's file, CPU time, liveness."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from ..errors import MachineGoneError, PageMapOverwrittenError, UsageError
from ..host.processes import cpu_seconds
from ..wire import connection as connections
from ..wire.connection import Connection, file_version
from ..wire.endpoints import is_remote
from ..wire.event_records import AnyEvent, ExitedEvent
from ..wire.records import Answer, PageMapHeader

# Most commands never read RAM, and NumPy takes longer to load than they take to run.
if TYPE_CHECKING:
    from ..memory.ram import GuestRam
    from ..wire.page_map import PageMap, PageMapFile


_own_pid = os.getpid()


def _note_fork() -> None:
    global _own_pid
    _own_pid = os.getpid()


os.register_at_fork(after_in_child=_note_fork)


def own_pid() -> int:
    """This process, without asking the system: a client looks with each call whether it was forked."""
    return _own_pid


@functools.cache
def _context_of(pid: int) -> zmq.Context[zmq.Socket[bytes]]:
    # A context does not survive a fork: its threads stay behind.
    return zmq.Context()


def shared_context() -> zmq.Context[zmq.Socket[bytes]]:
    """The one ZeroMQ context of this process."""
    return _context_of(_own_pid)


def find_machine(name: str) -> Connection:
    """The connection of running machine `name`, or of the capture or dump at the path `name`, opened if need be."""
    if is_remote(name):
        raise UsageError(f"{name} is on another host; use `Client.connect` or `AsyncClient.connect`")
    if connections.is_path(name):
        # Loaded for a file only: what starts daemons takes longer to load than most commands to run.
        from ..machine.launch import open_path

        return open_path(Path(name))
    return connections.find_connection(name)


def portable_command(command: str | Sequence[str]) -> str | list[str]:
    """`command` as Unicode: words that are not become a shell line that prints their bytes."""
    if isinstance(command, str) or all(_is_unicode(word) for word in command):
        return command if isinstance(command, str) else list(command)
    return " ".join(shlex.quote(word) if _is_unicode(word) else _printed(word) for word in command)


def _is_unicode(word: str) -> bool:
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in word)


def _printed(word: str) -> str:
    octal = "".join(f"\\{byte:03o}" for byte in word.encode("utf-8", "surrogateescape"))
    return f"\"$(printf '{octal}')\""


class LocalMachine:
    """A machine on this host, as its connection file describes it.

    Attributes:
        connection, name: that file's content, and the machine's name.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.name = connection.name
        self._file = f"{connections.runtime_folder()}/{connection.name}.json"
        self._version: tuple[int, int] | None = None
        self._is_other = False

    def _connect(self, socket: zmq.Socket[Any], address: str) -> None:
        """Connect a new socket to one of the daemon's."""
        socket.connect(address)

    def _disconnect(self, socket: zmq.Socket[Any]) -> None:
        """Close a socket that `_connect` was called for."""
        socket.close(linger=0)

    def _is_reached(self, socket: zmq.Socket[Any]) -> bool:
        """Whether the daemon can still answer by `socket`."""
        return self.is_alive()

    def _gone(self, socket: zmq.Socket[Any]) -> MachineGoneError:
        """Why nothing more comes by `socket`."""
        return MachineGoneError(f"machine {self.name!r} ended during the request ({self._how_it_ended()})")

    def _is_replaced(self) -> bool:
        """Whether its name is another machine's meanwhile, at whose sockets a client would arrive."""
        version = file_version(self._file)
        if version not in (None, self._version):
            with contextlib.suppress(OSError, UsageError):
                there = Connection.from_json(Path(self._file).read_bytes())
                own = self.connection
                self._is_other = (there.daemon_pid, there.started_at) != (own.daemon_pid, own.started_at)
            self._version = version
        return self._is_other

    def _of_ours(self, event: AnyEvent | None) -> AnyEvent | None:
        """`event`, or the end of this machine where the event comes from another that has its name."""
        if self._is_replaced() and not isinstance(event, ExitedEvent):
            return self._exited(None)
        return event

    def _exited(self, status: int | None) -> ExitedEvent:
        """The end of this machine that no event told of."""
        return ExitedEvent(self.name, time.time(), self._how_it_ended(), status)

    def _check_same(self) -> None:
        """`MachineGoneError` where another machine has its name: RAM that is mapped here would not be that one's."""
        if self._is_replaced():
            raise MachineGoneError(f"machine {self.name!r} has ended, and another has its name; connect again")

    def _give_up_files(self) -> None:
        """Close what is mapped; arrays that were taken from it stay valid."""
        if "ram" in self.__dict__:
            self.ram.close()
        self.__dict__.pop("_page_map_file", None)

    def is_alive(self) -> bool:
        """Whether its daemon is alive; that of another machine with the same name does not count. No round trip."""
        if self._is_replaced():
            return False
        # The lock is not there for a moment when something emptied the runtime folder.
        return connections.is_alive(self.name) or connections.is_daemon(self.connection.daemon_pid)

    def validate(self) -> None:
        """Raise `MachineGoneError` if the machine has ended. No round trip."""
        if not self.is_alive():
            raise MachineGoneError(f"machine {self.name!r} has ended ({self._how_it_ended()})")

    def _how_it_ended(self) -> str:
        return connections.read_exit(self.name) or "its daemon was killed"

    def _exit_status(self) -> int | None:
        return connections.read_exit_status(self.name)

    @cached_property
    def ram(self) -> GuestRam:
        """The machine's RAM, mapped read-only."""
        from ..memory.ram import GuestRam

        return GuestRam(Path(self.connection.ram_path), self.connection.layout)

    @cached_property
    def _page_map_file(self) -> PageMapFile:
        from ..wire.page_map import PageMapFile

        return PageMapFile.attach(Path(self.connection.page_map_path))

    def _read_page_map(self, header: Answer[PageMapHeader]) -> Answer[PageMap] | None:
        """The page map that `header` announces; None where a newer one has overwritten it."""
        try:
            page_map = self._page_map_file.read(header.value, header.grade, header.skipped)
        except PageMapOverwrittenError:
            return None
        return Answer(page_map, header.grade, header.epoch, header.skipped, header.elapsed_s)

    def published_page_map(self, generation: int) -> PageMap:
        """Generation `generation` of the page map, which `refresh_page_map` has told of, without its owners.

        `PageMapOverwrittenError` if it is not the newest one any more.
        """
        return self._page_map_file.read(PageMapHeader(generation, ()))

    def cpu_seconds(self) -> float | None:
        """CPU time of QEMU so far, in seconds; None unless the daemon started QEMU. No round trip.

        If it did not grow between two calls, the guest wrote nothing between them.
        """
        pid = self.connection.qemu_pid
        return cpu_seconds(pid) if pid > 0 else None
