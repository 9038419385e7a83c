"""The asynchronous client of a machine on another host.

>>> async with AsyncClient.connect("ssh://me@box/demo") as demo:
...     processes, page_map = await asyncio.gather(demo.ps(), demo.page_map())
...     start = await asyncio.to_thread(lambda: demo.ram.read(PhysicalAddress(0x1000), 4))
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import zmq.asyncio

from ..errors import MachineError, PageMapOverwrittenError
from ..wire import messages
from ..wire.connection import Connection
from ..wire.endpoints import RemoteName, parse_remote
from ..wire.operations import MAX_READ_PAGES, TIMEOUT_S, Operations
from ..wire.page_map import ENTRY, PageMap, make_page_map
from ..wire.records import Answer, Grade, PageMapHeader
from .asynchronous import AsyncClient
from .blocking import PAGE_MAP_TRIES
from .elsewhere import Elsewhere

if TYPE_CHECKING:
    from ..memory.ram import GuestRam
    from .remote import RemoteClient


class AsyncRemoteClient(Elsewhere, AsyncClient):
    """An `AsyncClient` of a machine on another host: what others map, it reads by operations."""

    def __init__(self, remote: RemoteName, timeout_s: float = TIMEOUT_S) -> None:
        """Of the machine at `remote`, which the first call reaches; `UsageError` without its key or one's own."""
        Elsewhere.__init__(self, remote)
        AsyncClient.__init__(self, self._unknown(), timeout_s)
        self._reaching = asyncio.Lock()
        self._is_known = self._is_closed = False

    @classmethod
    def connect(cls, name: str) -> AsyncRemoteClient:
        """The client of the machine that `name`, such as ``ssh://me@box/demo``, says where to find."""
        return cls(parse_remote(name))

    async def close(self) -> None:
        """As of a machine here; the mirror of its RAM is given up."""
        self._is_closed = True
        await super().close()
        if "_blocking" in self.__dict__:
            self._blocking.close()

    async def _learn(self) -> None:
        await self._reach()

    async def _reach(self) -> zmq.asyncio.Socket:
        async with self._reaching:
            if self._is_closed:
                raise MachineError(f"this client of {self.name!r} is closed; connect another")
            socket = self._control
            if self._is_known and socket is not None and self._is_reached(socket):
                return socket
            if socket is not None:
                await self._give_up(socket)
            if self._keys is None:
                from .ssh import forward

                found = (await asyncio.to_thread(forward, self._remote)).connection
                self.connection, self.name = found, found.name
            socket = self._connected()
            call = messages.Call(next(self._numbers), Operations.describe, {})
            there: Connection = call.result(*await self._exchange_by(socket, call))
            if self._is_known:
                self._check_there(there)
            elif self._keys is not None:
                self._adopt(there)
            self._is_known = True
            return socket

    async def _give_up(self, socket: zmq.asyncio.Socket) -> None:
        """Close a socket whose connection was lost; who waits for replies by it is told."""
        gone = (
            self._gone(socket)
            if not self._is_reached(socket)
            else MachineError("the connection was not made; ask again")
        )
        await self._tasks.cancel_all()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(gone)
        self._disconnect(socket)
        self._control = None

    def is_alive(self) -> bool:
        """Whether the connection to its daemon stands. No round trip."""
        return self._control is None or self._control.closed or self._is_reached(self._control)

    @cached_property
    def _blocking(self) -> RemoteClient:
        from .remote import RemoteClient

        return RemoteClient(self._remote, self._timeout_s)

    @cached_property
    def ram(self) -> GuestRam:
        """The machine's RAM: a mirror here that is filled as it is read, which takes a while: read it in a thread, as above."""
        return self._blocking.ram

    async def page_map(self, *, complete: bool = False) -> Answer[PageMap]:
        """As of a machine here."""
        for _ in range(PAGE_MAP_TRIES):
            header = await self.refresh_page_map(complete=complete)
            try:
                page_map = await self._fetch_page_map(header.value, header.grade, header.skipped)
            except PageMapOverwrittenError:
                continue
            return Answer(page_map, header.grade, header.epoch, header.skipped, header.elapsed_s)
        raise MachineError("other clients refresh the page map faster than it can be read; ask again")

    async def published_page_map(self, generation: int) -> PageMap:  # type: ignore[override]  # the same, awaited
        """As `Client.published_page_map`, awaited."""
        await self._learn()
        return await self._fetch_page_map(PageMapHeader(generation, ()), Grade.LIVE, ())

    async def _fetch_page_map(self, header: PageMapHeader, grade: Grade, skipped: tuple[str, ...]) -> PageMap:
        pages = self.connection.layout.size >> 12
        parts = [
            (await self.read_page_map(header.generation, first)).value for first in range(0, pages, MAX_READ_PAGES)
        ]
        return make_page_map(np.frombuffer(b"".join(parts), ENTRY), header, grade, skipped)
