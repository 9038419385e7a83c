"""Where networks are, and how a machine joins one.

``<runtime>/glassbox/nets`` has ``NAME.socket`` of each network's switch and ``NAME.lock``, which the switch holds for as long as it
lives. The first machine starts the switch; it ends some seconds after its last machine has gone. A machine's QEMU listens on
a socket that it inherits, and the switch connects to that: however a QEMU ends, its port is free at once, and where a switch
was killed the next one connects to the same QEMU.

>>> with open_link("lab", "demo") as link:
...     link.place.address
'10.77.0.1/24'
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..errors import HostError, MachineError, MachineGoneError, UsageError
from ..host.folders import own_folder, runtime_folder
from ..wire.network_records import Accepted, AnyRequest, Join, Place, Refused

ANSWER_TIME_S = 20.0
"""A switch that says nothing for so long is given up."""
MOST_ANSWER_BYTES = 1 << 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_UNIX_PATH_LIMIT = 107
_RETRY_S = 0.02


def networks_folder() -> Path:
    """The folder of networks, mode 0700, created when missing."""
    return own_folder(runtime_folder() / "nets", "folder of networks", "XDG_RUNTIME_DIR")


def socket_path(name: str) -> Path:
    """The socket of network `name`; `UsageError` for a name that no network can have."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not a valid name of a network; use up to 40 letters, digits, '.', '_' and '-'")
    path = networks_folder() / f"{name}.socket"
    if len(os.fsencode(path)) > _UNIX_PATH_LIMIT:
        raise UsageError(f"the socket path {path} is too long for the kernel; use a shorter name or XDG_RUNTIME_DIR")
    return path


def iter_networks() -> Iterator[str]:
    """Yield the names of running networks, sorted; what killed switches left behind is removed."""
    for path in sorted(networks_folder().glob("*.socket")):
        if (lock := acquire_lock(path.stem)) is None:
            yield path.stem
        else:
            release(path.stem, lock)


def acquire_lock(name: str) -> int | None:
    """The descriptor of network `name`'s lock, None while a switch holds it."""
    path = networks_folder() / f"{name}.lock"
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who had it may have removed the file in between.
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass
        os.close(descriptor)


def release(name: str, lock: int) -> None:
    """Remove the files of network `name` and give up its `lock`."""
    for suffix in ("socket", "log", "lock"):
        (networks_folder() / f"{name}.{suffix}").unlink(missing_ok=True)
    os.close(lock)


@dataclass(slots=True)
class Link:
    """A machine's socket, connected to a switch or one that the switch has connected to, and its place there.

    Closes the socket as a context.
    """

    socket: socket.socket
    place: Place

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def open_link(network: str, machine: str) -> Link:
    """A socket for `machine`'s QEMU to listen on, to which the switch of `network` has connected; errors as of `join`."""
    path = link_path(machine)
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(os.fspath(path))
        listening.listen(1)
        return Link(listening, connect_link(network, machine))
    except BaseException:
        listening.close()
        raise


def connect_link(network: str, machine: str) -> Place:
    """Have the switch of `network` connect to the socket of `machine`'s QEMU; returns its place, errors as of `join`."""
    link = _join(network, Join(machine, os.fspath(link_path(machine))))
    link.socket.close()
    return link.place


def link_path(machine: str) -> Path:
    """Where the QEMU of `machine` listens for a switch."""
    return runtime_folder() / f"{machine}.link"


def join(network: str, machine: str) -> Link:
    """Connect `machine`, which needs no QEMU, to `network`, whose switch is started where none runs.

    Raises `UsageError` for an invalid name, `MachineError` when the switch refuses or does not answer.
    """
    return _join(network, Join(machine))


def _join(network: str, request: Join) -> Link:
    path = socket_path(network)
    deadline = time.monotonic() + ANSWER_TIME_S
    while time.monotonic() < deadline:
        # One that is just ending does not answer; the next one does.
        with contextlib.suppress(ConnectionError, FileNotFoundError, MachineGoneError):
            connection, answer, _ = ask(path, request)
            if answer.place is not None:
                return Link(connection, answer.place)
        # Where somebody has the lock, a switch is starting or ending.
        if (lock := acquire_lock(network)) is not None:
            os.close(lock)
            _start_switch(network)
        time.sleep(_RETRY_S)
    raise MachineError(f"the switch of network {network!r} does not answer; see {path.with_suffix('.log')}")


def _start_switch(network: str) -> None:
    """Start a switch, which goes on as a process of nobody's once it listens; without effect where one runs."""
    log = os.open(networks_folder() / f"{network}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        subprocess.run(
            [sys.executable, "-m", "qemu_bridge.network", network],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            timeout=ANSWER_TIME_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pass
    except OSError as error:
        raise HostError(f"the switch of network {network!r} cannot be started ({error}); free some memory") from None
    finally:
        os.close(log)


def ask(path: Path, request: AnyRequest) -> tuple[socket.socket, Accepted, bytes]:
    """Send `request` to the switch at `path`; returns the socket, the answer and what came behind it.

    `MachineError` with the switch's reason where it refuses; `MachineGoneError` or `OSError` where there is none.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(ANSWER_TIME_S)
        connection.connect(os.fspath(path))
        connection.sendall(msgspec.json.encode(request) + b"\n")
        text = b""
        while b"\n" not in text:
            more = connection.recv(MOST_ANSWER_BYTES)
            if not more or len(text) > MOST_ANSWER_BYTES:
                raise MachineGoneError("the network has ended; start a machine on it again")
            text += more
        line, _, rest = text.partition(b"\n")
        answer: Accepted | Refused = msgspec.json.decode(line, type=Accepted | Refused)
        if isinstance(answer, Refused):
            raise MachineError(answer.reason)
        connection.settimeout(None)
        return connection, answer, rest
    except BaseException:
        connection.close()
        raise
