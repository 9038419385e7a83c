"""Pictures of a machine as PNG, drawn by the machine's daemon into a folder that is gone when the picture is sent."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..errors import UsageError
from ..wire.picture_records import MAX_SIDE, SnapOptions
from .machines import Machines
from .operation_routes import unless_gone


async def draw_png(request: Request, machines: Machines, name: str) -> Response:
    """A PNG of machine `name`; the query may have ``width``, ``height``, ``at`` (a view), ``order`` and ``beside``, as `snap` takes them."""
    client = machines.client(name)
    with tempfile.TemporaryDirectory(prefix="glassbox-") as folder:
        options = _options(request, Path(folder, "snap.png"))
        for other in options.beside:
            machines.client(other)  # no capture: whoever is on the network names no folders
        await unless_gone(request, client.snap(options), machines.ending)
        return Response(Path(options.output).read_bytes(), media_type="image/png")


def _options(request: Request, path: Path) -> SnapOptions:
    query = dict(request.query_params)
    wrong = query.keys() - {"width", "height", "at", "order", "beside"}
    if wrong:
        raise UsageError(f"there is no argument {min(wrong)!r}; there are width, height, at, order and beside")
    beside = names_beside(query.pop("beside", ""))
    try:
        return msgspec.convert(query | {"output": str(path), "beside": beside}, SnapOptions, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"invalid arguments of the picture: {error}; sides have 16 to {MAX_SIDE} pixels") from None


def names_beside(text: str) -> tuple[str, ...]:
    """The names of the machines beside the first that a query gives, a list as JSON; `UsageError` for anything else."""
    try:
        return msgspec.json.decode(text or "[]", type=tuple[str, ...])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise UsageError(f'{text[:200]!r} are no names of machines; write a list as JSON, such as ["b","c"]') from None
