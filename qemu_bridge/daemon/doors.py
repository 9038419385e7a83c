"""The control sockets of a machine, and who asks through them: clients on this host, or on others by CURVE key and role."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import zmq
import zmq.asyncio

from ..errors import UsageError
from ..wire.keys import Authorization
from ..wire.operations import Operation, Permission

MAX_REQUEST_BYTES = 16 << 20
"""A client that sends more is disconnected by ZeroMQ."""
MOST_UNREAD = 128
"""Replies to one client that wait here until it reads; more are dropped. Another thousand wait at the client's end."""


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

    async def send(self, *frames: bytes) -> None:
        """Send it a message, unless its connection was ended meanwhile."""
        await self.door.send(self.identity, *frames)

    def check(self, operation: Operation[..., Any]) -> None:
        """`UsageError` where its role does not include `operation`."""
        needed = operation.remote_permission
        if self.role is not None and not self.role.includes(needed):
            why = ", as it names files of the machine's host" if operation.host_files else ""
            raise UsageError(
                f"{operation.name} needs the role {needed.value}{why}, and this key has {self.role.value}; have the machine's"
                " owner allow it more"
            )


class Door:
    """The ROUTER socket of clients on this host, who may do everything."""

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_REQUEST_BYTES)
        socket.setsockopt(zmq.SNDHWM, MOST_UNREAD)
        self._socket = socket

    async def receive(self) -> tuple[Requester, bytes]:
        """The next request, and who sent it."""
        identity, *frames = await self._socket.recv_multipart()
        return Requester(self, identity), frames[0] if frames else b""

    async def send(self, identity: bytes, *frames: bytes) -> None:
        """Send a message to the connection of `identity`."""
        await self._socket.send_multipart([identity, *frames])


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

    async def send(self, identity: bytes, *frames: bytes) -> None:
        """Send a message, unless the socket was closed meanwhile."""
        with contextlib.suppress(zmq.ZMQError):
            await super().send(identity, *frames)
