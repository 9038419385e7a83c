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
_READ_BYTES = 1 << 16


class Channel:
    """One end of the connection: `send` and `receive` whole messages."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._encoder = msgspec.msgpack.Encoder()
        self._requests = msgspec.msgpack.Decoder(Request)
        self._replies = msgspec.msgpack.Decoder(Reply)
        self._data = bytearray()
        self._descriptors: list[int] = []

    def send(self, message: Request | Reply, descriptor: int | None = None) -> None:
        """Send one message; `OSError` when the other end is gone."""
        body = self._encoder.encode(message)
        whole = _LENGTH.pack(len(body)) + body
        beside = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        sent = self.connection.sendmsg([whole], beside)
        if sent < len(whole):
            self.connection.sendall(memoryview(whole)[sent:])

    def receive_request(self) -> tuple[Request, int | None]:
        """The next request and the descriptor beside it; `EOFError` when the other end is gone."""
        request: Request = self._requests.decode(self._receive())
        return request, self._descriptors.pop(0) if isinstance(request, MapBuffer) else None

    def receive_reply(self) -> Reply:
        """The next reply; `EOFError` when the other end is gone."""
        reply: Reply = self._replies.decode(self._receive())
        return reply

    def _receive(self) -> bytes:
        """The body of the next message. Most come with one read, their lengths before them."""
        data = self._data
        while len(data) < _LENGTH.size or len(data) < _LENGTH.size + _LENGTH.unpack_from(data)[0]:
            self._read()
        end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
        body = bytes(data[_LENGTH.size : end])
        del data[:end]
        return body

    def _read(self) -> None:
        part, beside, _, _ = self.connection.recvmsg(_READ_BYTES, socket.CMSG_SPACE(4), socket.MSG_CMSG_CLOEXEC)
        if not part:
            raise EOFError("the other end closed the connection")
        for _, kind, payload in beside:
            if kind == socket.SCM_RIGHTS:
                self._descriptors += struct.unpack("i", payload[:4])
        self._data += part
        if len(self._data) >= _LENGTH.size and (size := _LENGTH.unpack_from(self._data)[0]) > MAX_MESSAGE_BYTES:
            raise EOFError(f"a message of {size} bytes")
