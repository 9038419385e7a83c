"""What a client may ask a running network: who is on it, its flows once or as they change, its frames.

>>> read_flows("lab").flows[0].source.process
'nc'
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec

from ..errors import MachineError, MachineGoneError, UsageError
from ..wire.network_records import AnyRequest, AskFlows, AskNetwork, Capture, Flow, Flows, Follow, NetworkStatus
from .place import ask, iter_networks, socket_path

_READ_BYTES = 1 << 20

R = TypeVar("R")


def read_status(network: str) -> NetworkStatus:
    """Who is on `network`; `UsageError` with those that run if there is no such network."""
    return _read(network, AskNetwork(), NetworkStatus)


def read_flows(network: str) -> Flows:
    """The flows of `network`, oldest first; errors as of `read_status`."""
    return _read(network, AskFlows(), Flows)


def follow_flows(network: str) -> Iterator[Flow]:
    """Yield a flow of `network` whenever one is new, was named or has ended, until the network ends; errors as of `read_status`."""
    connection, rest = _ask(network, Follow())
    with connection:
        for line in _lines(connection, rest):
            yield msgspec.json.decode(line, type=Flow)


def capture_frames(
    network: str, write: Callable[[bytes], object], seconds: float | None = None, limit_bytes: int | None = None
) -> bool:
    """Pass every frame of `network` from now on to `write`, as pcapng, until the network ends, for `seconds`, or up to
    `limit_bytes`; errors as of `read_status`. Returns False if the limit ended it.

    Interrupted by `KeyboardInterrupt` it still writes the statistics that a capture ends with, and raises it again.
    """
    connection, rest = _ask(network, Capture())
    with connection:
        size = len(rest)
        write(rest)
        try:
            for data in _chunks(connection, seconds):
                write(data)
                size += len(data)
                if limit_bytes is not None and size >= limit_bytes:
                    return False
        except KeyboardInterrupt:
            _finish(connection, write)
            raise
        _finish(connection, write)
    return True


def _chunks(connection: socket.socket, seconds: float | None) -> Iterator[bytes]:
    deadline = None if seconds is None else time.monotonic() + seconds
    while deadline is None or (left := deadline - time.monotonic()) > 0:
        connection.settimeout(None if deadline is None else left)
        try:
            data = connection.recv(_READ_BYTES)
        except TimeoutError:
            return
        if not data:
            return
        yield data


def _finish(connection: socket.socket, write: Callable[[bytes], object]) -> None:
    """End a capture: what the switch still has to send is written."""
    connection.settimeout(None)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(_READ_BYTES):
            write(data)


def _read(network: str, request: AnyRequest, kind: type[R]) -> R:
    connection, rest = _ask(network, request)
    with connection:
        line = next(_lines(connection, rest), None)
    if line is None:
        raise MachineGoneError(f"network {network!r} has just ended")
    return msgspec.json.decode(line, type=kind)


def _ask(network: str, request: AnyRequest) -> tuple[socket.socket, bytes]:
    try:
        connection, _, rest = ask(socket_path(network), request)
    except (OSError, MachineGoneError) as error:
        if isinstance(error, TimeoutError):
            raise MachineError(
                f"the switch of network {network!r} does not answer; see its log beside its socket"
            ) from None
        running = ", ".join(iter_networks())
        hint = f"running: {running}" if running else f"'glassbox start NAME --net {network}' starts it"
        raise UsageError(f"there is no network {network!r}; {hint}") from None
    return connection, rest


def _lines(connection: socket.socket, rest: bytes) -> Iterator[bytes]:
    while True:
        *lines, rest = rest.split(b"\n")
        yield from lines
        data = connection.recv(_READ_BYTES)
        if not data:
            return
        rest += data
