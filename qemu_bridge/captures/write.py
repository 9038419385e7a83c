"""Writes a capture: the page map, RAM, and the kernel's symbols, all of one moment.

The daemon's job process calls this (`daemon.job_process`). The daemon pauses and resumes the guest, so that no client can
leave it paused; `Hooks.guest_paused` asks it to.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from .. import __version__
from ..errors import GlassBoxError, GuestError, HostError, NoTypesError, UsageError
from ..kernel.symbols import KernelSymbols, cache
from ..memory.addresses import RamLayout, format_size
from ..memory.ram import GuestRam
from ..wire.capture_names import CONSOLE, MANIFEST, OWNERS, PAGE_MAP, RAM, SYMBOLS
from ..wire.capture_records import Manifest
from ..wire.page_map import ENTRY, PageMap
from .files import FORMAT, VERSION, checksum_ram, file_checksum, iter_pieces, read_manifest

if TYPE_CHECKING:
    from ..client import Client

_CONSOLE_TAIL = 1 << 20


@dataclass(frozen=True, slots=True)
class Hooks:
    """Callbacks of `write_capture` to its caller.

    Attributes:
        guest_paused: a context in which the guest is paused; yields whether this paused it.
        progress: called with the bytes of RAM written and their total.
        on_draft: called with the folder that is written; remove it if this process is killed.
    """

    guest_paused: Callable[[], AbstractContextManager[bool]]
    progress: Callable[[int, int], None]
    on_draft: Callable[[Path], None]


def write_capture(
    client: Client, folder: Path, hooks: Hooks, *, live: bool = False, replace_old: bool = False
) -> Manifest:
    """Write a capture of `client`'s machine to `folder`, which appears when it is complete.

    The guest is paused while its RAM is copied, unless `live`. Raises `UsageError` if `folder` exists, unless `replace_old` is
    set and it is a capture; `HostError` if the disk is full. A failure leaves no files behind.
    """
    if folder.exists() or folder.is_symlink():
        if not replace_old:
            raise UsageError(f"{folder} exists already; give another path or --force")
        read_manifest(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise HostError(f"cannot write to {folder.parent} ({error.strerror}); give another path with -o") from None
    try:
        hooks.on_draft(draft)
        manifest = _write(client, draft, live, hooks)
        (draft / MANIFEST).write_text(
            json.dumps({"format": FORMAT, "version": VERSION} | msgspec.structs.asdict(manifest), indent=1)
        )
        _sync(draft)
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
    except OSError as error:
        raise HostError(f"cannot write {folder} ({error.strerror}); free space or give another path with -o") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def _write(client: Client, draft: Path, live: bool, hooks: Hooks) -> Manifest:
    connection = client.connection
    # A refresh now makes the one during the pause fast.
    _page_map(client)
    taken_at, started = time.time(), time.monotonic()
    with contextlib.nullcontext(False) if live else hooks.guest_paused() as was_running:
        page_map, skipped = _page_map(client)
        checksums = {RAM: _copy_ram(client.ram, draft / RAM, hooks.progress)}
    paused_s = time.monotonic() - started if was_running else 0.0
    np.save(draft / PAGE_MAP, page_map.entries)
    (draft / OWNERS).write_bytes(msgspec.json.encode(tuple(page_map.owners.values())))
    if connection.console_path:
        with contextlib.suppress(OSError):
            (draft / CONSOLE).write_bytes(Path(connection.console_path).read_bytes()[-_CONSOLE_TAIL:])
    release, build_id, kaslr_offset = _write_symbols(draft, client.ram.layout)
    for path in sorted(draft.rglob("*")):
        if path.is_file() and path.name != RAM:
            checksums[str(path.relative_to(draft))] = file_checksum(path)
    return Manifest(
        name=client.name,
        taken_at=taken_at,
        grade="live" if live else "paused",
        paused_s=round(paused_s, 6),
        machine=connection.machine,
        accelerator=connection.accelerator,
        image=connection.image,
        ram_bytes=client.ram.size,
        regions=connection.regions,
        release=release,
        build_id=build_id,
        kaslr_offset=kaslr_offset,
        glassbox=__version__,
        checksums=checksums,
        skipped=skipped,
    )


def _page_map(client: Client) -> tuple[PageMap, tuple[str, ...]]:
    """The page map as of now; an empty one, with the reason, if the guest cannot be interpreted."""
    try:
        answer = client.page_map(complete=True)
        return answer.value, answer.skipped
    except GuestError as error:
        return PageMap(np.zeros(client.ram.page_count, ENTRY), {}), (str(error),)


def _copy_ram(ram: GuestRam, path: Path, progress: Callable[[int, int], None]) -> int:
    """Copy RAM to `path`, where pages that were never touched are holes; returns its checksum."""
    pieces = list(iter_pieces(ram))
    total = sum(end - start for start, end in pieces)
    if (free := shutil.disk_usage(path.parent).free) < total:
        raise HostError(
            f"{path.parent} has {format_size(free >> 20 << 20)} free, the RAM needs {total >> 20} MiB; free space or give another path with -o"
        )
    done = checksum = 0
    with path.open("wb") as file:
        file.truncate(ram.size)
        for start, end in pieces:
            # Copied, because the guest may change the page between writing and checksumming.
            piece = ram.view[start:end].tobytes()
            os.pwrite(file.fileno(), piece, start)
            checksum = checksum_ram(piece, checksum)
            done += len(piece)
            progress(done, total)
    return checksum


def _write_symbols(draft: Path, layout: RamLayout) -> tuple[str, str, int]:
    """Write the symbols of the kernel in the RAM just copied; returns (release, build id, KASLR offset)."""
    try:
        # From this RAM alone: no symbols from the shared cache get into a capture.
        with GuestRam(draft / RAM, layout) as ram, cache.kept_in(draft / SYMBOLS):
            kernel = KernelSymbols.load(ram)
            with contextlib.suppress(NoTypesError):
                _ = kernel.isf_path
            return kernel.release, kernel.build_id, kernel.kaslr_offset
    except GlassBoxError:
        # A guest that has not booted can be captured too.
        return "", "", 0


def _sync(folder: Path) -> None:
    """Flush `folder` to disk before it is renamed to its final name."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
