"""Write what RAM holds of a guest's files: one as a file of this host, several as a tar archive.

>>> write_file(client.ram, client.cached_files("file:/bin/busybox", runs=True)[0], Path("busybox"))
>>> missing(client.cached_files("file:/bin/busybox")[0])
()

What is not in RAM is a hole, zeros when it is read, and `missing` lists it; an archive says so in each member's pax header
`MISSING`. Names of an archive never lead out of the folder that it is unpacked in.
"""

from __future__ import annotations

import io
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import UsageError
from ..host.plain_file import output_file
from ..host.printable import printable
from ..memory.addresses import PhysicalAddress
from ..memory.ram import GuestRam
from ..wire.records import DELETED, FileInMemory

MISSING = "GLASSBOX.missing"
"""The pax header of a member that is not whole: ``0x1000-0x3000,…``, the ranges of the file that are zeros for want of better."""
MOST_MISSING = 1 << 30
"""Bytes of one file that an archive pads with zeros: a guest may state any size."""
_PIECE = 1 << 20
_TYPES = {stat.S_IFDIR: tarfile.DIRTYPE, stat.S_IFLNK: tarfile.SYMTYPE}


def missing(file: FileInMemory) -> tuple[tuple[int, int], ...]:
    """(start, end) offsets of what is in the file but not in RAM; `file` was asked for with its runs.

    Of a file that lives in memory alone, what has no page is zeros and is missing only if something of it is swapped.
    """
    if file.is_of_memory and not file.swapped:
        return ()
    found, at = [], 0
    for run in file.runs:
        if run.offset > at:
            found.append((at, run.offset))
        at = max(at, run.offset + run.size)
    if at < file.size and stat.S_IFMT(file.mode) in (stat.S_IFREG, stat.S_IFBLK):
        found.append((at, file.size))
    return tuple(found)


def write_file(ram: GuestRam, file: FileInMemory, path: Path, *, force: bool = False) -> None:
    """Write `file` to `path`, with holes where nothing is in RAM: the whole of it or, whatever interrupts, nothing.

    `UsageError` where `path` exists, unless `force`; `HostError` where it cannot be written.
    """
    with output_file(path, force=force) as out:
        out.truncate(file.size)
        for run in file.runs:
            out.seek(run.offset)
            for piece in _pieces(ram, run.physical, run.size):
                out.write(piece)


def write_tree(ram: GuestRam, files: Iterable[FileInMemory], path: Path, *, force: bool = False) -> list[str]:
    """Write `files` to the tar archive `path`; returns a sentence for each that is left out. Errors are those of `write_file`."""
    notes: list[str] = []
    with (
        output_file(path, force=force) as out,
        tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for file in sorted(files, key=lambda each: each.path):
            absent = sum(end - start for start, end in missing(file))
            kind = _TYPES.get(stat.S_IFMT(file.mode), tarfile.REGTYPE)
            if kind == tarfile.REGTYPE and file.size - file.in_memory > MOST_MISSING:
                notes.append(f"{file.path}: {absent} of {file.size} bytes are not in RAM; extract it alone")
            elif kind == tarfile.SYMTYPE and not file.link:
                notes.append(f"{file.path}: where this link leads to is not in memory")
            else:
                content = io.BufferedReader(_Content(ram, file), _PIECE) if kind == tarfile.REGTYPE else None
                archive.addfile(_member(file, kind), content)
    return notes


def _member(file: FileInMemory, kind: bytes) -> tarfile.TarInfo:
    parts = (part for part in file.path.split("/") if part not in ("", ".", ".."))
    info = tarfile.TarInfo("/".join(parts) or ".")
    info.type, info.linkname = kind, file.link if kind == tarfile.SYMTYPE else ""
    info.size = file.size if kind == tarfile.REGTYPE else 0
    info.mode, info.mtime = stat.S_IMODE(file.mode), max(file.mtime_s, 0)
    info.uid, info.gid = file.uid, file.gid
    if kind == tarfile.REGTYPE and (gaps := missing(file)):
        info.pax_headers = {MISSING: ",".join(f"{start:#x}-{end:#x}" for start, end in gaps)}
    return info


class _Content(io.RawIOBase):
    """The bytes of a file, zeros where nothing is in RAM."""

    def __init__(self, ram: GuestRam, file: FileInMemory) -> None:
        self._pieces = self._read(ram, file)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the buffer is always one of bytes
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    @staticmethod
    def _read(ram: GuestRam, file: FileInMemory) -> Iterator[bytes]:
        at = 0
        for run in file.runs:
            yield from _zeros(run.offset - at)
            yield from _pieces(ram, run.physical, run.size)
            at = run.offset + run.size
        yield from _zeros(file.size - at)


def _zeros(count: int) -> Iterator[bytes]:
    return (bytes(min(_PIECE, count - at)) for at in range(0, count, _PIECE))


def _pieces(ram: GuestRam, physical: int, size: int) -> Iterator[bytes]:
    return (ram.read(PhysicalAddress(physical + at), min(_PIECE, size - at)) for at in range(0, size, _PIECE))


def newest_of_name(files: Iterable[FileInMemory], inode: int | None = None) -> list[FileInMemory]:
    """Those of `files` that are meant by one path: where one of that name exists, not the removed ones; or the one of number `inode`.

    `UsageError` where several have the same name.
    """
    found = [file for file in files if inode is None or file.inode == inode]
    there = [file for file in found if not file.path.endswith(DELETED)] or found
    paths = [file.path for file in there]
    if twice := next((path for path in paths if paths.count(path) > 1), ""):
        numbers = ", ".join(str(file.inode) for file in there if file.path == twice)
        raise UsageError(f"several files are called {printable(twice)}; choose one with --inode: {numbers}")
    return there
