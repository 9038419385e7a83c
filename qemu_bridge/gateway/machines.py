"""The machines of this user, with a client for each that is asked something."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import msgspec

from ..client import AsyncClient
from ..errors import GlassBoxError, MachineError
from ..host.tasks import TaskSet
from ..wire import connection
from ..wire.json_text import encode_json
from ..wire.operations import Cost, Operation, Operations, Permission

STATUS_TIMEOUT_S = 3.0
"""How long the list of machines waits for one that does not answer."""

_Version = tuple[int, int]
Moment = Callable[[], float | None] | None
_MOST_KEPT, _MOST_KEPT_BYTES = 64, 1 << 18


class Machines:
    """Clients of running machines, by name, made when first needed and again when a machine of that name is another one.

    Attributes:
        ending: set when the service ends, so that what would go on for ever does not.
    """

    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self._clients: dict[str, tuple[_Version, AsyncClient]] = {}
        self._paths: dict[str, str] = {}
        self._shared = SharedAnswers()
        self._tasks = TaskSet()

    def client(self, name: str) -> AsyncClient:
        """The client of machine `name`; `UnknownMachineError` if there is none, `UsageError` for a name that none can have."""
        known = self._clients.get(name)
        path = self._paths.get(name) or f"{connection.runtime_folder()}/{connection.validate_name(name)}.json"
        version = _file_version(path)
        if known is not None and known[0] == version:
            return known[1]
        # Not by `AsyncClient.connect`, which opens captures: whoever is on the network names no folders.
        found = connection.find_connection(name)
        client = known[1] if known is not None else AsyncClient(found)
        if client.connection.daemon_pid != found.daemon_pid:
            self._tasks.start(client.close(), "close")
            client = AsyncClient(found)
        self._clients[name], self._paths[name] = (version, client), path
        return client

    async def ask(self, name: str, operation: Operation[..., Any], arguments: dict[str, Any]) -> bytes:
        """The JSON of the result of `operation` on machine `name`, raw bytes in it in hexadecimal; raises as clients do."""
        client = self.client(name)
        if operation.cost is not Cost.QUERY or operation.permission is not Permission.READ:
            return await _ask(client, operation, arguments)
        key = (name, client.connection.daemon_pid, operation.name, encode_json(arguments))
        # Of the page map a new generation is published, whether the guest wrote anything or not.
        moment = None if operation is Operations.refresh_page_map else client.cpu_seconds
        return await self._shared.ask(key, lambda: _ask(client, operation, arguments), moment)

    async def list_status(self) -> list[Any]:
        """The `Status` of every running machine, by name; of one that does not answer its name and why."""
        names = [each.name for each in connection.iter_connections()]
        return [found for found in await asyncio.gather(*map(self._status, names)) if found is not None]

    async def _status(self, name: str) -> object:
        try:
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                return await self.client(name).status()
        except TimeoutError:
            return {"name": name, "error": f"its daemon did not answer within {STATUS_TIMEOUT_S:g} s; see its log"}
        except MachineError as error:
            return {"name": name, "error": str(error)}
        except GlassBoxError:
            return None  # it ended meanwhile

    async def close(self) -> None:
        """Close all clients; the machines run on."""
        await self._tasks.cancel_all()
        for _, client in self._clients.values():
            await client.close()
        self._clients.clear()


def _file_version(path: str) -> _Version:
    # A daemon replaces its connection file whenever that changes, so this is a look instead of a read.
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return (0, 0)
    return (found.st_ino, found.st_mtime_ns)


async def _ask(client: AsyncClient, operation: Operation[..., Any], arguments: dict[str, Any]) -> bytes:
    if operation is Operations.stop:
        await client.stop()  # which waits for the end
        return b"null"
    text, frames = await client.call_json(operation, arguments)
    return _with_bytes(text, frames) if frames else text


def _with_bytes(text: bytes, frames: list[bytes]) -> bytes:
    """The JSON with each reference to a frame replaced by its bytes in hexadecimal."""

    def replace(value: Any) -> Any:  # noqa: ANN401  # any JSON
        if isinstance(value, dict):
            if value.keys() == {"frame"}:
                return frames[value["frame"] - 1].hex()
            return {key: replace(one) for key, one in value.items()}
        return [replace(one) for one in value] if isinstance(value, list) else value

    return msgspec.json.encode(replace(msgspec.json.decode(text)))


class SharedAnswers:
    """Equal questions that wait at the same time are asked once, and an answer is given again while nothing can have changed.

    A question joins an equal one that still waits to be sent, never one under way: no answer is older than its question. QEMU's
    processor time tells whether the guest may have written: while it stands still the last answer is that of now.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[float, bytes]] = OrderedDict()
        self._next: dict[Hashable, asyncio.Task[bytes | GlassBoxError]] = {}
        self._under_way: dict[Hashable, asyncio.Lock] = {}
        self._tasks = TaskSet()

    async def ask(self, key: Hashable, send: Callable[[], Awaitable[bytes]], moment: Moment = None) -> bytes:
        """What `send` returns, or raises; called once for all who ask about `key` until it is their turn.

        `moment` tells a time that stands still while nothing changes; None, or what returns None, if there is none.
        """
        kept = self._kept.get(key)
        if kept is not None and moment is not None and kept[0] == moment():
            self._kept.move_to_end(key)
            return kept[1]
        task = self._next.get(key)
        if task is None:
            task = self._next[key] = self._tasks.start(self._turn(key, send, moment), "question")
        # One who gives up does not take the answer from the others.
        answer = await asyncio.shield(task)
        if isinstance(answer, GlassBoxError):
            raise answer
        return answer

    async def _turn(self, key: Hashable, send: Callable[[], Awaitable[bytes]], moment: Moment) -> bytes | GlassBoxError:
        lock = self._under_way.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                del self._next[key]
                began = None if moment is None else moment()
                answer = await send()
                self._keep(key, began, answer)
                return answer
        except GlassBoxError as error:
            return error
        finally:
            if not lock.locked() and key not in self._next:
                self._under_way.pop(key, None)

    def _keep(self, key: Hashable, began: float | None, answer: bytes) -> None:
        self._kept.pop(key, None)
        if began is not None and len(answer) <= _MOST_KEPT_BYTES:
            self._kept[key] = (began, answer)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
