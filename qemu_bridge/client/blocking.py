"""The blocking client of a running machine, for scripts, notebooks and the command line.

>>> with Client.connect("demo") as demo:
...     demo.pause()
...     [process.name for process in demo.ps()][:2]
['init', 'kthreadd']
>>> demo.ram.read(PhysicalAddress(0x1000), 4)    # RAM is read in place, not through the daemon
b'\\x00\\x00\\x00\\x00'
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import zmq

from ..errors import GlassBoxError, MachineError, MachineGoneError
from ..wire import messages
from ..wire.connection import Connection
from ..wire.endpoints import is_remote
from ..wire.event_records import AnyEvent, ExitedEvent, viewer_topic
from ..wire.operations import TIMEOUT_S, Cost, Operation, Operations
from ..wire.records import Answer, ExecResult
from ..wire.trace_records import ArmOptions, TraceStatus
from ..wire.viewer_records import ViewerSession, ViewersTold
from .event_stream import Condition, decode_event, matches, validate_condition
from .local import LocalMachine, find_machine, own_pid, portable_command, shared_context

# As in `local`.
if TYPE_CHECKING:
    import numpy as np

    from ..trace.counters.heat import Heat
    from ..trace.counters.writers import LastWriter
    from ..wire.page_map import PageMap

_LIVENESS_MS, _EVENTS_LIVENESS_MS = 250, 1000
"""The daemon announces its end; polling only detects one that was killed."""
_VIEWERS_POLL_S = 0.05
PAGE_MAP_TRIES = 8

R = TypeVar("R")
Progress = Callable[[int, int], None]
"""Gets how much of a job is done, and of how much: bytes, pages or frames."""


class Client(Operations, LocalMachine):
    """A blocking client of one machine's daemon, with a method for each operation.

    Thread-safe: each thread has a socket of its own.
    """

    connect_elsewhere: ClassVar[Callable[[str], Client]]
    """How `connect` reaches another host. The package sets it: the client that does so is a subclass, which this module cannot import."""

    def __init__(self, connection: Connection, timeout_s: float = TIMEOUT_S) -> None:
        """Connect to the daemon of `connection`; an answer may take `timeout_s`."""
        super().__init__(connection)
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._is_closed = threading.Event()
        self._forget_sockets()

    @classmethod
    def connect(cls, name: str) -> Client:
        """The client of running machine `name`, or of the capture in the folder `name`.

        ``ssh://USER@HOST/NAME`` and ``tcp://ADDRESS:PORT`` are machines on other hosts (docs/remote.md).
        `UnknownMachineError` if there is no such machine, `UsageError` for a folder that is no capture.
        """
        if is_remote(name):
            return cls.connect_elsewhere(name)
        return cls(find_machine(name))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the sockets and the RAM; the machine runs on. A call that another thread waits for ends with a `MachineError`.

        Arrays taken from `ram.view` stay valid until they are collected.
        """
        with self._lock:
            self._is_closed.set()
            # That of a call is closed by the thread that waits in it.
            sockets = [socket for thread, socket in self._sockets.items() if thread not in self._calling]
            self._sockets.clear()
        for socket in sockets:
            self._disconnect(socket)
        self._give_up_files()

    def _forget_sockets(self) -> None:
        # A socket belongs to one thread of one process: a forked child begins without any.
        self._pid = own_pid()
        self._threads = threading.local()
        self._sockets: dict[threading.Thread, zmq.Socket[bytes]] = {}
        self._calling: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def call(self, operation: Operation[..., R], arguments: dict[str, Any]) -> R:
        """Execute `operation` and return its result; each operation's method calls this.

        Raises the error that the daemon reports, `MachineGoneError` if it dies meanwhile, and `MachineError` after the
        timeout.
        """
        self._check_same()
        call = messages.Call(next(self._numbers), operation, arguments)
        with self._own_socket() as socket:
            return self._exchange(socket, call)

    @contextlib.contextmanager
    def _own_socket(self) -> Iterator[zmq.Socket[bytes]]:
        """The socket of this thread, which nobody else closes meanwhile."""
        socket, thread = self._socket(), threading.current_thread()
        with self._lock:
            if self._is_closed.is_set():
                self._disconnect(socket)
                raise self._closed()
            self._calling.add(thread)
        try:
            yield socket
        finally:
            with self._lock:
                self._calling.discard(thread)
                is_ours = self._is_closed.is_set()
            if is_ours:
                self._disconnect(socket)

    def _closed(self) -> MachineError:
        return MachineError(f"this client of {self.name!r} is closed; connect another")

    def _exchange(self, socket: zmq.Socket[bytes], call: messages.Call[R]) -> R:
        socket.send(call.frame)
        try:
            return self._wait(socket, call, self._progress)
        except BaseException as error:
            # Whoever waited gives up: so does the job. What the daemon itself reports has ended already.
            if call.operation.cost is Cost.JOB and not isinstance(error, GlassBoxError):
                socket.send(messages.Call(next(self._numbers), Operations.cancel, {"request": call.number}).frame)
                with contextlib.suppress(GlassBoxError):
                    self._wait(socket, call, None)
            raise

    def _wait(self, socket: zmq.Socket[bytes], call: messages.Call[R], progress: Progress | None) -> R:
        operation = call.operation
        deadline = time.monotonic() + self._timeout_s + call.extra_time_s
        while time.monotonic() < deadline or operation.cost is Cost.JOB:
            try:
                header, *frames = socket.recv_multipart()
            except zmq.Again:
                if self._is_closed.is_set():
                    raise self._closed() from None
                if not self._is_reached(socket):
                    raise self._gone(socket) from None
                continue
            reply = messages.decode_reply(header)
            if reply.id == call.number and reply.progress is None:
                return call.result(reply, frames)
            if reply.id == call.number and reply.progress is not None and progress is not None:
                progress(*reply.progress)
        raise MachineError(
            f"the daemon of {self.name!r} did not answer {operation.name} in time; see {self.connection.log_path}"
        )

    def _socket(self) -> zmq.Socket[bytes]:
        if self._pid != own_pid():
            self._forget_sockets()
        socket: zmq.Socket[bytes] | None = getattr(self._threads, "socket", None)
        if socket is None or socket.closed:
            with self._lock:
                if self._is_closed.is_set():
                    raise self._closed()
                for thread in [thread for thread in self._sockets if not thread.is_alive()]:
                    self._disconnect(self._sockets.pop(thread))
                socket = self._threads.socket = shared_context().socket(zmq.DEALER)
                self._sockets[threading.current_thread()] = socket
            socket.linger = 0
            # Not a poll before each: that asks the system twice.
            socket.rcvtimeo = _LIVENESS_MS
            self._connect(socket, self.connection.control)
        return socket

    @property
    def _progress(self) -> Progress | None:
        callback: Progress | None = getattr(self._threads, "progress", None)
        return callback

    # --- beyond the table ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def progress(self, callback: Progress) -> Iterator[None]:
        """A context in which `callback` gets the progress of jobs: (done, total) in bytes, pages or frames."""
        before, self._threads.progress = self._progress, callback
        try:
            yield
        finally:
            self._threads.progress = before

    def stop(self) -> None:  # type: ignore[override]  # the same, and waits for the end
        """Stop the machine, or detach from an attached one, and wait for its end; its RAM file is removed then."""
        with contextlib.suppress(MachineGoneError):
            self.call(Operations.stop, {})
        deadline = time.monotonic() + TIMEOUT_S
        while self.is_alive():
            if time.monotonic() > deadline:
                raise MachineError(
                    f"the daemon of {self.name!r} does not end; kill process {self.connection.daemon_pid}"
                )
            time.sleep(0.01)

    def trace_arm(  # type: ignore[override]  # the same, with defaults that only a client knows
        self, options: ArmOptions | None = None, reader_pid: int | None = None
    ) -> TraceStatus:
        """Arm the trace; this process is its reader unless `reader_pid` is given."""
        reader_pid = os.getpid() if reader_pid is None else reader_pid
        return self.call(Operations.trace_arm, {"options": options or ArmOptions(), "reader_pid": reader_pid})

    def exec(self, command: str | Sequence[str], timeout_s: float = TIMEOUT_S) -> ExecResult:  # type: ignore[override]
        """Run a shell line, or words, as root in the guest; words may hold any bytes (`os.fsdecode`)."""
        return self.call(Operations.exec, {"command": portable_command(command), "timeout_s": timeout_s})

    def events(self, viewer: int | None = None, is_over: Callable[[], bool] = lambda: False) -> Iterator[AnyEvent]:
        """Yield the machine's events, the current state first, the machine's end last.

        It ends too when `is_over`, which is asked once a second and at each event. A viewer gives its session as `viewer`
        (`viewer_join`): it counts as open for as long as it takes events.
        """
        return self._events_until(math.inf, viewer, is_over)

    def _events_until(
        self, deadline: float, viewer: int | None = None, is_over: Callable[[], bool] = lambda: False
    ) -> Generator[AnyEvent, None, None]:
        with contextlib.ExitStack() as stack:
            socket = shared_context().socket(zmq.SUB)
            stack.callback(self._disconnect, socket)
            socket.linger = 0
            socket.subscribe(b"")
            if viewer is not None:
                socket.subscribe(viewer_topic(viewer))
            self._connect(socket, self.connection.events)
            while (left_s := deadline - time.monotonic()) > 0 and not is_over():
                if socket.poll(int(min(left_s * 1e3 + 1, _EVENTS_LIVENESS_MS))):
                    event = self._of_ours(decode_event(socket.recv_multipart()[1]))
                elif self._is_reached(socket):
                    continue
                else:
                    event = self._exited(self._exit_status())
                if event is not None:
                    yield event
                    if isinstance(event, ExitedEvent):
                        return

    def wait_for(self, condition: Condition, timeout_s: float = TIMEOUT_S) -> AnyEvent:
        """Wait for the first event that matches `condition`: ``ready``, ``running``, ``paused``, ``exited``, or a function.

        The current state counts. `MachineError` after `timeout_s`, `MachineGoneError` when the machine ends meanwhile,
        `UsageError` for another word.
        """
        validate_condition(condition)
        with contextlib.closing(self._events_until(time.monotonic() + timeout_s)) as events:
            for event in events:
                if matches(event, condition):
                    return event
                if isinstance(event, ExitedEvent):
                    raise MachineGoneError(f"machine {self.name!r} ended during the wait ({event.reason})")
        raise MachineError(f"machine {self.name!r} was not {condition} within {timeout_s:g} s; see its console")

    def wait_for_viewers(self, told: ViewersTold, timeout_s: float = TIMEOUT_S) -> tuple[ViewerSession, ...]:
        """Wait until the viewers of `told`, a result of `highlight` or `fly_to`, have done it; return them as they are then.

        One that closes meanwhile is left out. `MachineError` after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            found = [row for row in self.viewers() if row.session in told.sessions]
            if all(row.done >= told.number for row in found):
                return tuple(found)
            if time.monotonic() > deadline:
                raise MachineError(
                    f"a viewer of {self.name!r} did not get there within {timeout_s:g} s; is its window stuck?"
                )
            time.sleep(_VIEWERS_POLL_S)

    def page_map(self, *, complete: bool = False) -> Answer[PageMap]:
        """A fresh page map, all of one generation; `complete` as in `refresh_page_map`."""
        for _ in range(PAGE_MAP_TRIES):
            answer = self._read_page_map(self.refresh_page_map(complete=complete))
            if answer is not None:
                return answer
        raise MachineError("other clients refresh the page map faster than it can be read; ask again")

    def heat(self) -> Heat:
        """Start counting heat and map its arrays; close the result to end it.

        The guest runs slower meanwhile. Several watchers and a trace can be active at once.
        `MachineError` for a machine without the plugin (attached, a capture, KVM).
        """
        from ..trace.counters.heat import Heat

        watch = self.heat_watch(os.getpid())
        return Heat(Path(watch.path), lambda: self.heat_unwatch(watch.watcher))

    def name_writer(self, writer: np.void) -> LastWriter | None:
        """The last store to a page, from its row of `Heat.writers`; None if no store was seen."""
        from ..trace.counters.writers import name_writer

        return name_writer(self, writer, self.ram.layout)
