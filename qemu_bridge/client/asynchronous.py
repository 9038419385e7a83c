"""The asynchronous client of a running machine: as `Client`, but its methods are awaited, many at a time.

>>> async with AsyncClient.connect("demo") as demo:
...     processes, kernel = await asyncio.gather(demo.ps(), demo.kernel())
...     await demo.wait_for("paused")
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import zmq
import zmq.asyncio

from ..errors import MachineError, MachineGoneError
from ..host.tasks import TaskSet
from ..wire import messages
from ..wire.connection import Connection
from ..wire.endpoints import is_remote
from ..wire.event_records import AnyEvent, ExitedEvent, viewer_topic
from ..wire.operations import TIMEOUT_S, Cost, Operation, Operations
from ..wire.records import Answer, ExecResult
from ..wire.trace_records import ArmOptions, TraceStatus
from .blocking import PAGE_MAP_TRIES
from .event_stream import Condition, decode_event, matches, validate_condition
from .local import LocalMachine, find_machine, portable_command, shared_context

if TYPE_CHECKING:
    from ..wire.page_map import PageMap

logger = logging.getLogger(__name__)

_LIVENESS_S = 1.0

R = TypeVar("R")


class AsyncClient(Operations, LocalMachine):
    """An asynchronous client of one machine's daemon, with a coroutine for each operation. Use it in one event loop."""

    connect_elsewhere: ClassVar[Callable[[str], AsyncClient]]
    """How `connect` reaches another host; set by the package, as `Client.connect_elsewhere` is."""

    def __init__(self, connection: Connection, timeout_s: float = TIMEOUT_S) -> None:
        """A client of the daemon of `connection`; an answer may take `timeout_s`. Use it with ``async with``."""
        super().__init__(connection)
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._context = zmq.asyncio.Context.shadow(shared_context())
        self._control: zmq.asyncio.Socket | None = None
        self._waiting: dict[int, asyncio.Future[tuple[messages.Reply, list[bytes]]]] = {}
        self._tasks = TaskSet()

    @classmethod
    def connect(cls, name: str) -> AsyncClient:
        """The client of running machine `name`, of the capture in the folder `name`, or of ``ssh://…``, ``tcp://…`` elsewhere.

        `UnknownMachineError` if there is no such machine, `UsageError` for a folder that is no capture. Another host is reached
        with the first call, which raises what `Client.connect` does.
        """
        if is_remote(name):
            return cls.connect_elsewhere(name)
        return cls(find_machine(name))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the sockets and the RAM; the machine runs on. What still waits for an answer gets a `MachineError`."""
        await self._tasks.cancel_all()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(MachineError(f"this client of {self.name!r} was closed; connect another"))
        if self._control is not None:
            self._disconnect(self._control)
        self._give_up_files()

    async def _reach(self) -> zmq.asyncio.Socket:
        """The socket for requests, connected."""
        return self._connected()

    async def _learn(self) -> None:
        """Know where the machine's sockets are."""

    def _connected(self) -> zmq.asyncio.Socket:
        if self._control is None:
            self._control = self._context.socket(zmq.DEALER)
            self._control.linger = 0
            self._connect(self._control, self.connection.control)
            self._tasks.start(self._receive(self._control), "replies")
        if self._control.closed:
            raise MachineError(f"this client of {self.name!r} is closed; connect another")
        return self._control

    def call_async(self, operation: Operation[..., R], arguments: dict[str, Any]) -> Awaitable[R]:
        """An awaitable of the result of `operation`; each operation's method calls this. Raises as `Client.call` does."""
        return self._call(operation, arguments)

    async def _call(self, operation: Operation[..., R], arguments: dict[str, Any]) -> R:
        call = messages.Call(next(self._numbers), operation, arguments)
        return call.result(*await self._exchange(call))

    async def call_json(self, operation: Operation[..., Any], arguments: dict[str, Any]) -> tuple[bytes, list[bytes]]:
        """The result of `operation` as the daemon sent it: its JSON, and the raw bytes that it refers to.

        For a service that passes answers on; raises as `Client.call` does.
        """
        reply, frames = await self._exchange(messages.Call(next(self._numbers), operation, arguments))
        messages.raise_failure(reply)
        return bytes(reply.result), frames

    async def _exchange(self, call: messages.Call[Any]) -> tuple[messages.Reply, list[bytes]]:
        return await self._exchange_by(await self._reach(), call)

    async def _exchange_by(
        self, socket: zmq.asyncio.Socket, call: messages.Call[Any]
    ) -> tuple[messages.Reply, list[bytes]]:
        self._check_same()
        operation = call.operation
        future: asyncio.Future[tuple[messages.Reply, list[bytes]]] = asyncio.get_running_loop().create_future()
        self._waiting[call.number] = future
        deadline = time.monotonic() + self._timeout_s + call.extra_time_s
        try:
            await socket.send(call.frame)
            while time.monotonic() < deadline or operation.cost is Cost.JOB:
                await asyncio.wait([future], timeout=_LIVENESS_S)
                if future.done():
                    return future.result()
                if not self._is_reached(socket):
                    raise self._gone(socket)
        except asyncio.CancelledError:
            # Whoever waited gives up: so does the job.
            if operation.cost is Cost.JOB and not socket.closed:
                await socket.send(messages.Call(next(self._numbers), Operations.cancel, {"request": call.number}).frame)
            raise
        finally:
            self._waiting.pop(call.number, None)
        raise MachineError(
            f"the daemon of {self.name!r} did not answer {operation.name} in time; see {self.connection.log_path}"
        )

    async def _receive(self, socket: zmq.asyncio.Socket) -> None:
        while True:
            header, *frames = await socket.recv_multipart()
            try:
                reply = messages.decode_reply(header)
            except MachineError as error:
                # To whom it was cannot be known; they give up when their time is over.
                logger.warning("%s", error)
                continue
            future = self._waiting.get(reply.id) if isinstance(reply.id, int) else None
            if future is not None and not future.done() and reply.progress is None:
                future.set_result((reply, frames))

    # --- beyond the table ----------------------------------------------------------------------------------

    async def stop(self) -> None:  # type: ignore[override]  # the same, and waits for the end
        """End the machine, or detach from one that was attached; its RAM is gone on return."""
        with contextlib.suppress(MachineGoneError):
            await self.call_async(Operations.stop, {})
        with contextlib.suppress(MachineGoneError):
            await self.wait_for("exited")
        while self.is_alive():
            await asyncio.sleep(0.01)

    def trace_arm(  # type: ignore[override]  # the same, with defaults that only a client knows
        self, options: ArmOptions | None = None, reader_pid: int | None = None
    ) -> Awaitable[TraceStatus]:
        """As `Client.trace_arm`."""
        reader_pid = os.getpid() if reader_pid is None else reader_pid
        return self.call_async(Operations.trace_arm, {"options": options or ArmOptions(), "reader_pid": reader_pid})

    def exec(  # type: ignore[override]  # the same, and words may hold any bytes
        self, command: str | Sequence[str], timeout_s: float = TIMEOUT_S
    ) -> Awaitable[ExecResult]:
        """As `Client.exec`."""
        return self.call_async(Operations.exec, {"command": portable_command(command), "timeout_s": timeout_s})

    def events(self, viewer: int | None = None) -> AsyncGenerator[AnyEvent, None]:
        """As `Client.events`."""
        return self._events(viewer)

    async def _events(self, viewer: int | None = None) -> AsyncGenerator[AnyEvent, None]:
        await self._learn()
        with contextlib.ExitStack() as stack:
            socket = self._context.socket(zmq.SUB)
            stack.callback(self._disconnect, socket)
            socket.linger = 0
            socket.subscribe(b"")
            if viewer is not None:
                socket.subscribe(viewer_topic(viewer))
            self._connect(socket, self.connection.events)
            while True:
                if await socket.poll(int(_LIVENESS_S * 1e3)):
                    event = self._of_ours(decode_event((await socket.recv_multipart())[1]))
                elif self._is_reached(socket):
                    continue
                else:
                    event = self._exited(self._exit_status())
                if event is not None:
                    yield event
                    if isinstance(event, ExitedEvent):
                        return

    async def wait_for(self, condition: Condition, timeout_s: float = TIMEOUT_S) -> AnyEvent:
        """As `Client.wait_for`."""
        validate_condition(condition)
        try:
            async with asyncio.timeout(timeout_s), contextlib.aclosing(self._events()) as events:
                async for event in events:
                    if matches(event, condition):
                        return event
        except TimeoutError:
            raise MachineError(
                f"machine {self.name!r} was not {condition} within {timeout_s:g} s; see its console"
            ) from None
        raise MachineGoneError(f"machine {self.name!r} ended during the wait ({self._how_it_ended()})")

    async def page_map(self, *, complete: bool = False) -> Answer[PageMap]:
        """A fresh page map, all of one generation; `complete` as in `refresh_page_map`."""
        for _ in range(PAGE_MAP_TRIES):
            answer = self._read_page_map(await self.refresh_page_map(complete=complete))
            if answer is not None:
                return answer
        raise MachineError("other clients refresh the page map faster than it can be read; ask again")
