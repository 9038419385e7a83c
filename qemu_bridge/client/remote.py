"""The blocking client of a machine on another host, reached by TCP with CURVE keys or through ssh.

>>> with Client.connect("ssh://me@box/demo") as demo:
...     demo.ram.read(PhysicalAddress(0x1000), 4)
b'\\x00\\x00\\x00\\x00'
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

import msgspec
import numpy as np
import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from ..errors import MachineGoneError, PageMapOverwrittenError, UnknownMachineError, UsageError
from ..wire.connection import Connection
from ..wire.endpoints import RemoteName, parse_remote
from ..wire.keys import CLIENT, find_daemon_key, read_pair
from ..wire.operations import MAX_READ_PAGES, TIMEOUT_S
from ..wire.page_map import ENTRY, PageMap, make_page_map
from ..wire.records import Answer, Grade, PageMapHeader
from .blocking import Client
from .local import shared_context

if TYPE_CHECKING:
    from ..memory.ram import GuestRam
    from ..wire.trace_records import ArmOptions

_CONNECT_S = 20.0
_HEARTBEAT_MS, _SILENCE_MS = 5_000, 30_000
"""A peer is asked for a sign of life this often, and given up when it was silent that long."""
_LOST = "the connection was lost"
_EVENTS = {
    zmq.EVENT_DISCONNECTED: _LOST,
    zmq.EVENT_CLOSED: "nothing listens there",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the daemon there is not the one whose key is known, or does not take this client",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "what listens there is no daemon",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "the daemon does not allow this client's key; give its owner the client key of"
    " 'glassbox keys show'",
}
"""What ends a connection, as it is told."""


class _Monitor:
    """What became of one socket's connection, which libzmq does not make again."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        address = f"inproc://client-{id(self)}"
        socket.monitor(address, zmq.EVENT_HANDSHAKE_SUCCEEDED | sum(_EVENTS))
        self._events = shared_context().socket(zmq.PAIR)
        self._events.linger = 0
        self._events.connect(address)
        self._deadline: float | None = time.monotonic() + _CONNECT_S
        self.problem = ""

    def look(self) -> str:
        """Why there is no connection any more; empty while there is, or is one to come."""
        while self._events.poll(0):
            event = parse_monitor_message(self._events.recv_multipart())["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._deadline = None
            else:
                # A handshake that failed is told first, and is the reason.
                self.problem = self.problem or _EVENTS[zmq.Event(event)]
        if not self.problem and self._deadline is not None and time.monotonic() > self._deadline:
            self.problem = f"nobody answered for {_CONNECT_S:g} s"
        return self.problem

    def close(self) -> None:
        """Stop looking."""
        self._events.close(0)


class RemoteClient(Client):
    """A client of a machine on another host: what others map, it reads by operations."""

    def __init__(self, remote: RemoteName, timeout_s: float = TIMEOUT_S) -> None:
        """Connect to `remote`; raises `MachineGoneError` where it cannot be reached, `UsageError` without its key or one's own."""
        self._remote = remote
        self._monitors: dict[zmq.Socket[bytes], _Monitor] = {}
        self._keys: tuple[bytes, bytes, bytes] | None = None
        if remote.scheme == "ssh":
            from .ssh import forward

            super().__init__(forward(remote).connection, timeout_s)
            return
        pair = read_pair(CLIENT)
        self._keys = pair.public, pair.secret, find_daemon_key(remote.place)
        control = f"tcp://{remote.place}"
        # Until the daemon has described itself.
        unknown = Connection(str(remote), "", 0, control, "", "", (), "", "", "", "", "", "")
        super().__init__(unknown, timeout_s)
        try:
            found = self.describe()
        except BaseException:
            self.close()
            raise
        if remote.name not in ("", found.name):
            self.close()
            raise UnknownMachineError(f"machine {found.name!r} listens at {control}, not {remote.name!r}; use its name")
        events = f"tcp://{remote.host}:{found.listen_events.rpartition(':')[2]}"
        self.connection, self.name = msgspec.structs.replace(found, control=control, events=events), found.name

    @classmethod
    def connect(cls, name: str) -> RemoteClient:
        """The client of the machine that `name`, such as ``ssh://me@box/demo``, says where to find."""
        return cls(parse_remote(name))

    # --- sockets -------------------------------------------------------------------------------------------

    def _connect(self, socket: zmq.Socket[bytes], address: str) -> None:
        # Not again by itself: whoever waits for a reply would wait for ever.
        socket.set(zmq.RECONNECT_IVL, -1)
        socket.set(zmq.IPV6, 1)
        if self._keys is not None:
            socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = map(z85.encode, self._keys)
            socket.set(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
            socket.set(zmq.HEARTBEAT_TIMEOUT, _SILENCE_MS)
        self._monitors[socket] = _Monitor(socket)
        socket.connect(address)

    def _disconnect(self, socket: zmq.Socket[bytes]) -> None:
        monitor = self._monitors.pop(socket, None)
        if monitor is not None:
            socket.monitor(None, 0)
            monitor.close()
        socket.close(linger=0)

    def _is_reached(self, socket: zmq.Socket[bytes]) -> bool:
        monitor = self._monitors.get(socket)
        return monitor is None or not monitor.look()

    def _gone(self, socket: zmq.Socket[bytes]) -> MachineGoneError:
        return MachineGoneError(f"machine {str(self._remote)!r} cannot be reached: {self._monitors[socket].problem}")

    def _socket(self) -> zmq.Socket[bytes]:
        before: zmq.Socket[bytes] | None = getattr(self._threads, "socket", None)
        if before is None or before.closed or self._is_reached(before):
            return super()._socket()
        self._disconnect(before)
        if self._keys is None:
            from .ssh import forward

            self.connection = forward(self._remote).connection
        there = self.describe()
        if (there.daemon_pid, there.started_at) != (self.connection.daemon_pid, self.connection.started_at):
            raise MachineGoneError(f"machine {str(self._remote)!r} has ended, and another has its name; connect again")
        return super()._socket()

    # --- what a client on the machine's host does without the daemon ------------------------------------------

    def is_alive(self) -> bool:
        """Whether the connection to its daemon stands. No round trip."""
        socket: zmq.Socket[bytes] | None = getattr(self._threads, "socket", None)
        return socket is None or socket.closed or self._is_reached(socket)

    def _how_it_ended(self) -> str:
        return _LOST

    @cached_property
    def ram(self) -> GuestRam:
        """The machine's RAM: a mirror here that is filled as it is read."""
        from .remote_ram import RemoteRam

        return RemoteRam(self, self.connection.layout)

    def _read_page_map(self, header: Answer[PageMapHeader]) -> Answer[PageMap] | None:
        with contextlib.suppress(PageMapOverwrittenError):
            page_map = self._fetch_page_map(header.value, header.grade, header.skipped)
            return Answer(page_map, header.grade, header.epoch, header.skipped, header.elapsed_s)
        return None

    def published_page_map(self, generation: int) -> PageMap:
        """As of a machine here."""
        return self._fetch_page_map(PageMapHeader(generation, ()), Grade.LIVE, ())

    def _fetch_page_map(self, header: PageMapHeader, grade: Grade, skipped: tuple[str, ...]) -> PageMap:
        parts = b"".join(self._iter_entries(header.generation))
        return make_page_map(np.frombuffer(parts, ENTRY), header, grade, skipped)

    def _iter_entries(self, generation: int) -> Iterator[bytes]:
        for first in range(0, self.connection.layout.size >> 12, MAX_READ_PAGES):
            yield self.read_page_map(generation, first).value

    def cpu_seconds(self) -> None:
        """Not known here."""

    def heat(self) -> NoReturn:
        """`UsageError`: heat is counted in memory that only processes on the machine's host can map."""
        raise UsageError(self._only_there("heat"))

    def trace_arm(self, options: ArmOptions | None = None, reader_pid: int | None = None) -> NoReturn:  # type: ignore[override]  # as above
        """`UsageError`: the reader of a trace is a process on the machine's host."""
        raise UsageError(self._only_there("a trace"))

    def _only_there(self, what: str) -> str:
        return f"{what} is read on the machine's own host; run glassbox there, as by 'ssh {self._remote.host} glassbox ...'"
