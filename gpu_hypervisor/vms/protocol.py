"""What a process VM's keeper is asked, and what it answers: one message each way on a connection of its own."""

from __future__ import annotations

import array
import socket
import struct

import msgspec

from .limits import VmLimits

MOST_BYTES = 1 << 20
"""Of a message."""
_LENGTH = struct.Struct("<I")


class Command(msgspec.Struct, tag="run", frozen=True):
    """Run a command in a folder; its input, output and errors come beside it, as descriptors."""

    words: list[str]
    folder: str
    environment: dict[str, str]


class Ended(msgspec.Struct, tag="ended", frozen=True):
    """A command has ended: its exit status, or the negative number of the signal that ended it, and why the keeper ended it."""

    status: int
    why: str = ""


class VmStatus(msgspec.Struct, frozen=True):
    """What a VM has and had. `crashes` are commands that a signal ended, `kills` how often it had more than its limits."""

    name: str
    pid: int
    started_at: float
    limits: VmLimits
    processes: int
    memory_bytes: int
    peak_bytes: int
    commands: int
    crashes: int
    kills: int


_MESSAGE = msgspec.msgpack.Decoder(Command | Ended)


def send(connection: socket.socket, message: Command | Ended, descriptors: tuple[int, ...] = ()) -> None:
    """Send a message; `OSError` where the other end has gone."""
    body = msgspec.msgpack.encode(message)
    whole = _LENGTH.pack(len(body)) + body
    beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    sent = connection.sendmsg([whole], beside)
    connection.sendall(whole[sent:])


def receive(connection: socket.socket) -> tuple[Command | Ended, list[int]]:
    """The message and descriptors that came; `EOFError` where the other end has gone, `ValueError` for a message too long."""
    data, descriptors = bytearray(), array.array("i")
    while len(data) < _LENGTH.size or len(data) < _LENGTH.size + _LENGTH.unpack_from(data)[0]:
        part, beside, _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(16), socket.MSG_CMSG_CLOEXEC)
        for _, kind, payload in beside:
            if kind == socket.SCM_RIGHTS:
                descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
        if not part:
            raise EOFError("the other end has gone")
        data += part
        if len(data) >= _LENGTH.size and _LENGTH.unpack_from(data)[0] > MOST_BYTES:
            raise ValueError(f"a message has {MOST_BYTES} bytes at most")
    return _MESSAGE.decode(bytes(data[_LENGTH.size :])), list(descriptors)
