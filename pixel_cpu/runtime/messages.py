"""What a device and its worker process say to each other: MessagePack, each message with its length before it.

A launch carries the file descriptors of buffers that the worker has not mapped yet beside it.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import Sequence

import msgspec

MAX_MESSAGE_BYTES = 64 << 20
"""A longer message ends the connection."""


class CompileKernel(msgspec.Struct, tag="compile", frozen=True):
    """Make a kernel ready as `number` from here on: the text of its module, or what a back end `prepared` for its own process."""

    number: int
    backend: str
    text: str
    kernel: str
    options: dict[str, str | int | bool | None] = {}
    prepared: bytes = b""


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
    gone: list[int] = []
    """Buffers that are given back first."""
    fresh: dict[int, int] = {}
    """Then buffers that are mapped: their sizes by number, in the order of the descriptors."""
    wants_traps: bool = False
    part: tuple[int, int | None, int] | None = None
    """First lane, last lane and budget of a `Part`."""
    stop: Operand | None = None
    """The word that stops a part."""


class Done(msgspec.Struct, tag="done", frozen=True):
    """What was asked is done; `outcome` of a launch as built-in types, and when it ran, in nanoseconds of the monotonic clock."""

    outcome: msgspec.Raw = msgspec.Raw(b"\xc0")
    began_ns: int = 0
    ended_ns: int = 0


class Failed(msgspec.Struct, tag="failed", frozen=True):
    """It was not; `kind` names a class of `pixel_cpu.errors`."""

    kind: str
    message: str


Request = CompileKernel | RunKernel
Reply = Done | Failed
_LENGTH = struct.Struct("<I")
_READ_BYTES = 1 << 16
_MOST_DESCRIPTORS = 253
"""What Linux passes with one write."""
_BESIDE_BYTES = socket.CMSG_SPACE(4 * _MOST_DESCRIPTORS)


class Channel:
    """One end of the connection: `send` and `receive` whole messages."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._encoder = msgspec.msgpack.Encoder()
        self._requests = msgspec.msgpack.Decoder(Request)
        self._replies = msgspec.msgpack.Decoder(Reply)
        self._data = bytearray()
        self._descriptors: list[int] = []

    def send(self, message: Request | Reply, descriptors: Sequence[int] = ()) -> None:
        """Send one message; `OSError` when the other end is gone."""
        body = self._encoder.encode(message)
        whole, sent = _LENGTH.pack(len(body)) + body, 0
        for first in range(0, len(descriptors), _MOST_DESCRIPTORS):
            some = array.array("i", descriptors[first : first + _MOST_DESCRIPTORS])
            sent += self.connection.sendmsg([whole[sent : sent + 1]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, some)])
        self.connection.sendall(whole[sent:])

    def receive_request(self) -> tuple[Request, list[int]]:
        """The next request and the descriptors beside it; `EOFError` when the other end is gone."""
        body = self._receive()
        descriptors, self._descriptors = self._descriptors, []
        try:
            return self._requests.decode(body), descriptors
        except msgspec.ValidationError:
            for descriptor in descriptors:
                os.close(descriptor)
            raise

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
        part, beside, _, _ = self.connection.recvmsg(_READ_BYTES, _BESIDE_BYTES, socket.MSG_CMSG_CLOEXEC)
        if not part:
            raise EOFError("the other end closed the connection")
        for _, kind, payload in beside:
            if kind == socket.SCM_RIGHTS:
                self._descriptors += array.array("i", payload)
        self._data += part
        if len(self._data) >= _LENGTH.size and (size := _LENGTH.unpack_from(self._data)[0]) > MAX_MESSAGE_BYTES:
            raise EOFError(f"a message of {size} bytes")
