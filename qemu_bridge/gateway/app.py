"""The application: which path leads to what. Everything else is in a module of its own.

::

    /                                   the page for the browser          (no token: no data either)
    /docs                               all routes, to be tried out
    /openapi.json                       the same for programs
    /api/machines                       the state of all machines
    /api/machines/NAME/OPERATION        every operation of the table
    /api/machines/NAME/ask              a question in words
    /api/machines/NAME/ram              bytes, with ranges; also page-map and files
    /api/machines/NAME/events           Server-Sent Events
    /api/machines/NAME/snap.png         a picture
    /api/machines/NAME/live             a live picture, by WebSocket
    /api/gpu/OPERATION                  the GPU service and the software GPU
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from fastapi import FastAPI, Request, WebSocket
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from .. import __version__
from ..errors import GlassBoxError
from ..wire.json_text import encode_json
from ..wire.operations import Permission
from . import memory_routes, page, schema
from .access import Access, Gate
from .answers import answer_error, answer_http_error, answer_nobody, failure, json_response
from .ask_route import Question, answer_question
from .event_stream import stream_events
from .gpu_routes import describe_gpu_routes, gpu_components, gpu_route
from .live_picture import LivePictures
from .machines import Machines
from .operation_routes import describe_routes, operation_route
from .pictures import draw_png

_ABOUT = "Every operation on the running machines of one user; docs/serve.md says how to call them."
_ONE = "/api/machines/{name}"


def make_app(access: Access, machines: Machines) -> Gate:
    """The application on `machines`, which it closes when it ends, behind the checks of `access`."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await machines.close()

    app = FastAPI(
        title="Glass Box",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.add_exception_handler(GlassBoxError, answer_error)
    app.add_exception_handler(ClientDisconnect, answer_nobody)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    app.router.routes.insert(0, operation_route(machines, access))
    app.router.routes.insert(1, gpu_route(access))
    _add_ask(app, machines, access)
    _add_bulk(app, machines, access)
    _add_pictures(app, machines)
    for path, asset in page.assets().items():
        app.add_route(path, _sends(asset), methods=["GET", "HEAD"], include_in_schema=False)
    app.add_route("/openapi.json", lambda _: json_response(encode_json(app.openapi())), include_in_schema=False)
    return Gate(app, access, page.assets())


def _add_ask(app: FastAPI, machines: Machines, access: Access) -> None:
    body = {
        "required": True,
        "content": {"application/json": {"schema": msgspec.json.schema(Question)["$defs"]["Question"]}},
    }

    @app.post(f"{_ONE}/ask", tags=["machines"], response_class=Response, openapi_extra={"requestBody": body})
    async def ask(request: Request, name: str) -> Response:
        """Answer a question in words (docs/ask.md): what it is understood as, the command that asks the same, and the answer."""
        return await answer_question(request, machines, access, name)


def _add_bulk(app: FastAPI, machines: Machines, access: Access) -> None:
    """Routes beyond the operation table: the list of machines, and what is too large for JSON."""

    @app.get("/api/machines", tags=["machines"], response_class=Response, openapi_extra=_returns(_STATUS_LIST))
    async def list_machines() -> Response:
        """The state of every running machine, by name; of one that does not answer its name and `error`."""
        return json_response(encode_json(await machines.list_status()))

    @app.get("/api/permissions", tags=["machines"], response_class=Response)
    async def list_permissions() -> Response:
        """What operations may do here: `read`, `control`, `write`."""
        return json_response(encode_json(sorted(permission.value for permission in access.allowed)))

    @app.head(f"{_ONE}/ram", include_in_schema=False)
    @app.get(f"{_ONE}/ram", tags=["bulk"], response_class=Response)
    async def ram(request: Request, name: str) -> Response:
        """The bytes of RAM by `ram_offset`; ask for parts with `Range`."""
        return await memory_routes.read_ram(request, machines, name)

    @app.head(f"{_ONE}/page-map", include_in_schema=False)
    @app.get(f"{_ONE}/page-map", tags=["bulk"], response_class=Response)
    async def page_map(request: Request, name: str) -> Response:
        """The page map, 8 bytes a page (docs/protocol.md), fresh; with `generation` that of `refresh_page_map`."""
        return await memory_routes.read_page_map(request, machines, name)

    @app.get(f"{_ONE}/files", tags=["files"], response_class=Response)
    async def list_files(name: str) -> Response:
        """The machine's files: what operations were told to write."""
        return memory_routes.list_files(name)

    @app.head(_ONE + "/files/{file}", include_in_schema=False)
    @app.get(_ONE + "/files/{file}", tags=["files"], response_class=Response)
    async def read_file(request: Request, name: str, file: str) -> Response:
        """A file's bytes; ask for parts with `Range`."""
        return memory_routes.read_file(request, name, file)

    @app.delete(_ONE + "/files/{file}", tags=["files"], response_class=Response)
    async def delete_file(name: str, file: str) -> Response:
        """Remove a file."""
        if Permission.CONTROL not in access.allowed:
            return failure(403, "NotAllowed", "start the service with 'glassbox serve --allow-control'")
        return memory_routes.delete_file(name, file)


def _add_pictures(app: FastAPI, machines: Machines) -> None:
    pictures = LivePictures()

    @app.get(f"{_ONE}/events", tags=["events"], response_class=Response)
    async def events(name: str) -> Response:
        """Events as they come (`text/event-stream`): the current state first, the machine's end last."""
        return stream_events(machines, name)

    @app.get(f"{_ONE}/snap.png", tags=["pictures"], response_class=Response)
    async def snap_png(request: Request, name: str) -> Response:
        """A picture; the query may have `width`, `height`, `at` (the text of a view), `order` and `beside` (more machines, a list as JSON)."""
        return await draw_png(request, machines, name)

    @app.websocket(f"{_ONE}/live")
    async def live(websocket: WebSocket, name: str) -> None:
        """A live picture, also of those `beside` it: commands as text, pictures as bytes (docs/serve.md)."""
        await pictures.show(websocket, name)


_STATUS_LIST = {"type": "array", "items": schema.reference("Status")}


def _returns(kind: dict[str, Any]) -> dict[str, Any]:
    return {"responses": {"200": {"description": "The result.", "content": {"application/json": {"schema": kind}}}}}


def _sends(asset: page.Asset) -> Callable[[Request], Response]:
    return lambda _: Response(asset.content, media_type=asset.media_type)


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        parts = found.setdefault("components", {})
        found["paths"] |= describe_routes() | describe_gpu_routes()
        parts["schemas"] = gpu_components() | schema.components()
        for path in found["paths"].values():
            for method in path.values():
                # FastAPI's own checks are of names in paths, which are text whatever they are.
                method["responses"].pop("422", None)
        parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
        app.openapi_schema = found
    return app.openapi_schema
