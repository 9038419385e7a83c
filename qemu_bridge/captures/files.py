"""A capture: a machine's memory at one moment, in a folder that opens wherever a machine's name does.

::

    manifest.json      what this is, its RAM layout, its kernel, checksums of the other files
    ram                the RAM, byte for byte; pages that were never touched are holes
    page_map.npy       a row a page: class, flags, owner (NumPy, `page_map.ENTRY`)
    owners.json        the owners, by owner id
    symbols/           the kernel's symbols and types, as the symbol cache keeps them
    console.log        the end of the console log, if Glass Box started the machine

This module reads one; `captures.write` makes one. A daemon of its own serves it
(`daemon.backends.capture`). docs/captures.md documents the manifest.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..host.plain_file import open_plain, read_plain
from ..memory.addresses import PAGE_SIZE
from ..memory.ram import GuestRam
from ..wire.capture_names import MANIFEST, OWNERS, PAGE_MAP, RAM
from ..wire.capture_records import Manifest
from ..wire.page_map import ENTRY, PageMap
from ..wire.records import Grade, Owner

FORMAT, VERSION = "glassbox-capture", 1
PIECE = 4 << 20
"""Bytes of RAM that are read, checked and written at a time."""
_MAX_JSON = 64 << 20
_MAX_REGIONS = 64
_MAX_RAM = 1 << 46


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the capture in `folder`; `UsageError` if it cannot be opened."""
    try:
        record = _read_json(folder / MANIFEST)
    except UsageError:
        if folder.is_dir():
            raise
        raise UsageError(f"there is no capture {folder}; make one with 'glassbox capture NAME -o {folder}'") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise UsageError(f"{folder} is not a capture (its {MANIFEST} has another format); give a capture's folder")
    if record.get("version") != VERSION:
        raise UsageError(
            f"the capture {folder} has version {str(record.get('version'))[:40]!r}, this glassbox reads {VERSION}; use the release that made it"
        )
    try:
        manifest = _to_manifest(record)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"the manifest of {folder} is invalid ({error}); capture the machine again") from None
    _check_files(folder, manifest)
    return manifest


def read_page_map(folder: Path) -> PageMap:
    """The stored page map; `UsageError` if it is damaged or does not match the RAM."""
    manifest = read_manifest(folder)
    for name in (PAGE_MAP, OWNERS):
        if file_checksum(folder / name) != manifest.checksums.get(name):
            raise UsageError(f"{folder / name} is damaged (its checksum is wrong); capture the machine again")
    try:
        entries = _load_entries(folder / PAGE_MAP, manifest.ram_bytes // PAGE_SIZE)
        owners = {owner.owner_id: owner for owner in msgspec.convert(_read_json(folder / OWNERS), list[Owner])}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise UsageError(f"the page map in {folder} cannot be read ({error}); capture the machine again") from None
    return PageMap(entries, owners, grade=Grade.CAPTURE, skipped=manifest.skipped)


def check_ram(folder: Path) -> bool:
    """Whether the capture's RAM matches its checksum; reads all of it."""
    manifest = read_manifest(folder)
    checksum = 0
    with GuestRam(folder / RAM, manifest.layout) as ram:
        for start, end in iter_pieces(ram):
            checksum = checksum_ram(ram.view[start:end].tobytes(), checksum)
    return checksum == manifest.checksums.get(RAM)


def checksum_ram(piece: bytes, checksum: int) -> int:
    """`checksum`, a CRC-32, continued over a piece of RAM without its pages of zeros, which a copy may keep as holes or not."""
    pages = np.frombuffer(piece, np.uint64).reshape(-1, PAGE_SIZE // 8)
    return zlib.crc32(pages[pages.any(axis=1)].data, checksum)


def _load_entries(path: Path, page_count: int) -> npt.NDArray[np.void]:
    """The rows in a NumPy file; `ValueError` unless it is one of `page_count` entries, whatever its header claims."""
    with open_plain(path) as file:
        major, _ = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
        size = os.fstat(file.fileno()).st_size - file.tell()
        if dtype != ENTRY or shape != (page_count,) or size != page_count * ENTRY.itemsize:
            raise ValueError(f"{shape} entries of {dtype} in {size} bytes for {page_count} pages")
        return np.frombuffer(file.read(size), ENTRY)


def _read_json(path: Path) -> Any:  # noqa: ANN401  # any JSON value
    try:
        return msgspec.json.decode(read_plain(path, _MAX_JSON))
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); give the folder of a capture") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path} is not JSON; capture the machine again") from None


def _to_manifest(record: dict[str, Any]) -> Manifest:
    manifest = msgspec.convert(record, Manifest)
    _check_layout(manifest)
    return manifest


def _check_layout(manifest: Manifest) -> None:
    """`ValueError` unless the regions are contiguous in the file and ascending in the guest."""
    offset = end = 0
    if not 0 < len(manifest.regions) <= _MAX_REGIONS:
        raise ValueError(f"{len(manifest.regions)} regions")
    for start, first, size in manifest.regions:
        if first != offset or start < end or size <= 0 or size % PAGE_SIZE or start % PAGE_SIZE:
            raise ValueError(f"a region of {size:#x} bytes at {start:#x}")
        offset, end = first + size, start + size
    if offset != manifest.ram_bytes or end > _MAX_RAM:
        raise ValueError(f"{manifest.ram_bytes} bytes of RAM in regions of {offset}")


def _check_files(folder: Path, manifest: Manifest) -> None:
    ram = folder / RAM
    # Links are not followed: a foreign capture may point anywhere.
    if ram.is_symlink() or not ram.is_file():
        raise UsageError(f"the capture {folder} has no RAM (no file {RAM}); capture the machine again")
    if (found := ram.stat().st_size) != manifest.ram_bytes:
        raise UsageError(
            f"{ram} has {found} bytes instead of {manifest.ram_bytes}; it was truncated: copy or capture it again"
        )


def file_checksum(path: Path) -> int:
    """CRC-32 of the file at `path`; `UsageError` where it cannot be read."""
    checksum = 0
    try:
        with open_plain(path) as file:
            while piece := file.read(PIECE):
                checksum = zlib.crc32(piece, checksum)
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); capture the machine again") from None
    return checksum


def iter_pieces(ram: GuestRam) -> Iterator[tuple[int, int]]:
    """Yield the touched parts of RAM in pieces of whole pages, of at most `PIECE` bytes: (start, end) file offsets."""
    for start, end in ram.resident_runs():
        end = -(-end // PAGE_SIZE) * PAGE_SIZE
        for at in range(start // PAGE_SIZE * PAGE_SIZE, end, PIECE):
            yield at, min(at + PIECE, end)
