"""Launch events: what launches did, told to whoever listens, such as a window of the viewer.

A listener has a socket in the folder ``launches`` of the runtime folder. A program that launches looks there twice a second at
most; while nobody listens, a launch costs a look at the clock. Nothing is kept, and no launch waits for a listener: what one is
too slow for is lost, and counted.

>>> with Listener() as listener:
...     while events := listener.receive(timeout_s=60):
...         print(*(f"{event.kernel} on {event.backend}: {event.seconds} s" for event in events), sep="\\n")
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import selectors
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np

from qemu_bridge.errors import GlassBoxError, HostError
from qemu_bridge.host.folders import own_folder, runtime_folder, runtime_path

from ..backends.launch import Array, Counters, Launch, Outcome, Trap
from ..ir.model import Kernel, Module, reachable, walk

LOOK_S = 0.5
"""A program looks for new listeners so often, at most, and when it launches."""
MOST_BUFFERS, MOST_TEXT = 64, 300
"""Buffers of an event, and letters of an error or a name in it; the rest is left out."""
MOST_BYTES = 64 << 10
"""An event is shorter."""
_MOST_AT_ONCE = 500
_SEND_BYTES = 1 << 20
"""What waits for a listener, of one program."""


class BufferUse(msgspec.Struct, frozen=True):
    """A buffer of a launch. `address` is that of the array in the program that launched; 0 where the buffer is on a device.

    `place` says how the device sees it: ``shared``, ``copied`` there and back, ``in place``, ``on the device``.
    """

    name: str
    type: str
    elements: int
    bytes: int
    is_loaded: bool
    is_stored: bool
    place: str
    address: int


class LaunchEvent(msgspec.Struct, frozen=True):
    """One launch that ended. `number` counts those of its program that were told, from 1; `begun` is in seconds since 1970.

    `backend` is what really ran; both it and the times are empty where `error` says why there is no outcome. `printed` counts lines.
    """

    pid: int
    program: str
    number: int
    device: str
    kernel: str
    lanes: int
    group: int
    begun: float
    scalars: dict[str, int | float | bool]
    buffers: tuple[BufferUse, ...]
    backend: str = ""
    seconds: float = 0.0
    build_seconds: float = 0.0
    device_seconds: float | None = None
    counters: Counters | None = None
    trap: Trap | None = None
    traps: int = 0
    printed: int = 0
    error: str = ""

    @property
    def moved_bytes(self) -> int:
        """Bytes that lanes loaded and stored where that was counted, else those of the buffers, once for each way that they are used."""
        if self.counters is not None and self.counters.instructions:
            return self.counters.bytes_loaded + self.counters.bytes_stored
        return sum(buffer.bytes * (buffer.is_loaded + buffer.is_stored) for buffer in self.buffers)

    @property
    def bytes_per_second(self) -> float:
        """`moved_bytes` by the launch's time; 0 where that is not known."""
        return self.moved_bytes / self.seconds if self.seconds > 0 else 0.0

    @property
    def is_counted(self) -> bool:
        """Whether the back end counted what the lanes did."""
        return self.counters is not None and self.counters.instructions > 0

    @property
    def divergence(self) -> float:
        """Share of the branches, a group each, whose lanes took more than one way."""
        return self.counters.divergent / self.counters.branches if self.counters and self.counters.branches else 0.0


_DECODER = msgspec.msgpack.Decoder(LaunchEvent)


def _folder() -> Path:
    return runtime_path() / "launches"


