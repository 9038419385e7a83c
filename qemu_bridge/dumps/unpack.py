"""Make of a dump the file that everything else maps: RAM in one piece, holes where it is zero.

Unpacked RAM is kept in the cache, by what file it came from, so that a dump is unpacked once. The cache has a bound; what was
not used for longest goes first.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import lzma
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec
import numpy as np
import zstandard

from ..errors import HostError, UsageError
from ..host.folders import cache_folder
from ..host.plain_file import file_state
from ..memory.addresses import (
    PAGE_SIZE,
    PhysicalAddress,
    format_layout,
    format_size,
    parse_layout,
)
from .dump import MAX_RAM, PIECE, Dump, PlainReader, layout_of, write_all
from .open_dump import open_dump

CACHE_BYTES = 32 << 30
"""Of unpacked RAM that is kept; the newest stays whatever its size."""
Progress = Callable[[int, int], object]
"""Is told bytes done, and bytes in all (0: not known)."""


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


_VERSION = 1
"""Of what is kept: a later one unpacks again."""
_RAM, _ABOUT, _DRAFT = "ram", "about.json", "draft-"
_COMPRESSED: tuple[tuple[bytes, str, Callable[[BinaryIO], _Stream]], ...] = (
    (b"\x1f\x8b", "gzip", lambda file: gzip.GzipFile(fileobj=file)),
    (
        b"\x28\xb5\x2f\xfd",
        "zstd",
        lambda file: zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True),
    ),
    (b"\xfd7zXZ\0", "xz", lambda file: lzma.LZMAFile(file)),
)


class Unpacked(msgspec.Struct, frozen=True):
    """RAM out of a dump.

    Attributes:
        ram: the linear file; the dump itself where that is one already.
        format: what wrote the dump, in words.
        layout: where the RAM lies (`addresses.parse_layout`); empty where the dump does not say.
        missing: what the dump ought to hold and does not.
    """

    ram: str
    format: str
    layout: str
    missing: tuple[str, ...] = ()


def unpack(path: Path, progress: Progress | None = None) -> Unpacked:
    """RAM of the dump at `path` as a linear file, unpacked unless the cache has it.

    `UsageError` for a file that holds no RAM, `HostError` where there is no room.
    """
    progress = progress or (lambda done, whole: None)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); give a file with RAM in it") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageError(f"{path} is not a regular file; give a file with RAM in it")
        folder = _cache() / _identity(path)
        if (found := _kept(folder)) is not None:
            return found
        reader = PlainReader(path, descriptor)
        head = reader.read(0, 16)
        codec = next((row for row in _COMPRESSED if head.startswith(row[0])), None)
        if codec is None and (dump := open_dump(reader)) is None:
            over = reader.size % PAGE_SIZE
            cut = (f"{path} was cut short: its last {over} bytes are no page, and left out",) if over else ()
            return Unpacked(str(path), "raw RAM", "", cut)
        with _new_folder(folder) as draft:
            if codec is None:
                assert dump is not None
                found = _write(dump, draft / _RAM, progress)
            else:
                found = _decompress(path, codec, draft, progress)
            about = msgspec.structs.replace(found, ram=str(folder / _RAM))
            (draft / _ABOUT).write_bytes(msgspec.json.encode(about))
            return about
    except OSError as error:
        raise HostError(f"cannot unpack {path}: {error.strerror or error}; make room in {_cache()}") from None
    finally:
        os.close(descriptor)


def _write(dump: Dump, target: Path, progress: Progress) -> Unpacked:
    """Write the RAM of `dump` to a new file, zeros as holes."""
    layout = layout_of(dump.ranges)
    done = 0
    with open(target, "xb", buffering=0) as file:
        os.truncate(file.fileno(), layout.size)
        for physical, content in dump.pieces():
            if any(region.start <= physical < region.start + region.size for region in layout.regions):
                _put(file.fileno(), layout.to_offset(PhysicalAddress(physical)), content)
            done += len(content)
            progress(done, layout.size)
    # What a dump left out never came.
    progress(layout.size, layout.size)
    return Unpacked(str(target), dump.format, format_layout(layout) if dump.has_layout else "", tuple(dump.missing))


def _put(descriptor: int, offset: int, content: bytes) -> None:
    """Write the pages of `content` that are not all zero."""
    head = -offset % PAGE_SIZE
    if head or len(content) % PAGE_SIZE:
        if content.strip(b"\0"):
            write_all(descriptor, memoryview(content), offset)
        return
    used = np.frombuffer(content, np.uint64).reshape(-1, PAGE_SIZE // 8).any(axis=1)
    edges = np.flatnonzero(np.diff(used.view(np.int8), prepend=0, append=0)) * PAGE_SIZE
    for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        write_all(descriptor, memoryview(content)[first:end], offset + first)


def _decompress(
    path: Path, codec: tuple[bytes, str, Callable[[BinaryIO], _Stream]], draft: Path, progress: Progress
) -> Unpacked:
    """Unpack a compressed file, and the dump in it."""
    inner, missing, size = draft / "inner", [], 0
    with open(path, "rb") as packed, open(inner, "xb", buffering=0) as file:
        whole = os.fstat(packed.fileno()).st_size
        stream = codec[2](packed)
        while True:
            try:
                content = stream.read(PIECE)
            except (EOFError, zstandard.ZstdError, lzma.LZMAError, gzip.BadGzipFile, OSError) as error:
                if not size:
                    raise UsageError(f"{path} cannot be unpacked ({error}); was it cut short?") from None
                missing.append(
                    f"{path} was cut short or is damaged: what follows byte {size:#x} of its content is missing"
                )
                break
            if not content:
                break
            _put(file.fileno(), size, content)
            size += len(content)
            if size > MAX_RAM:
                raise UsageError(f"{path} unpacks to more than {format_size(MAX_RAM)}; give a dump of RAM")
            progress(packed.tell(), whole)
        # A raw image ends with a whole page, also one that was cut short.
        os.truncate(file.fileno(), size if not missing else -(-size // PAGE_SIZE) * PAGE_SIZE)
    descriptor = os.open(inner, os.O_RDONLY | os.O_CLOEXEC)
    try:
        dump = open_dump(PlainReader(path, descriptor))
        if dump is None:
            os.rename(inner, draft / _RAM)
            return Unpacked("", f"raw RAM in {codec[1]}", "", tuple(missing))
        found = _write(dump, draft / _RAM, progress)
        inner.unlink()
        return msgspec.structs.replace(
            found, format=f"{found.format} in {codec[1]}", missing=(*missing, *found.missing)
        )
    finally:
        os.close(descriptor)


# --- the cache ---------------------------------------------------------------------------------------------


def _cache() -> Path:
    return cache_folder("dumps")


def _identity(path: Path) -> str:
    return hashlib.sha256(os.fsencode(f"{_VERSION} {file_state(path.resolve())}")).hexdigest()[:32]


def _kept(folder: Path) -> Unpacked | None:
    """What the cache holds in `folder`; None where it is not there or not whole."""
    try:
        found = msgspec.json.decode((folder / _ABOUT).read_bytes(), type=Unpacked)
        size = os.stat(found.ram).st_size
        if found.layout:
            parse_layout(found.layout, size)  # which refuses another size
    except (OSError, msgspec.MsgspecError, UsageError):
        return None
    with contextlib.suppress(OSError):
        os.utime(folder)
    return found


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A draft that becomes `folder` when all went well, and leaves nothing behind otherwise."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=folder.parent))
    lock = hold(draft)
    try:
        yield draft
        try:
            os.rename(draft, folder)
        except OSError:  # another process was faster, or what is there is not whole
            if _kept(folder) is None:
                shutil.rmtree(folder, ignore_errors=True)
                os.rename(draft, folder)
        trim(folder.parent, CACHE_BYTES, keep=folder)
    finally:
        os.close(lock)
        shutil.rmtree(draft, ignore_errors=True)


def hold(folder: Path) -> int:
    """A descriptor that keeps `folder` of the cache from being trimmed while it is open."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _is_held(folder: Path) -> bool:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def trim(cache: Path, limit: int, keep: Path | None = None) -> None:
    """Remove from `cache` what was used longest ago until it holds at most `limit` bytes; never `keep`, or what is in use.

    Drafts of processes that were killed go at once.
    """
    rows = []
    for folder in cache.iterdir():
        with contextlib.suppress(OSError):
            size = sum(part.stat().st_blocks * 512 for part in folder.iterdir())
            rows.append((not folder.name.startswith(_DRAFT), folder.stat().st_mtime_ns, size, folder))
    total = sum(size for _, _, size, _ in rows)
    for is_whole, _, size, folder in sorted(rows):
        with contextlib.suppress(OSError):
            if (total > limit or not is_whole) and folder != keep and not _is_held(folder):
                shutil.rmtree(folder)
                total -= size
