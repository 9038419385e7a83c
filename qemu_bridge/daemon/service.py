"""The service of one machine: dispatches requests by the operation table and publishes events.

Two sockets, both ``ipc://`` in the runtime folder (docs/protocol.md), and two more for other hosts where it listens (`remote`):

* control (ROUTER): requests and their replies;
* events (XPUB): changes, to all subscribers; a new subscriber first gets the current state.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import zmq
import zmq.asyncio

from ..errors import GlassBoxError, MachineError
from ..host.processes import give_back_memory
from ..host.tasks import TaskSet
from ..machine.config import NETDEV, MachineConfig
from ..machine.requests import Moment
from ..wire import connection as connections
from ..wire import messages
from ..wire.connection import Connection
from ..wire.operations import Cost, Operation, Permission
from ..wire.records import Answer
from .backends.backend import Backend
from .console import Console
from .control import CLIENT, Control
from .descriptors import LISTENERS, connection_limit
from .doors import Door, Requester
from .events import EventPublisher
from .jobs import Jobs
from .listener import Listener, end_when_unused
from .presence import Presence
from .remote import RemoteFront
from .served import ServedMachine
from .turns import Turns
from .unanswered import Unanswered
from .vcpus import Vcpus

logger = logging.getLogger(__name__)

_CONSOLE_POLL_S, _CONSOLE_IDLE_S = 0.005, 0.5
LOG_LIMIT = 16 << 20
"""Limit of the daemon's own log in bytes, which QEMU and the plugin write to as well: it starts over when full."""
_TIDY_PERIOD_S = 5.0


