"""What the blocking and the asynchronous client of a machine on another host share: keys, sockets, and why one was lost."""

from __future__ import annotations

import itertools
import time
from typing import Any, NoReturn

import msgspec
import zmq
from zmq.utils import z85
from zmq.utils.monitor import parse_monitor_message

from ..errors import MachineGoneError, UnknownMachineError, UsageError
from ..wire.connection import Connection
from ..wire.endpoints import RemoteName
from ..wire.keys import CLIENT, find_daemon_key, read_pair
from .local import LocalMachine, shared_context

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


_NUMBERS = itertools.count()


class _Monitor:
    """What became of one socket's connection, which libzmq does not make again."""

    def __init__(self, socket: zmq.Socket[Any]) -> None:
        # A number of its own: libzmq knows the name of a closed one for a while, whose address Python may use again.
        address = f"inproc://client-{next(_NUMBERS)}"
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


class Elsewhere(LocalMachine):
    """A machine on another host: what is mapped or looked up of one on this host is not there."""

    def __init__(self, remote: RemoteName) -> None:
        """Of the machine at `remote`; nothing is connected yet. `UsageError` without its key or one's own."""
        self._remote = remote
        self._monitors: dict[zmq.Socket[Any], _Monitor] = {}
        self._keys: tuple[bytes, bytes, bytes] | None = None
        if remote.scheme != "ssh":
            pair = read_pair(CLIENT)
            self._keys = pair.public, pair.secret, find_daemon_key(remote.place)

    def _unknown(self) -> Connection:
        """What is known of a machine that is reached by TCP before its daemon has described itself."""
        return Connection(str(self._remote), "", 0, f"tcp://{self._remote.place}", "", "", (), "", "", "", "", "", "")

    def _adopt(self, found: Connection) -> None:
        """Take `found`, as the daemon that is reached by TCP describes itself; `UnknownMachineError` for another machine."""
        remote, control = self._remote, f"tcp://{self._remote.place}"
        if remote.name not in ("", found.name):
            raise UnknownMachineError(f"machine {found.name!r} listens at {control}, not {remote.name!r}; use its name")
        events = f"tcp://{remote.host}:{found.listen_events.rpartition(':')[2]}"
        self.connection, self.name = msgspec.structs.replace(found, control=control, events=events), found.name

    def _is_replaced(self) -> bool:
        """Never: sockets are not connected again by themselves."""
        return False

    def _check_there(self, there: Connection) -> None:
        """`MachineGoneError` unless `there` describes the daemon that was reached before."""
        if (there.daemon_pid, there.started_at) != (self.connection.daemon_pid, self.connection.started_at):
            raise MachineGoneError(f"machine {str(self._remote)!r} has ended, and another has its name; connect again")

    def _connect(self, socket: zmq.Socket[Any], address: str) -> None:
        # Not again by itself: whoever waits for a reply would wait for ever.
        socket.set(zmq.RECONNECT_IVL, -1)
        socket.set(zmq.IPV6, 1)
        if self._keys is not None:
            socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = map(z85.encode, self._keys)
            socket.set(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
            socket.set(zmq.HEARTBEAT_TIMEOUT, _SILENCE_MS)
        self._monitors[socket] = _Monitor(socket)
        socket.connect(address)

    def _disconnect(self, socket: zmq.Socket[Any]) -> None:
        monitor = self._monitors.pop(socket, None)
        if monitor is not None:
            socket.monitor(None, 0)
            monitor.close()
        socket.close(linger=0)

    def _is_reached(self, socket: zmq.Socket[Any]) -> bool:
        monitor = self._monitors.get(socket)
        return monitor is None or not monitor.look()

    def _gone(self, socket: zmq.Socket[Any]) -> MachineGoneError:
        return MachineGoneError(f"machine {str(self._remote)!r} cannot be reached: {self._monitors[socket].problem}")

    def _how_it_ended(self) -> str:
        return _LOST

    def _exit_status(self) -> None:
        """Not known here."""

    def cpu_seconds(self) -> None:
        """Not known here."""

    def heat(self) -> NoReturn:
        """`UsageError`: heat is counted in memory that only processes on the machine's host can map."""
        raise UsageError(self._only_there("heat"))

    def trace_arm(self, options: object = None, reader_pid: int | None = None) -> NoReturn:
        """`UsageError`: the reader of a trace is a process on the machine's host; `trace_record` has one there."""
        raise UsageError(f"{self._only_there('a trace')}, or call trace_record, which writes a file there")

    def _only_there(self, what: str) -> str:
        return f"{what} is read on the machine's own host; run glassbox there, as by 'ssh {self._remote.host} glassbox ...'"
