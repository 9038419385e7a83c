"""The asynchronous client of a running machine: as `Client`, but its methods are awaited, many at a time.

>>> async with AsyncClient.connect("demo") as demo:
...     processes, kernel = await asyncio.gather(demo.ps(), demo.kernel())
...     await demo.wait_for("paused")
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Any, TypeVar

import zmq
import zmq.asyncio

from ..errors import MachineError, MachineGoneError, PageMapOverwrittenError
from ..host.tasks import TaskSet
from ..wire import messages
from ..wire.connection import Connection
from ..wire.event_records import AnyEvent, ExitedEvent
from ..wire.operations import TIMEOUT_S, Cost, Operation, Operations
from ..wire.records import Answer
from .blocking import PAGE_MAP_TRIES
from .event_stream import Condition, decode_event, matches
from .local import LocalMachine, find_machine, shared_context

if TYPE_CHECKING:
    from ..wire.page_map import PageMap

_LIVENESS_S = 1.0

R = TypeVar("R")


class AsyncClient(Operations, LocalMachine):
    """An asynchronous client of one machine's daemon, with a coroutine for each operation. Use it in one event loop."""

    def __init__(self, connection: Connection, timeout_s: float = TIMEOUT_S) -> None:
        """A client of the daemon of `connection`; an answer may take `timeout_s`. Use it with ``async with``."""
        super().__init__(connection)
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._context = zmq.asyncio.Context.shadow(shared_context())
        self._waiting: dict[int, asyncio.Future[tuple[messages.Reply, list[bytes]]]] = {}
        self._tasks = TaskSet()

    @classmethod
    def connect(cls, name: str) -> AsyncClient:
        """The client of running machine `name`, or of the capture in the folder `name`.

        `UnknownMachineError` if there is no such machine, `UsageError` for a folder that is no capture.
        """
        return cls(find_machine(name))

    async def __aenter__(self) -> AsyncClient:
        self._control: zmq.asyncio.Socket = self._context.socket(zmq.DEALER)
        self._control.linger = 0
        self._control.connect(self.connection.control)
        self._tasks.start(self._receive(), "replies")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the sockets; the machine runs on."""
        await self._tasks.cancel_all()
        self._control.close(linger=0)

    def call_async(self, operation: Operation[..., R], arguments: dict[str, Any]) -> Awaitable[R]:
        """An awaitable of the result of `operation`; each operation's method calls this. Raises as `Client.call` does."""
        return self._call(operation, arguments)

    async def _call(self, operation: Operation[..., R], arguments: dict[str, Any]) -> R:
        call = messages.Call(next(self._numbers), operation, arguments)
        future: asyncio.Future[tuple[messages.Reply, list[bytes]]] = asyncio.get_running_loop().create_future()
        self._waiting[call.number] = future
        deadline = time.monotonic() + self._timeout_s + float(arguments.get("timeout_s") or 0)
        try:
            await self._control.send(call.frame)
            while time.monotonic() < deadline or operation.cost is Cost.JOB:
                await asyncio.wait([future], timeout=_LIVENESS_S)
                if future.done():
                    return call.result(*future.result())
                if not self.is_alive():
                    raise MachineGoneError(f"machine {self.name!r} ended during the request ({self._how_it_ended()})")
        finally:
            self._waiting.pop(call.number, None)
        raise MachineError(
            f"the daemon of {self.name!r} did not answer {operation.name} in time; see {self.connection.log_path}"
        )

    async def _receive(self) -> None:
        while True:
            header, *frames = await self._control.recv_multipart()
            reply = messages.decode_reply(header)
            future = self._waiting.get(reply.id) if isinstance(reply.id, int) else None
            if future is not None and not future.done() and reply.progress is None:
                future.set_result((reply, frames))

    # --- beyond the table ----------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[AnyEvent]:
        """Yield the machine's events, the current state first, the machine's end last."""
        with self._context.socket(zmq.SUB) as socket:
            socket.linger = 0
            socket.subscribe(b"")
            socket.connect(self.connection.events)
            while True:
                if await socket.poll(int(_LIVENESS_S * 1e3)):
                    event = decode_event((await socket.recv_multipart())[1])
                elif self.is_alive():
                    continue
                else:
                    event = ExitedEvent(self.name, time.time(), self._how_it_ended())
                if event is not None:
                    yield event
                    if isinstance(event, ExitedEvent):
                        return

    async def wait_for(self, condition: Condition, timeout_s: float = TIMEOUT_S) -> AnyEvent:
        """As `Client.wait_for`."""
        try:
            async with asyncio.timeout(timeout_s):
                async for event in self.events():
                    if matches(event, condition):
                        return event
        except TimeoutError:
            raise MachineError(
                f"machine {self.name!r} was not {condition} within {timeout_s:g} s; see its console"
            ) from None
        raise MachineGoneError(f"machine {self.name!r} ended during the wait ({self._how_it_ended()})")

    async def page_map(self) -> Answer[PageMap]:
        """A fresh page map, all of one generation."""
        for _ in range(PAGE_MAP_TRIES):
            header = await self.refresh_page_map()
            try:
                page_map = self._page_map_file.read(header.value, header.grade, header.skipped)
            except PageMapOverwrittenError:
                continue
            return Answer(page_map, header.grade, header.epoch, header.skipped, header.elapsed_s)
        raise MachineError("other clients refresh the page map faster than it can be read; ask again")
