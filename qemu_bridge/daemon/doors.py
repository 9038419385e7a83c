"""The control sockets of a machine, and who asks through them: clients on this host, or on others by CURVE key and role.

A client that does not read its replies waits for itself: what libzmq has no room for stays with the request that it answers, and
meanwhile no question of that client is begun. So no reply is dropped, and what waits for one client is bounded.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import zmq
import zmq.asyncio

from ..errors import UsageError
from ..wire.keys import Authorization
from ..wire.operations import Operation, Permission

MAX_REQUEST_BYTES = 16 << 20
"""A client that sends more is disconnected by ZeroMQ."""
MOST_UNREAD = 128
"""Replies to one client that libzmq keeps until it reads, besides a thousand at the client's end; later ones wait here."""
MOST_REFUSALS = 1024
"""Messages that may wait for one client for a refusal to wait, too; with more it is dropped."""
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.25
"""Between two tries to send to a client that does not read: libzmq does not tell when one peer of a ROUTER reads again."""


@dataclass(frozen=True)
class Requester:
    """Who sent a request: a connection of a door, the same for all its requests.

    Attributes:
        role: what it may do; None for whoever has the daemon's own files, who may do everything.
        key: its public key in hexadecimal, empty without one.
    """

    door: Door
    identity: bytes
    role: Permission | None = field(default=None, compare=False)
    key: str = ""

    @property
    def client(self) -> bytes:
        """Whose requests are counted together: all of one key, else all of one connection."""
        return self.key.encode() or self.identity

    @property
    def is_reading(self) -> bool:
        """Whether no reply waits for it."""
        return self.door.is_reading(self.identity)

    async def wait_reading(self) -> None:
        """Return when no reply waits for it any more."""
        await self.door.wait_reading(self.identity)

    async def send(self, *frames: bytes) -> None:
        """Hand it a reply, once there is room; dropped if its connection has ended."""
        await self.door.send(self.identity, *frames)

    async def refuse(self, *frames: bytes) -> None:
        """Hand it a refusal, once there is room; dropped where `MOST_REFUSALS` messages wait already."""
        await self.door.refuse(self.identity, *frames)

    def offer(self, *frames: bytes) -> None:
        """Send it a message that may be dropped: without room it is."""
        self.door.offer(self.identity, *frames)

    def check(self, operation: Operation[..., Any]) -> None:
        """`UsageError` where its role does not include `operation`."""
        needed = operation.remote_permission
        if self.role is not None and not self.role.includes(needed):
            why = ", as it names files of the machine's host" if operation.host_files else ""
            raise UsageError(
                f"{operation.name} needs the role {needed.value}{why}, and this key has {self.role.value}; have the machine's"
                " owner allow it more"
            )


class _Waiting:
    """Replies to one connection that wait for room: how many, whose turn it is, and when none is left."""

    def __init__(self) -> None:
        self.count, self.turn, self.over = 0, asyncio.Lock(), asyncio.Event()


class Door:
    """The ROUTER socket of clients on this host, who may do everything."""

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        socket.setsockopt(zmq.SNDHWM, MOST_UNREAD)
        # Without it libzmq drops in silence what it has no room for.
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket = socket
        self._waiting: dict[bytes, _Waiting] = {}

    async def receive(self) -> tuple[Requester, bytes]:
        """The next request, and who sent it."""
        identity, *frames = await self._socket.recv_multipart()
        return Requester(self, identity), frames[0] if frames else b""

    async def send(self, identity: bytes, *frames: bytes) -> None:
        """Hand a reply to the connection of `identity` to libzmq, after those that wait; dropped if that has ended."""
        if identity not in self._waiting and self._try(identity, frames):
            return
        waiting = self._waiting.setdefault(identity, _Waiting())
        waiting.count += 1
        try:
            async with waiting.turn:
                pause_s = _SHORTEST_PAUSE_S
                while not self._try(identity, frames):
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        finally:
            waiting.count -= 1
            if not waiting.count:
                del self._waiting[identity]
                waiting.over.set()

    async def refuse(self, identity: bytes, *frames: bytes) -> None:
        """Hand a refusal to the connection of `identity`, unless `MOST_REFUSALS` messages wait for it."""
        waiting = self._waiting.get(identity)
        if waiting is None or waiting.count < MOST_REFUSALS:
            await self.send(identity, *frames)

    def offer(self, identity: bytes, *frames: bytes) -> None:
        """Send a message to the connection of `identity` if there is room."""
        if identity not in self._waiting:
            self._try(identity, frames)

    def is_reading(self, identity: bytes) -> bool:
        """Whether no reply to the connection of `identity` waits."""
        return identity not in self._waiting

    async def wait_reading(self, identity: bytes) -> None:
        """Return when no reply to the connection of `identity` waits."""
        while (waiting := self._waiting.get(identity)) is not None:
            await waiting.over.wait()

    def _try(self, identity: bytes, frames: tuple[bytes, ...]) -> bool:
        """Hand a message to libzmq; False where it has no room for one to that connection, True also where that has ended."""
        # The socket of asyncio, not the plain one below it: it looks afterwards for requests that came meanwhile.
        try:
            sent = cast("asyncio.Future[object]", self._socket.send_multipart([identity, *frames], zmq.NOBLOCK))
            sent.result()
        except zmq.Again:
            return False
        except zmq.ZMQError:
            # EHOSTUNREACH; or the socket itself was closed, as a door for other hosts is when a client is shut out.
            return True
        return True


class CurveDoor(Door):
    """The ROUTER socket of clients on other hosts: each request is checked against what its key may do now."""

    def __init__(self, socket: zmq.asyncio.Socket, authorization: Authorization) -> None:
        super().__init__(socket)
        self._authorization = authorization

    async def receive(self) -> tuple[Requester, bytes]:
        """The next request of a key that is authorised; who is not gets no answer, not even an error."""
        while True:
            identity, *frames = await self._socket.recv_multipart(copy=False)
            if not frames:
                continue
            try:
                # Set by libzmq when the handshake proved that the client has the secret key of it.
                key = str(frames[0].get("User-Id"))
            except zmq.ZMQError:
                continue
            role = self._authorization.role_of(key)
            if role is not None:
                return Requester(self, identity.bytes, role, key), frames[0].bytes
