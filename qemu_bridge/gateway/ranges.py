"""Large bodies in parts: HTTP's range requests (RFC 9110, section 14) over anything that is read at an offset."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from .answers import failure

_ONE = re.compile(r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.ASCII | re.IGNORECASE)
_STEP = 1 << 18
"""Bytes that are read at a time: a fraction of a millisecond, between which other requests have their turn."""
BINARY = "application/octet-stream"


def parse_range(text: str, size: int) -> tuple[int, int] | None:
    """(first, past) of the one range that a ``Range`` header asks of `size` bytes; None where it cannot be given.

    More than one range is not given: whoever wants several places sends several requests.
    """
    found = _ONE.fullmatch(text.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        first, past = max(size - int(found[2]), 0), size
    else:
        first, past = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
    return (first, past) if first < past else None


def ranged_response(
    request: Request, size: int, read: Callable[[int, int], bytes], media_type: str = BINARY, etag: str = ""
) -> Response:
    """The whole of `size` bytes, or the part that the request asks for; `read` returns bytes at (offset, length).

    `etag` names what is read, where it has a name; without one ``If-Range`` never holds.
    """
    headers = {"accept-ranges": "bytes"} | ({"etag": etag} if etag else {})
    wanted, condition = request.headers.getlist("range"), request.headers.get("if-range")
    first, past, status = 0, size, 200
    if wanted and (condition is None or (etag and condition == etag)):
        found = parse_range(wanted[0], size) if len(wanted) == 1 else None
        if found is None:
            response = failure(416, "WrongRange", f"ask for one range of these {size} bytes, such as 'bytes=0-4095'")
            response.headers["content-range"] = f"bytes */{size}"
            return response
        (first, past), status = found, 206
        headers["content-range"] = f"bytes {first}-{past - 1}/{size}"
    headers["content-length"] = str(past - first)
    body: Iterator[bytes] = iter(()) if request.method == "HEAD" else _iter_parts(read, first, past)
    return StreamingResponse(_one_after_another(body), status, headers, media_type)


def _iter_parts(read: Callable[[int, int], bytes], first: int, past: int) -> Iterator[bytes]:
    for offset in range(first, past, _STEP):
        yield read(offset, min(_STEP, past - offset))


async def _one_after_another(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    # On the event loop: memory is read sooner than another thread would begin to.
    for part in parts:
        yield part
        # To a client that has gone nothing waits to be sent: this lets its going be noticed.
        await asyncio.sleep(0)
