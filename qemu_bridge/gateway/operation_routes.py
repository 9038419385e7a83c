"""Routes for all operations, made from the operation table: ``/api/machines/NAME/OPERATION``.

A question, and a state that needs no arguments, is a GET with the arguments in the query, where a list or a record is JSON; all else is
a POST with the arguments as a JSON object, the same as in the protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import GlassBoxError, UsageError
from ..host.tasks import TaskSet
from ..wire.json_text import encode_json
from ..wire.messages import argument_from_text, decode_arguments
from ..wire.operations import BY_NAME, Cost, Operation, iter_operations
from .access import Access
from .answers import failure, json_response
from .machines import Machines
from .paths import place_paths
from .schema import describe, is_read_by_get

MAX_BODY = 1 << 20
"""Most bytes of the arguments of one request."""
T = TypeVar("T")


class _OperationName(Convertor[str]):
    """What an operation is called in a path."""

    regex = "|".join(BY_NAME)

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("operation", _OperationName())


def operation_route(machines: Machines, access: Access) -> Route:
    """The route of all rows of the operation table: which one is looked up, as going through a route for each would take longer."""
    endpoints = {operation.name: _endpoint(operation, machines, access) for operation in iter_operations()}

    async def endpoint(request: Request) -> Response:
        name = request.path_params["operation"]
        method = _method(BY_NAME[name])
        if request.method != method:
            raise HTTPException(405, headers={"allow": method})
        return await endpoints[name](request, request.path_params["name"])

    return Route("/api/machines/{name}/{operation:operation}", endpoint, methods=["GET", "POST"])


def describe_routes() -> dict[str, Any]:
    """What OpenAPI says of every operation, by path."""
    return {
        f"/api/machines/{{name}}/{row.name}": {_method(row).lower(): _description(row)} for row in iter_operations()
    }


def _method(operation: Operation[..., Any]) -> str:
    return "GET" if is_read_by_get(operation) else "POST"


def _description(operation: Operation[..., Any]) -> dict[str, Any]:
    summary, _, _ = operation.doc.strip().partition("\n\n")
    machine = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    found = describe(operation)
    return found | {
        "operationId": operation.name,
        "tags": ["operations"],
        "summary": " ".join(summary.split())[:120],
        "description": operation.doc.strip(),
        "parameters": [machine, *found.get("parameters", ())],
    }


def _endpoint(
    operation: Operation[..., Any], machines: Machines, access: Access
) -> Callable[[Request, str], Awaitable[Response]]:
    refusal = access.refuses(operation)
    read_arguments = arguments_from_query if is_read_by_get(operation) else arguments_from_body

    async def endpoint(request: Request, name: str) -> Response:
        if refusal:
            return failure(403, "NotAllowed", refusal)
        text = await read_arguments(operation, request)
        arguments = place_paths(name, operation, decode_arguments(operation, text))
        asked = machines.ask(name, operation, arguments)
        return json_response(
            await (unless_gone(request, asked, machines.ending) if operation.cost is Cost.JOB else asked)
        )

    return endpoint


async def arguments_from_query(operation: Operation[..., Any], request: Request) -> bytes:
    """The arguments in the query of `request` as a JSON object; `UsageError` for one that is given twice."""
    pairs = request.query_params.multi_items()
    if not pairs:
        return b"{}"
    if len({key for key, _ in pairs}) < len(pairs):
        raise UsageError("an argument is given twice; give each once, a list as JSON")
    return encode_json({key: argument_from_text(operation, key, text) for key, text in pairs})


async def arguments_from_body(operation: Operation[..., Any], request: Request) -> bytes:
    """The arguments in the body of `request`, a JSON object; errors are those of `read_body`."""
    return await read_body(request, operation.name)


async def read_body(request: Request, name: str) -> bytes:
    """The arguments of `name` in the body of `request`, a JSON object; `UsageError` for what is too large or of another type."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise UsageError(f"the arguments of {name} are larger than {MAX_BODY} bytes; send less")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/json":
        raise UsageError(f"the arguments are {kind or 'of no type'}; send one JSON object as application/json")
    return bytes(body) or b"{}"


async def unless_gone(request: Request, work: Awaitable[T], ending: asyncio.Event) -> T:
    """The result of `work`, which is cancelled when the client of `request` goes away, or the service is `ending`.

    The body of the request must have been read.
    """
    tasks = TaskSet()
    working = tasks.start(_result_of(work), "request")
    gone, end = tasks.start(_disconnect(request), "disconnect"), tasks.start(ending.wait(), "end")
    try:
        await asyncio.wait([working, gone, end], return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            result = working.result()
            if isinstance(result, GlassBoxError):
                raise result
            return result
        raise ClientDisconnect
    finally:
        await tasks.cancel_all()


async def _result_of(work: Awaitable[T]) -> T | GlassBoxError:
    # An error that the client is told is no failure of the task, which would be logged.
    try:
        return await work
    except GlassBoxError as error:
        return error


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