def _connect(path: Path) -> socket.socket | None:
    """A connection to the listener at `path`; None where it is busy, or dead: then its socket is removed."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
        connection.connect(os.fspath(path))
    except OSError as error:
        connection.close()
        if isinstance(error, ConnectionRefusedError):
            path.unlink(missing_ok=True)
        return None
    return connection


def _listener_paths() -> list[Path]:
    # A name that begins with a dot is of a listener that does not listen yet.
    try:
        paths = [path for path in _folder().iterdir() if not path.name.startswith(".")]
        if paths:
            runtime_folder()  # refuses a folder that another user has put there
    except (OSError, GlassBoxError):
        return []
    return paths


class Announcer:
    """Tells listeners of this program's launches; threads may share it."""

    def __init__(self) -> None:
        self._next_look_s = 0.0
        self._number = 0
        self._connections: dict[Path, socket.socket] = {}
        # What does not change from launch to launch: a buffer's name and type, and how it is used.
        self._buffers: weakref.WeakKeyDictionary[Kernel, list[tuple[str, str, bool, bool]]]
        self._buffers = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def is_heard(self) -> bool:
        """Whether anybody listens, as far as is known."""
        now_s = time.monotonic()
        if now_s >= self._next_look_s:
            with self._lock:
                self._next_look_s = now_s + LOOK_S
                self._look()
        return bool(self._connections)

    def announce(
        self,
        module: Module,
        kernel: str,
        launch: Launch,
        device: str,
        place_of: Callable[[Array], str],
        run: Callable[[], Outcome],
    ) -> Outcome:
        """What `run` gives or raises, and an event of it. `place_of` says how the device sees an array."""
        # Asked before: the launch may change what a device keeps.
        buffers = tuple(
            _buffer(about, launch.buffers[about[0]], place_of) for about in self._about_buffers(module, kernel)
        )
        begun = time.time()
        outcome, text = None, ""
        try:
            outcome = run()
            return outcome
        except BaseException as error:
            text = str(error) or type(error).__name__
            raise
        finally:
            with self._lock:
                self._number += 1
                event = _event(self._number, device, kernel, launch, begun, buffers, outcome, text)
                self._send(msgspec.msgpack.encode(event))

    def _about_buffers(self, module: Module, kernel: str) -> list[tuple[str, str, bool, bool]]:
        definition = module.kernels[kernel]
        found = self._buffers.get(definition)
        if found is None:
            uses = buffer_uses(module, definition)
            kept = definition.buffers[:MOST_BUFFERS]
            found = [(memory.name, memory.element.value, *uses[memory.name]) for memory in kept]
            self._buffers[definition] = found
        return found

    def close(self) -> None:
        """Leave all listeners."""
        with self._lock:
            while self._connections:
                self._connections.popitem()[1].close()

    def _look(self) -> None:
        paths = _listener_paths()
        for gone in self._connections.keys() - set(paths):
            self._connections.pop(gone).close()
        for path in paths:
            if path not in self._connections and (connection := _connect(path)) is not None:
                self._connections[path] = connection

    def _send(self, message: bytes) -> None:
        for path, connection in list(self._connections.items()):
            try:
                connection.send(message)
            except BlockingIOError:
                pass  # it is too slow, and sees from the numbers that some are lost
            except OSError:
                self._connections.pop(path).close()


ANNOUNCER = Announcer()
"""Of this process."""
atexit.register(ANNOUNCER.close)


def buffer_uses(module: Module, kernel: Kernel) -> dict[str, tuple[bool, bool]]:
    """By buffer, whether the kernel has operations that load from it, and that store to it."""
    found = {memory.name: (False, False) for memory in kernel.buffers}
    for body in (kernel.body, *(function.body for function in reachable(module, kernel))):
        for op in walk(body):
            if op.memory is not None and op.is_access and op.memory.name in found:
                loaded, stored = found[op.memory.name]
                found[op.memory.name] = loaded or op.name != "store", stored or op.name != "load"
    return found


def _buffer(about: tuple[str, str, bool, bool], array: Array, place_of: Callable[[Array], str]) -> BufferUse:
    name, element, is_loaded, is_stored = about
    size = len(array) * array.dtype.itemsize
    place, address = "on the device", 0
    if isinstance(array, np.ndarray):
        place, address = place_of(array), int(array.__array_interface__["data"][0])
    return BufferUse(name[:MOST_TEXT], element, len(array), size, is_loaded, is_stored, place, address)


