"""What the service answers: JSON as the daemon's, and errors as a status and a sentence.

An error is ``{"error": {"kind": "UsageError", "message": "..."}}``, with the same kinds and sentences as in the protocol.
"""

from __future__ import annotations

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..errors import (
    BusyNameError,
    GlassBoxError,
    GuestError,
    HostError,
    MachineError,
    MachineGoneError,
    PageMapOverwrittenError,
    TraceError,
    UnknownMachineError,
    UsageError,
)
from ..wire.messages import Failure

_STATUS: tuple[tuple[type[GlassBoxError], int], ...] = (
    (UnknownMachineError, 404),
    (UsageError, 400),
    (BusyNameError, 409),
    (PageMapOverwrittenError, 409),
    (MachineGoneError, 410),
    (MachineError, 502),
    (HostError, 503),
    (GuestError, 503),
    (TraceError, 422),
)
"""HTTP status by error; the first that fits."""
_KINDS = {404: "NotFound", 405: "MethodNotAllowed"}


class _Error(msgspec.Struct):
    error: Failure


def json_response(text: bytes, status: int = 200) -> Response:
    """A response of JSON."""
    return Response(text, status, media_type="application/json")


def failure(status: int, kind: str, message: str) -> Response:
    """The response to a request that fails."""
    text = message.encode(errors="backslashreplace").decode()
    return json_response(msgspec.json.encode(_Error(Failure(kind, text))), status)


def status_of(error: GlassBoxError) -> int:
    """The HTTP status that says the same as `error`."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


async def answer_error(request: Request, error: Exception) -> Response:
    """The response where an operation raised `error`."""
    assert isinstance(error, GlassBoxError)
    return failure(status_of(error), type(error).__name__, str(error))


async def answer_nobody(request: Request, error: Exception) -> Response:
    """What goes nowhere: the client went away before there was an answer."""
    return Response(status_code=499)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """The response where there is no such route or method; the sentence says where the routes are listed."""
    assert isinstance(error, HTTPException)
    kind = _KINDS.get(error.status_code, "Refused")
    message = f"{request.method} {request.url.path} is not offered; /openapi.json lists what is"
    response = failure(error.status_code, kind, message if error.status_code in _KINDS else str(error.detail))
    response.headers.update(error.headers or {})
    return response
