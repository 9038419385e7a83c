"""What a device and its worker process say to each other: MessagePack, each message with its length before it.

A message that maps a buffer carries the file descriptor of its memory beside it.
"""

from __future__ import annotations

import array
import socket
import struct

import msgspec

MAX_MESSAGE_BYTES = 64 << 20
"""A longer message ends the connection."""


class MapBuffer(msgspec.Struct, tag="map", frozen=True):
    """Map the shared memory whose descriptor comes along, as buffer `number`."""

    number: int
    size: int


class UnmapBuffer(msgspec.Struct, tag="unmap", frozen=True):
    """Forget buffer `number`."""

    number: int


class CompileKernel(msgspec.Struct, tag="compile", frozen=True):
    """Make a kernel ready: the text of its module, as `number` from here on."""

    number: int
    backend: str
    text: str
    kernel: str
    options: dict[str, str | int | bool] = {}


class Operand(msgspec.Struct, frozen=True, array_like=True):
    """A part of a mapped buffer: `count` elements of `dtype` from byte `offset` on."""

    buffer: int
    offset: int
    dtype: str
    count: int


class RunKernel(msgspec.Struct, tag="run", frozen=True):
    """Launch a kernel that was made ready."""

    number: int
    lanes: int
    group: int
    scalars: dict[str, int | float | bool]
    buffers: dict[str, Operand]
    fuel: int
    printed_lines: int


class Done(msgspec.Struct, tag="done", frozen=True):
    """What was asked is done; `outcome` of a launch as built-in types."""

    outcome: msgspec.Raw = msgspec.Raw(b"\xc0")


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """It was not; `kind` names a class of `pixel_cpu.errors`."""

    kind: str
    message: str


Request = MapBuffer | UnmapBuffer | CompileKernel | RunKernel
Reply = Done | Failed
_LENGTH = struct.Struct("<I")


class Channel:
    """One end of the connection: `send` and `receive` whole messages."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._encoder = msgspec.msgpack.Encoder()
        self._requests = msgspec.msgpack.Decoder(Request)
        self._replies = msgspec.msgpack.Decoder(Reply)

    def send(self, message: Request | Reply, descriptor: int | None = None) -> None:
        """Send one message; `OSError` when the other end is gone."""
        body = self._encoder.encode(message)
        beside = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        sent = self.connection.sendmsg([_LENGTH.pack(len(body)), body], beside)
        rest = memoryview(_LENGTH.pack(len(body)) + body)[sent:]
        if rest:
            self.connection.sendall(rest)

    def receive_request(self) -> tuple[Request, int | None]:
        """The next request and the descriptor beside it; `EOFError` when the other end is gone."""
        body, descriptor = self._receive()
        return self._requests.decode(body), descriptor

    def receive_reply(self) -> Reply:
        """The next reply; `EOFError` when the other end is gone."""
        reply: Reply = self._replies.decode(self._receive()[0])
        return reply

    def _receive(self) -> tuple[bytes, int | None]:
        head, descriptor = self._exactly(_LENGTH.size)
        (size,) = _LENGTH.unpack(head)
        if size > MAX_MESSAGE_BYTES:
            raise EOFError(f"a message of {size} bytes")
        body, other = self._exactly(size)
        return body, descriptor if descriptor is not None else other

    def _exactly(self, size: int) -> tuple[bytes, int | None]:
        data, descriptor = bytearray(), None
        room = socket.CMSG_SPACE(4)
        while len(data) < size:
            part, beside, _, _ = self.connection.recvmsg(size - len(data), room, socket.MSG_CMSG_CLOEXEC)
            if not part:
                raise EOFError("the other end closed the connection")
            data += part
            for _, kind, payload in beside:
                if kind == socket.SCM_RIGHTS:
                    (descriptor,) = struct.unpack("i", payload[:4])
        return bytes(data), descriptor
