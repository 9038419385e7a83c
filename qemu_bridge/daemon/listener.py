"""A ZeroMQ socket that listens on a path, or on a TCP port, and takes a bounded number of connections.

libzmq ends the process when it cannot get a descriptor for one connection more (``ipc_listener.cpp``), and its daemon takes the
guest with it. So the daemon raises the limit of descriptors to what the system allows, and a listener that counts as many
connections as it may have moves its socket file aside: nobody reaches it by its path, those that are connected stay, and the file
comes back when some of them have left.

libzmq accepts in a thread of its own and may be ahead of the count, but not by more than `MOST_UNCOUNTED`: it waits when that
many of its events are unread. Room for them is kept free, so no number of clients and no delay exhausts the descriptors.

A port cannot be moved, and `unbind` ends the connections too. So the listening socket of TCP is ours, and while there are too
many connections a filter in the kernel drops what asks for another (socket(7), SO_ATTACH_FILTER): it asks again by itself.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import logging
import os
import socket as sockets
import struct
from collections.abc import Callable

import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from .descriptors import BACKLOG, connection_limit

logger = logging.getLogger(__name__)

_NUMBERS = itertools.count()
MUTE_MS = 10_000
"""Who connects and says nothing keeps its place no longer than this."""


class Listener:
    """`socket` bound to the address ``ipc://PATH``.

    Attributes:
        connected: connections now.
        is_closed: whether the file is moved aside.
    """

    def __init__(
        self,
        socket: zmq.asyncio.Socket,
        address: str,
        changed: Callable[[int], None] = lambda count: None,
        limit: int | None = None,
    ) -> None:
        """Bind; `changed` is called with the number of connections whenever that changes.

        It takes `limit` of them; by default what fits a daemon with two listeners.
        """
        self._path = address.removeprefix("ipc://")
        self._aside = self._path + ".full"
        self._changed = changed
        self._limit = connection_limit() if limit is None else limit
        self.connected, self.is_closed = 0, False
        # Before a client can connect: of an earlier one only the disconnect would be seen.
        self._monitor = socket.context.socket(zmq.PAIR)
        self._monitor.set(zmq.RCVHWM, 1)
        # A number of its own: libzmq knows the name of a closed listener for a while, whose address Python may use again.
        watched = f"inproc://connections-{next(_NUMBERS)}"
        socket.monitor(watched, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self._monitor.connect(watched)
        socket.set(zmq.BACKLOG, BACKLOG)
        socket.set(zmq.HANDSHAKE_IVL, MUTE_MS)
        self._socket, self._address = socket, address
        socket.bind(address)

    def restore(self) -> None:
        """Listen on a new file if something removed the socket's; those that are connected stay so."""
        if not os.path.lexists(self._aside if self.is_closed else self._path):
            logger.warning("%s was removed; it is made again", self._path)
            self.is_closed = False
            self._socket.bind(self._address)

    async def run(self) -> None:
        """Count connections for as long as the socket listens."""
        with self._monitor:
            try:
                while True:
                    event = await recv_monitor_message(self._monitor)
                    self.connected = max(0, self.connected + (1 if event["event"] == zmq.EVENT_ACCEPTED else -1))
                    self._open_or_close()
                    self._changed(self.connected)
            finally:
                if self.is_closed:
                    self._open()

    def _open_or_close(self) -> None:
        if not self.is_closed and self.connected >= self._limit:
            logger.warning("%s has %d connections and takes no more until some end", self._address, self.connected)
            self.is_closed = self._close()
        elif self.is_closed and self.connected < self._limit * 3 // 4:
            self.is_closed = not self._open()

    def _close(self) -> bool:
        return self._move(self._path, self._aside)

    def _open(self) -> bool:
        return self._move(self._aside, self._path)

    @staticmethod
    def _move(source: str, destination: str) -> bool:
        try:
            os.rename(source, destination)
        except OSError as error:
            logger.warning("%s: %s", source, error)
            return False
        return True


_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27  # include/uapi/asm-generic/socket.h
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
"""The filter of one instruction: return 0, keep no byte (BPF_RET | BPF_K)."""


class TcpListener(Listener):
    """`socket` on the listening TCP socket `listening`, which stays the caller's and outlives it."""

    def __init__(self, socket: zmq.asyncio.Socket, listening: sockets.socket, limit: int | None = None) -> None:
        """Bind."""
        self._listening = listening
        listening.setblocking(False)
        # libzmq closes the descriptor that it gets.
        socket.set(zmq.USE_FD, os.dup(listening.fileno()))
        super().__init__(socket, tcp_address(listening), limit=limit)

    def restore(self) -> None:
        """A port cannot be removed."""

    def _close(self) -> bool:
        program = ctypes.create_string_buffer(_DROP_ALL, len(_DROP_ALL))
        self._listening.setsockopt(
            sockets.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program))
        )
        return True

    def _open(self) -> bool:
        self._listening.setsockopt(sockets.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        return True


def listen_at(host: str, port: int) -> sockets.socket:
    """A TCP socket that listens at an IP address and port, 0 for a free one; `OSError` where it cannot."""
    family = sockets.AF_INET6 if ":" in host else sockets.AF_INET
    listening = sockets.socket(family)
    try:
        listening.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def tcp_address(listening: sockets.socket) -> str:
    """Where a socket listens: ``tcp://ADDRESS:PORT``."""
    host, port = listening.getsockname()[:2]
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


async def end_when_unused(counts: asyncio.Queue[int], idle_s: float) -> None:
    """Return when there was no connection for `idle_s`; `counts` gets every change."""
    connected = 0
    while True:
        try:
            async with asyncio.timeout(None if connected else idle_s):
                connected = await counts.get()
        except TimeoutError:
            return