def _event(
    number: int,
    device: str,
    kernel: str,
    launch: Launch,
    begun: float,
    buffers: tuple[BufferUse, ...],
    outcome: Outcome | None,
    error: str,
) -> LaunchEvent:
    scalars = {name[:MOST_TEXT]: value for name, value in list(launch.scalars.items())[:MOST_BUFFERS]}
    about = (os.getpid(), _program(), number, device, kernel[:MOST_TEXT], launch.lanes, launch.group, begun)
    if outcome is None:
        return LaunchEvent(*about, scalars, buffers, error=_text(error))
    trap = outcome.trap and Trap(outcome.trap.lane, outcome.trap.reason[:MOST_TEXT], outcome.trap.line)
    return LaunchEvent(
        *about,
        scalars,
        buffers,
        outcome.backend[:MOST_TEXT],
        outcome.seconds,
        outcome.build_seconds,
        outcome.device_seconds,
        outcome.counters,
        trap,
        outcome.traps,
        len(outcome.printed),
    )


@cache
def _program() -> str:
    # A module that python runs with -m is named by its file; a notebook's by that of its kernel.
    path = Path(sys.argv[0] if sys.argv else "")
    name = path.parent.name if path.name == "__main__.py" else path.name
    return _text(name or "python")


def _text(text: str) -> str:
    # Names of files may hold bytes that are no text, which cannot be sent.
    return text.encode(errors="replace").decode()[:MOST_TEXT]


class Listener:
    """Hears the launches of all programs of this user, from now on.

    Attributes:
        lost: events that it was too slow for.
    """

    def __init__(self) -> None:
        """Raises `HostError` where the runtime folder cannot be used."""
        folder = own_folder(runtime_folder() / "launches", "folder for launch events", "XDG_RUNTIME_DIR")
        for path in _listener_paths():
            if (other := _connect(path)) is not None:  # a dead one's socket is removed
                other.close()
        self.lost = 0
        self._numbers: dict[int, int] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        name = secrets.token_hex(4)
        draft, self._path = folder / f".{name}", folder / name
        try:
            self._socket.bind(os.fspath(draft))
            self._socket.listen(128)
            draft.rename(self._path)  # who connects before it listens would take it for dead
        except OSError as error:
            self._socket.close()
            raise HostError(f"cannot listen in {folder} ({error}); set XDG_RUNTIME_DIR to a folder of yours") from None
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def receive(self, timeout_s: float | None = None) -> list[LaunchEvent]:
        """Events that came, oldest first; waits for the first. Empty after `timeout_s` seconds without one, and after `wake`."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            left_s = None if deadline_s is None else max(deadline_s - time.monotonic(), 0.0)
            ready = self._selector.select(left_s)
            found: list[LaunchEvent] = []
            for key, _ in ready:
                if key.fileobj is self._socket:
                    self._accept()
                elif key.fileobj == self._wake:
                    os.eventfd_read(self._wake)
                    return found
                elif isinstance(key.fileobj, socket.socket):
                    self._drain(key.fileobj, found)
            if found or not ready:
                return sorted(found, key=lambda event: event.begun)

    def wake(self) -> None:
        """Have a `receive` of another thread return."""
        with contextlib.suppress(OSError):
            os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Listen no more."""
        self._path.unlink(missing_ok=True)
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()
        os.close(self._wake)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._socket.accept()
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ)

    def _drain(self, connection: socket.socket, found: list[LaunchEvent]) -> None:
        try:
            for _ in range(_MOST_AT_ONCE):
                message = connection.recv(MOST_BYTES)
                if not message:
                    raise ConnectionResetError
                with contextlib.suppress(msgspec.DecodeError):  # of another version
                    event = _DECODER.decode(message)
                    self.lost += max(event.number - self._numbers.get(event.pid, event.number - 1) - 1, 0)
                    self._numbers[event.pid] = event.number
                    found.append(event)
        except BlockingIOError:
            pass
        except OSError:
            self._selector.unregister(connection)
            connection.close()
