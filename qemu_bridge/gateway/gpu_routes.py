"""Routes of the GPU service and of the software GPU, made from the table in `gpu_hypervisor.operations`.

As with operations on machines: a question is a GET with the arguments in the query, all else a POST with a JSON object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gpu_hypervisor.operations import GpuOperation, iter_operations

from ..wire.json_text import encode_json
from ..wire.messages import decode_arguments
from .access import Access
from .answers import failure, json_response
from .operation_routes import arguments_from_body, arguments_from_query
from .schema import failure_schema, is_read_by_get, operation_parameters, reference_to


def gpu_route(access: Access) -> Route:
    """The route of all rows; the table is looked at when the first request comes."""

    async def endpoint(request: Request) -> Response:
        found = (await asyncio.to_thread(_endpoints, access)).get(request.url.path)
        if found is None:
            raise HTTPException(404)
        method, answer = found
        if request.method != method:
            raise HTTPException(405, headers={"allow": method})
        return await answer(request)

    return Route("/api/gpu/{rest:path}", endpoint, methods=["GET", "POST"])


@cache
def _endpoints(access: Access) -> dict[str, tuple[str, Callable[[Request], Awaitable[Response]]]]:
    return {each.path: (_method(each), _endpoint(each, access)) for each in iter_operations()}


def describe_gpu_routes() -> dict[str, Any]:
    """What OpenAPI says of every row, by path."""
    return {each.path: {_method(each).lower(): _description(each)} for each in iter_operations()}


def gpu_components() -> dict[str, Any]:
    """The schemas that `describe_gpu_routes` refers to, by name."""
    return _schemas()[1]


def _method(operation: GpuOperation) -> str:
    return "GET" if is_read_by_get(operation.row) else "POST"


def _endpoint(operation: GpuOperation, access: Access) -> Callable[[Request], Awaitable[Response]]:
    refusal = access.refuses(operation.row)
    read_arguments = arguments_from_query if is_read_by_get(operation.row) else arguments_from_body

    async def endpoint(request: Request) -> Response:
        if refusal:
            return failure(403, "NotAllowed", refusal)
        arguments = decode_arguments(operation.row, await read_arguments(operation.row, request))
        # Other requests are answered meanwhile: the service is another process, and measuring takes seconds.
        return json_response(encode_json(await asyncio.to_thread(operation.run, **arguments)))

    return endpoint


def _description(operation: GpuOperation) -> dict[str, Any]:
    row = operation.row
    found, components = _schemas()
    summary, _, _ = row.doc.strip().partition("\n\n")
    described: dict[str, Any] = {
        "operationId": f"gpu_{row.name}",
        "tags": ["gpu"],
        "summary": " ".join(summary.split())[:120],
        "description": row.doc.strip(),
        "x-permission": row.permission.value,
        "x-cost": row.cost.value,
        "responses": {
            "200": {
                "description": "The result.",
                "content": {"application/json": {"schema": found["result", row.name]}},
            },
            "400": failure_schema("An argument is wrong; the sentence says which and what is right."),
            "503": failure_schema("No GPU service runs."),
        },
    }
    if is_read_by_get(row):
        described["parameters"] = operation_parameters(components[row.arguments.__name__], components)
    else:
        described["responses"]["403"] = failure_schema(
            f"The service was started without --allow-{row.permission.value}."
        )
        body = {"application/json": {"schema": found["arguments", row.name]}}
        described["requestBody"] = {"required": False, "content": body}
    return described


@cache
def _schemas() -> tuple[dict[tuple[str, str], Any], dict[str, Any]]:
    keys, kinds = [], []
    for each in iter_operations():
        keys += [("result", each.row.name), ("arguments", each.row.name)]
        kinds += [each.row.result, each.row.arguments]
    found, named = msgspec.json.schema_components(kinds, ref_template=reference_to("{name}"))
    return dict(zip(keys, found, strict=True)), dict(named)