class Service:
    """Serves one machine on two sockets until it ends."""

    def __init__(
        self,
        config: MachineConfig,
        backend: Backend,
        connection: Connection,
        lock: int,
        on_end: Callable[[], None] = lambda: None,
        remote: RemoteFront | None = None,
        moment: Moment | None = None,
        keep: dict[str, str] | None = None,
    ) -> None:
        """Serve `backend`, to other hosts by `remote`; `lock` is the descriptor of the machine's lock.

        `on_end` is called when it begins to end. With `moment` the machine begins there, and its QEMU waits for that; the
        state of its first boot is kept under `keep`.
        """
        self._moment, self._keep = moment, keep
        self._lock = lock
        self._on_end = on_end
        self._remote = remote
        self._machine = ServedMachine(config, backend, connection)
        self._stopping = asyncio.Event()
        self._jobs = Jobs(self._machine)
        self._functions = Control(self._machine, self._end, self._jobs)
        self._tasks = TaskSet()
        self._turns = Turns()
        self._unanswered = Unanswered()

    async def run(self, on_running: Callable[[Connection], None]) -> None:
        """Serve until the machine ends or a client stops it. `on_running` is called once the service answers."""
        machine, backend = self._machine, self._machine.backend
        context = zmq.asyncio.Context()
        control, events = context.socket(zmq.ROUTER), context.socket(zmq.XPUB)
        door = Door(control)
        self._events = machine.events = EventPublisher(machine.config.name, machine.state, machine.viewers)
        self._events.add(events)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        try:
            counts: asyncio.Queue[int] = asyncio.Queue()
            limit = connection_limit(LISTENERS if self._remote is None else 2 * LISTENERS)
            listeners = (
                Listener(control, machine.connection.control, counts.put_nowait, limit),
                Listener(events, machine.connection.events, limit=limit),
            )
            for listener in listeners:
                self._tasks.start(listener.run(), "connections")
            if backend.idle_timeout_s is not None:
                self._tasks.start(self._end_when_unused(counts, backend.idle_timeout_s), "clients")
            async with backend.connect(machine.config.name) as machine.monitor:
                machine.vcpus = Vcpus(machine, machine.state, self._events.runstate)
                await backend.check_layout(machine.monitor, machine.connection.layout)
                if self._moment is not None:
                    # Imported here: most machines boot.
                    from . import beginnings

                    await beginnings.begin(machine, self._moment)
                    self._tasks.start(beginnings.identify(machine, self._moment.hostname), "identity")
                machine.state.set_running(bool((await machine.monitor.execute("query-status")).get("running")))
                self._start_serving(door, events)
                self._tasks.start(Presence(machine.connection, self._lock, listeners).run(), "presence")
                on_running(machine.connection)
                ended = self._tasks.start(backend.wait(), "ended")
                stopping = self._tasks.start(self._stopping.wait(), "stopping")
                await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
                if not ended.done():
                    async with machine.bounded_waits():
                        await backend.end(machine.monitor)
        finally:
            self._on_end()
            await self._jobs.close()
            await machine.worker.close()
        reason = backend.describe_exit(asked=self._stopping.is_set())
        connections.write_exit(machine.config.name, reason, backend.exit_status)
        await self._events.exited(reason, backend.exit_status)
        await self._tasks.cancel_all()
        context.destroy(linger=200)

    def _end(self) -> None:
        """Begin to end: a client, a signal or the last client's leaving asks for it."""
        self._on_end()
        self._stopping.set()

    def _start_serving(self, door: Door, events: zmq.asyncio.Socket) -> None:
        self._tasks.start(self._relay_events(), "events")
        self._tasks.start(self._events.welcome_subscribers(events), "subscribers")
        self._tasks.start(self._serve(door), "control")
        if self._remote is not None:
            self._tasks.start(self._remote.run(self._serve, self._events), "other hosts")
        self._tasks.start(self._tidy(), "tidying")
        if self._machine.backend.signals_ready:
            self._machine.console = console = Console(Path(self._machine.connection.console_path))
            self._tasks.start(self._watch_console(console), "console")

    # --- requests ----------------------------------------------------------------------------------------

    async def _serve(self, door: Door) -> None:
        while True:
            requester, frame = await door.receive()
            self._tasks.start(self._answer(requester, frame), "request")
            # Receiving does not give way while there is something to receive: under a flood nothing would be answered.
            await asyncio.sleep(0)

    async def _answer(self, requester: Requester, frame: bytes) -> None:
        """Answer one request, which counts as unanswered until its reply is handed over."""
        with self._unanswered.counted(requester.client, len(frame)) as refusal:
            if refusal is None:
                # Nothing waits between the end of a turn and this, so the next turn knows whether this reply has room.
                await requester.send(*await self._reply(requester, frame))
            else:
                await requester.refuse(messages.encode_failure(messages.decode_id(frame), refusal))

    async def _reply(self, requester: Requester, frame: bytes) -> list[bytes]:
        """The reply to a request. A client's mistake is told to it; a fault of the daemon is logged with its traceback."""
        number: int | str | None = None
        try:
            request, operation = messages.decode_request(frame)
            number = request.id
            requester.check(operation)
            result, blobs = await self._execute(requester, request, operation)
            return [messages.encode_reply(number, result), *blobs]
        except GlassBoxError as error:
            return [messages.encode_failure(messages.decode_id(frame) if number is None else number, error)]
        except Exception as error:
            logger.exception("request %s failed", frame[:200])
            sentence = f"the daemon failed ({type(error).__name__}: {error}); see {self._machine.connection.log_path}"
            return [messages.encode_failure(number, MachineError(sentence))]

    async def _execute(
        self, requester: Requester, request: messages.Request, operation: Operation[..., Any]
    ) -> tuple[bytes, list[bytes]]:
        machine = self._machine
        if operation.cost is Cost.QUERY:
            return await machine.worker.ask(
                operation,
                bytes(request.arguments),
                machine.state.grade,
                machine.epoch,
                client=requester.client,
                reader=requester,
            )
        arguments = messages.decode_arguments(operation, request.arguments)
        if operation.cost is Cost.JOB:

            async def report(done: int, total: int) -> None:
                requester.offer(messages.encode_progress(request.id, done, total))

            await requester.wait_reading()
            return await self._jobs.run(operation, bytes(request.arguments), (requester, request.id), report), []
        CLIENT.set(requester)
        # Who asks for the state in a flood waits for itself. What waits for the guest or changes it is not held up by anything.
        is_reading = operation.permission is Permission.READ and "timeout_s" not in arguments
        async with self._turns.of(requester.client, requester) if is_reading else contextlib.nullcontext():
            begun = time.perf_counter()
            result = await getattr(self._functions, operation.name)(**arguments)
            if isinstance(result, Answer):
                result = msgspec.structs.replace(result, elapsed_s=time.perf_counter() - begun)
            return messages.encode_result(result)

    # --- what happens by itself --------------------------------------------------------------------------

    async def _relay_events(self) -> None:
        machine = self._machine
        async for event in machine.monitor.events():
            name, data = str(event["event"]), dict(cast("Mapping[str, Any]", event.get("data") or {}))
            if name in ("STOP", "RESUME"):
                if machine.state.take_suppressed():
                    continue
                machine.state.set_running(name == "RESUME")
                await self._events.runstate()
            elif name == "RESET":
                machine.reset()
            elif name == "NETDEV_STREAM_DISCONNECTED" and data.get("netdev-id") == NETDEV and machine.connection.net:
                # Imported here: few machines are on a network, and their switch is hardly ever killed.
                from .rejoin import rejoin

                self._tasks.start(rejoin(machine.connection), "network")
            await self._events.qmp(name, data)

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_PERIOD_S)
            limit_log(Path(self._machine.connection.log_path))
            # Of replies that were read late the C library would keep the memory.
            give_back_memory()

    async def _watch_console(self, console: Console) -> None:
        # The guest's init prints one line when user space is up, after every boot; its kernel one when it gives up.
        state, since = self._machine.state, time.monotonic()
        with contextlib.closing(console):
            while True:
                console.read()
                if panic := console.take_panic():
                    state.panic = panic
                if console.is_ready:
                    await self._keep_boot()
                    # At once: a fork is told either.
                    console.take_ready()
                    state.ready = True
                    await self._events.ready()
                await state.running.wait()  # a paused guest prints nothing
                # Poll often during a boot, then back off.
                if state.ready:
                    since = time.monotonic()
                waited = time.monotonic() - since
                await asyncio.sleep(
                    _CONSOLE_IDLE_S if state.ready else min(max(_CONSOLE_POLL_S, waited / 100), _CONSOLE_IDLE_S)
                )

    async def _keep_boot(self) -> None:
        """Keep the first boot's state, where that was asked for, while no client has changed it yet."""
        keep, self._keep = self._keep, None
        if keep is not None:
            # Imported here: few boots are kept.
            from . import keeping

            await keeping.keep(self._machine, keep)

    async def _end_when_unused(self, counts: asyncio.Queue[int], idle_s: float) -> None:
        # A capture's daemon is started by the first client and stopped by none: it ends when no client is connected.
        # The operating system closes the socket of a killed client, so the count stays right.
        await end_when_unused(counts, idle_s)
        self._end()


def limit_log(path: Path, limit_bytes: int = LOG_LIMIT) -> None:
    """Let a log that is longer than `limit_bytes` start over; its writers append, so they go on at its new end."""
    with contextlib.suppress(OSError):
        size = path.stat().st_size
        if size > limit_bytes:
            os.truncate(path, 0)
            logger.warning("the log had %d bytes and starts over", size)
