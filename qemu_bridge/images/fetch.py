"""Verified downloads: a file from the first mirror that has it, checked and cached atomically.

Mirrors are folders named by an address: ``https://…/``, ``http://…/`` or ``file:///…/``. The environment
variable ``GLASSBOX_IMAGE_MIRROR`` (an address or the path of a folder) comes before those of the recipe. A
file without a known checksum is accepted from ``https`` and ``file`` only: nothing else authenticates it.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from hashlib import sha512
from pathlib import Path
from typing import BinaryIO, cast

from ..host.plain_file import open_plain, write_atomic
from .recipe import RemoteFile

MIRROR_VARIABLE = "GLASSBOX_IMAGE_MIRROR"
TIMEOUT_S = 10.0
"""How long a mirror may be silent."""
DEADLINE_S = 600.0
"""How long one file may take altogether."""
SIZE_LIMIT = 256 << 20
"""Bytes of the largest file that is taken."""

Progress = Callable[[str], None]

_log = logging.getLogger(__name__)
_CHUNK = 1 << 16


class Unavailable(Exception):  # noqa: N818 - a finding that the builder turns into an ImageError with advice
    """A part of an image is unavailable; the message gives the reasons without advice.

    Attributes:
        refused: a mirror did answer, with something other than the file that was asked for.
    """

    def __init__(self, message: str, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class _WrongContentError(Exception):
    """The mirror answered with other content than was asked for."""


def order_mirrors(mirrors: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses in the order tried: that of ``GLASSBOX_IMAGE_MIRROR`` first; each ends with a slash."""
    chosen = os.environ.get(MIRROR_VARIABLE, "").strip()
    if chosen and "://" not in chosen:
        chosen = Path(chosen).expanduser().absolute().as_uri()
    return tuple(dict.fromkeys(mirror.rstrip("/") + "/" for mirror in (chosen, *mirrors) if mirror))


def fetch(file: RemoteFile, mirrors: tuple[str, ...], folder: Path, progress: Progress) -> bytes:
    """The content of `file`, from the cache in `folder` or the first of `mirrors` that has it.

    A file with a checksum is kept in `folder` and checked again each time. Raises `Unavailable` with each
    mirror that was tried and why it failed.
    """
    kept = folder / f"{file.sha512[:16]}-{file.name}" if file.sha512 else None
    if kept and (content := _read_kept(kept, cast(str, file.sha512))) is not None:
        return content
    reasons, refused = [], False
    for mirror in order_mirrors(mirrors):
        url = mirror + urllib.parse.quote(file.path)
        try:
            progress(f"downloading {url}")
            content = _download(url, file.sha512)
        except (OSError, http.client.HTTPException, ValueError, _WrongContentError) as error:
            reasons.append(f"{url}: {_reason(error)}")
            refused |= isinstance(error, _WrongContentError)
            progress(f"that failed: {_reason(error)}")
            continue
        if kept:
            write_atomic(kept, content)
        return content
    raise Unavailable(f"no mirror has {file.name} ({'; '.join(reasons) or 'the recipe names none'})", refused)


def _read_kept(path: Path, checksum: str) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return content if sha512(content).hexdigest() == checksum else None


def _download(url: str, checksum: str | None) -> bytes:
    if checksum is None and urllib.parse.urlsplit(url).scheme == "http":
        raise ValueError("plain http is not accepted for a file without a known checksum")
    content, started = bytearray(), time.monotonic()
    with _open(url) as (stream, expected):
        while chunk := stream.read(_CHUNK):
            content += chunk
            if len(content) > SIZE_LIMIT:
                raise _WrongContentError(f"more than {SIZE_LIMIT >> 20} MiB")
            if time.monotonic() - started > DEADLINE_S:
                raise TimeoutError(f"not done after {DEADLINE_S:.0f} s")
    if expected is not None and len(content) != expected:
        raise _WrongContentError(f"truncated, {len(content)} of {expected} bytes received")
    if checksum is not None and (found := sha512(content).hexdigest()) != checksum:
        size = len(content)
        raise _WrongContentError(f"wrong checksum, SHA-512 of its {size} bytes is {found[:12]}…, not {checksum[:12]}…")
    return bytes(content)


@contextlib.contextmanager
def _open(url: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """A stream of what is at `url`, and its length in bytes where that is announced."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        with open_plain(Path(urllib.parse.unquote(parts.path)).resolve()) as file:
            yield file, None
    elif parts.scheme in ("http", "https"):
        request = urllib.request.Request(url, headers={"User-Agent": "glassbox"})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            length = response.headers.get("Content-Length", "")
            yield cast(BinaryIO, response), int(length) if length.isdecimal() else None
    else:
        raise ValueError("an address starts with https://, http:// or file://")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, Exception):
        return _reason(error.reason)
    if isinstance(error, TimeoutError) and "timed out" in str(error):
        return f"no answer within {TIMEOUT_S:.0f} s"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
