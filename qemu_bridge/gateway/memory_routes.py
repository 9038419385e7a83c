"""Bulk reads: RAM, the page map and files as bytes, in ranges."""

from __future__ import annotations

import os
import stat
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..errors import MachineGoneError, UsageError
from ..memory.addresses import RamOffset
from ..wire.json_text import encode_json
from .answers import failure, json_response
from .machines import Machines
from .paths import file_path, files_folder
from .ranges import ranged_response


async def read_ram(request: Request, machines: Machines, name: str) -> Response:
    """The bytes of the RAM file of machine `name`, in the order of `ram_offset`; what was never touched is zero."""
    client = machines.client(name)
    client.validate()
    ram = client.ram
    return ranged_response(request, ram.size, lambda offset, length: ram.read_at(RamOffset(offset), length))


async def read_page_map(request: Request, machines: Machines, name: str) -> Response:
    """The entries of the page map of machine `name`, 8 bytes a page; a fresh one, or the published `generation` of the query.

    `PageMapOverwrittenError` where that has been overwritten.
    """
    client = machines.client(name)
    generation = request.query_params.get("generation")
    if generation is None:
        page_map = (await client.page_map()).value
    elif generation.isascii() and generation.isdigit() and len(generation) < 20:
        client.validate()
        page_map = client.published_page_map(int(generation))
    else:
        raise UsageError(f"{generation[:40]!r} is no generation; leave it out, or give that of refresh_page_map")
    entries = page_map.entries.view("u1").reshape(-1)
    etag = f'"{client.connection.daemon_pid}-{page_map.generation}"'
    return ranged_response(
        request, len(entries), lambda offset, length: entries[offset : offset + length].tobytes(), etag=etag
    )


def list_files(name: str) -> Response:
    """The files of machine `name`: what operations wrote for callers over HTTP, and what was put there."""
    with os.scandir(files_folder(name)) as found:
        rows: list[dict[str, Any]] = [
            {
                "name": each.name,
                "is_folder": each.is_dir(),
                "size_bytes": each.stat().st_size,
                "time": each.stat().st_mtime,
            }
            for each in found
            if not each.is_symlink() and not each.name.startswith(".")
        ]
    return json_response(encode_json(sorted(rows, key=lambda row: str(row["name"]))))


def read_file(request: Request, name: str, file: str) -> Response:
    """A file of machine `name`; 404 where there is none, or a capture's folder."""
    path = file_path(name, file)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return _no_file(name, file)
    opened = _OpenFile(descriptor)
    if not opened.is_plain:
        return _no_file(name, file)
    response = ranged_response(request, opened.size, opened.read)
    response.headers["content-disposition"] = f'attachment; filename="{file}"'
    return response


def delete_file(name: str, file: str) -> Response:
    """Remove a file of machine `name`; 404 where there is none, or a capture's folder."""
    path = file_path(name, file)
    if not path.is_file() or path.is_symlink():
        return _no_file(name, file)
    path.unlink(missing_ok=True)
    return json_response(msgspec.json.encode(None))


def _no_file(name: str, file: str) -> Response:
    return failure(404, "NotFound", f"there is no file {file!r}; /api/machines/{name}/files lists them")


class _OpenFile:
    """A file that stays open as long as somebody reads it."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "rb")
        found = os.fstat(descriptor)
        self.is_plain, self.size = stat.S_ISREG(found.st_mode), found.st_size

    def read(self, offset: int, length: int) -> bytes:
        content = os.pread(self._file.fileno(), length, offset)
        if len(content) < length:
            raise MachineGoneError("the file was cut short while it was read; ask again")
        return content
