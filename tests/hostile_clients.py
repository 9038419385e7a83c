"""Clients that break the rules, on raw sockets: ZMTP 3.0 by hand, so that nothing of a library keeps them from it.

``python hostile_clients.py CONTROL COUNT SEED`` sends so many random requests, reads an answer to each, and prints how many were
refusals.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import sys

_GREETING = b"\xff" + bytes(8) + b"\x7f" + bytes([3, 0]) + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
_MORE, _LONG, _COMMAND = 1, 2, 4
_BATCH = 32


def connect(endpoint: str, kind: bytes = b"DEALER") -> socket.socket:
    """A connection to `endpoint` (``ipc://…``) as a socket of `kind`, its handshake done."""
    raw = socket.socket(socket.AF_UNIX)
    raw.settimeout(120)
    raw.connect(endpoint.removeprefix("ipc://"))
    raw.sendall(_GREETING)
    _read(raw, len(_GREETING))
    name = b"Socket-Type"
    ready = b"\x05READY" + bytes([len(name)]) + name + struct.pack(">I", len(kind)) + kind
    raw.sendall(bytes([_COMMAND, len(ready)]) + ready)
    _read_frame(raw)
    return raw


def frame(body: bytes, more: bool = False) -> bytes:
    """A frame with `body`."""
    return announce(len(body), more) + body


def announce(length: int, more: bool = False) -> bytes:
    """The head of a frame that claims to have `length` bytes."""
    return struct.pack(">BQ", _LONG | (_MORE if more else 0), length)


def message(*bodies: bytes) -> bytes:
    """A message of several frames."""
    return b"".join(frame(body, number < len(bodies) - 1) for number, body in enumerate(bodies))


def request(operation: str, number: int | str = 1, **arguments: object) -> bytes:
    """A request as docs/protocol.md has it."""
    return json.dumps({"protocol": 3, "id": number, "operation": operation, "arguments": arguments}).encode()


def read_message(raw: socket.socket) -> list[bytes]:
    """The next message; `ConnectionError` when the other end has closed."""
    frames = []
    while True:
        flags, body = _read_frame(raw)
        if flags & _COMMAND:
            continue
        frames.append(body)
        if not flags & _MORE:
            return frames


def is_closed(raw: socket.socket) -> bool:
    """Whether the other end closes the connection, waiting for that or for anything else to come."""
    try:
        return raw.recv(1) == b""
    except ConnectionError:
        return True


def _read_frame(raw: socket.socket) -> tuple[int, bytes]:
    flags = _read(raw, 1)[0]
    (length,) = struct.unpack(">Q", _read(raw, 8)) if flags & _LONG else _read(raw, 1)
    return flags, _read(raw, length)


def _read(raw: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        part = raw.recv(min(length - len(found), 1 << 20))
        if not part:
            raise ConnectionError("closed")
        found += part
    return found


def random_message(chance: random.Random) -> list[bytes]:
    """The frames of a request that is most likely none: bytes, damaged JSON, JSON of other shapes, verbs that are not there."""
    kind = chance.randrange(8)
    whole = request(chance.choice(["status", "trace_status", "kernel", "ps", "sym"]), chance.randrange(1 << 70))
    if kind == 0:
        return [chance.randbytes(chance.randrange(200))]
    if kind == 1:
        broken = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        return [bytes(broken)]
    if kind == 2:
        return [whole[: chance.randrange(len(whole))]]
    if kind == 3:
        return [request("".join(chance.choices("abcdefghij_", k=chance.randrange(60))))]
    if kind == 4:
        return [chance.choice([b"[", b'{"a":', b"[{"]) * chance.randrange(3000)]
    if kind == 5:
        value = chance.choice([None, -1, 1e308, "x" * chance.randrange(5000), [], {}, True, [[]] * 9, {"pid": {}}])
        field = chance.choice(["protocol", "id", "operation", "arguments"])
        return [json.dumps(json.loads(whole) | {field: value}).encode()]
    if kind == 6:
        wrong = chance.choice(
            [{"pid": "x"}, {"pid": -1}, {"pid": 1 << 80}, {"ranges": [[1, -1]]}, {"symbol": "\0" * 99}]
        )
        return [request(chance.choice(["maps", "read_memory", "sym", "identify"]), **wrong)]
    return [chance.randbytes(chance.randrange(9)) for _ in range(chance.randrange(1, 7))]


def main() -> None:
    """Send random requests and count the refusals."""
    endpoint, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    chance, refused = random.Random(seed), 0
    with connect(endpoint) as raw:
        for first in range(0, count, _BATCH):
            batch = [message(*random_message(chance)) for _ in range(min(_BATCH, count - first))]
            raw.sendall(b"".join(batch))
            for _ in batch:
                refused += not json.loads(read_message(raw)[0])["ok"]
    print(refused)


if __name__ == "__main__":
    main()
