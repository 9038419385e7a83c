"""The machines of this user, with a client for each that is asked something."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from ..client import AsyncClient
from ..errors import GlassBoxError, MachineError
from ..host.tasks import TaskSet
from ..wire import connection
from ..wire.json_text import encode_json
from ..wire.operations import Cost, Operation, Operations, Permission
from .shared_answers import SharedAnswers

STATUS_TIMEOUT_S = 3.0
"""How long the list of machines waits for one that does not answer."""


class Machines:
    """Clients of running machines, by name, made when first needed and again when a machine of that name is another one.

    Attributes:
        ending: set when the service ends, so that what would go on for ever does not.
    """

    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self._clients: dict[str, tuple[tuple[int, int] | None, AsyncClient]] = {}
        self._paths: dict[str, str] = {}
        self._shared = SharedAnswers()
        self._tasks = TaskSet()

    def client(self, name: str) -> AsyncClient:
        """The client of machine `name`; `UnknownMachineError` if there is none, `UsageError` for a name that none can have."""
        known = self._clients.get(name)
        path = self._paths.get(name) or f"{connection.runtime_folder()}/{connection.validate_name(name)}.json"
        version = connection.file_version(path)
        if known is not None and known[0] == version:
            return known[1]
        self._forget_ended()
        # Not by `AsyncClient.connect`, which opens captures: whoever is on the network names no folders.
        found = connection.find_connection(name)
        _, client = self._clients.get(name, (None, None))
        client = client or AsyncClient(found)
        self._clients[name], self._paths[name] = (version, client), path
        return client

    def _forget_ended(self) -> None:
        """Close the clients of machines that have ended, also where another has the name of one."""
        for name, (_, client) in list(self._clients.items()):
            if not client.is_alive():
                del self._clients[name], self._paths[name]
                self._tasks.start(client.close(), "close")

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
        self._forget_ended()
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
