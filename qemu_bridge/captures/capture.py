"""A capture: a machine's memory at one moment, in a folder that opens wherever a machine's name does.

::

    manifest.json      what this is, how its RAM lies, its kernel, and the other files with their sizes
    ram                the RAM, byte for byte; parts that nobody ever touched are holes
    page_map.npy       a row a page: class, flags, owner (NumPy, `page_map.ENTRY`)
    owners.json        who the owners are
    symbols/           the kernel's symbols and types, as the symbol cache keeps them
    console.log        the end of the console, of a machine of ours

`write_capture` makes one; `launch.open_capture` gives it to whoever asks as a machine that stands still: a daemon of its
own serves it until nobody looks any more (`attach.Capture`). docs/captures.md says what is in the manifest.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import GlassBoxError, GuestError, HostError, NoTypesError, UsageError
from ..host.plain_file import open_plain, read_plain
from ..kernel.symbols import KernelSymbols, cache
from ..memory.addresses import PAGE_SIZE, PhysicalAddress, RamLayout, RamOffset, RamRegion, format_size
from ..memory.ram import GuestRam
from ..wire.page_map import ENTRY, PageMap
from ..wire.records import Grade, Owner, from_json, to_json

if TYPE_CHECKING:
    from ..client import Client

FORMAT, VERSION = "glassbox-capture", 1
MANIFEST, RAM, PAGE_MAP, OWNERS, SYMBOLS, CONSOLE = (
    "manifest.json", "ram", "page_map.npy", "owners.json", "symbols", "console.log",
)  # fmt: skip
_PIECE = 4 << 20
_CONSOLE_TAIL = 1 << 20
_MAX_JSON = 64 << 20
_MAX_REGIONS = 64
_MAX_RAM = 1 << 46

Progress = Callable[[int, int], None]
"""Told how many bytes of RAM are written, of how many."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``manifest.json`` says; sizes in bytes, addresses guest-physical, times in seconds since 1970.

    Attributes:
        grade: ``paused`` if the guest stood still while it was copied, ``live`` if it went on.
        paused_s: how long it was made to stand still; 0 if it was not, or stood still already.
        regions: (first address, offset in ``ram``, size) of each run of RAM.
        checksums: CRC-32 of each file but ``ram``, by name; of ``ram`` over what is no hole.
    """

    name: str
    taken_at: float
    grade: str
    paused_s: float
    machine: str
    accelerator: str
    image: str
    ram_bytes: int
    regions: tuple[tuple[int, int, int], ...]
    release: str
    build_id: str
    kaslr_offset: int
    glassbox: str
    checksums: dict[str, int]
    skipped: tuple[str, ...] = ()

    @property
    def layout(self) -> RamLayout:
        """Where the bytes of ``ram`` appear in the guest."""
        return RamLayout(tuple(RamRegion(PhysicalAddress(a), RamOffset(b), c) for a, b, c in self.regions))


# --- reading -----------------------------------------------------------------------------------------------


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the capture in `folder`; `UsageError` says what is wrong with one that cannot be opened."""
    try:
        record = _read_json(folder / MANIFEST)
    except UsageError:
        if folder.is_dir():
            raise
        raise UsageError(f"there is no capture {folder}; make one with 'glassbox capture NAME -o {folder}'") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise UsageError(f"{folder} is no capture (its {MANIFEST} says otherwise); give the folder of one")
    if record.get("version") != VERSION:
        raise UsageError(
            f"the capture {folder} has version {str(record.get('version'))[:40]!r}, this glassbox reads {VERSION}; use the release that made it"
        )
    try:
        manifest = _to_manifest(record)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"the manifest of {folder} makes no sense ({error}); capture the machine again") from None
    _check_files(folder, manifest)
    return manifest


def read_page_map(folder: Path) -> PageMap:
    """The page map that was stored; `UsageError` where it is damaged or not of this RAM."""
    manifest = read_manifest(folder)
    for name in (PAGE_MAP, OWNERS):
        if _checksum(folder / name) != manifest.checksums.get(name):
            raise UsageError(f"{folder / name} is damaged (its checksum is wrong); capture the machine again")
    try:
        entries = _load_entries(folder / PAGE_MAP, manifest.ram_bytes // PAGE_SIZE)
        owners = {row["owner_id"]: from_json(Owner, row) for row in _read_json(folder / OWNERS)}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise UsageError(f"the page map in {folder} cannot be read ({error}); capture the machine again") from None
    return PageMap(entries, owners, grade=Grade.SNAPSHOT, skipped=manifest.skipped)


def check_ram(folder: Path) -> bool:
    """Whether the RAM of the capture still is what was written; reads all of it."""
    manifest = read_manifest(folder)
    checksum = 0
    with GuestRam(folder / RAM, manifest.layout) as ram:
        for start, end in _pieces(ram):
            checksum = zlib.crc32(ram.view[start:end].data, checksum)
    return checksum == manifest.checksums.get(RAM)


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
        return json.loads(read_plain(path, _MAX_JSON))
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); give the folder of a capture") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{path} is no JSON; capture the machine again") from None


def _to_manifest(record: dict[str, Any]) -> Manifest:
    known = {name: record[name] for name in Manifest.__dataclass_fields__}
    known["regions"] = tuple((int(a), int(b), int(c)) for a, b, c in record["regions"])
    known["skipped"] = tuple(str(sentence) for sentence in record["skipped"])
    known["checksums"] = {str(name): int(value) for name, value in record["checksums"].items()}
    for name in ("ram_bytes", "kaslr_offset"):
        known[name] = int(known[name])
    for name in ("name", "machine", "accelerator", "image", "release", "build_id", "grade"):
        known[name] = str(known[name])
    manifest = Manifest(**known)
    _check_layout(manifest)
    return manifest


def _check_layout(manifest: Manifest) -> None:
    """`ValueError` unless the regions fill the file in order and lie in order in the guest."""
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
    # Not followed: a capture from elsewhere may lead anywhere.
    if ram.is_symlink() or not ram.is_file():
        raise UsageError(f"the capture {folder} has no RAM in it (no file {RAM}); capture the machine again")
    if (found := ram.stat().st_size) != manifest.ram_bytes:
        raise UsageError(
            f"{ram} has {found} bytes where {manifest.ram_bytes} belong; it was cut short: copy or capture it again"
        )


def _checksum(path: Path) -> int:
    checksum = 0
    try:
        with open_plain(path) as file:
            while piece := file.read(_PIECE):
                checksum = zlib.crc32(piece, checksum)
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); capture the machine again") from None
    return checksum


# --- writing -----------------------------------------------------------------------------------------------


def write_capture(
    client: Client, folder: Path, *, live: bool = False, replace_old: bool = False, progress: Progress | None = None
) -> Manifest:
    """Write a capture of `client`'s machine to `folder`, which appears when it is complete.

    The guest stands still while its RAM is copied, unless `live`. Raises `UsageError` where something is already, unless
    `replace_old` and it is a capture; `HostError` where there is no room; what goes wrong leaves nothing behind.
    """
    if folder.exists() or folder.is_symlink():
        if not replace_old:
            raise UsageError(f"{folder} is there already; give another path or --force")
        read_manifest(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise HostError(f"cannot write to {folder.parent} ({error.strerror}); give another path with -o") from None
    try:
        manifest = _write(client, draft, live, progress or (lambda done, total: None))
        (draft / MANIFEST).write_text(json.dumps({"format": FORMAT, "version": VERSION} | asdict(manifest), indent=1))
        _sync(draft)
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
    except OSError as error:
        raise HostError(f"cannot write {folder} ({error.strerror}); make room or give another path with -o") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def _write(client: Client, draft: Path, live: bool, progress: Progress) -> Manifest:
    found = client.connection
    # Asked once before, it answers at once while the guest stands still.
    _page_map(client)
    with _standing_still(client, live) as pause:
        page_map, skipped = _page_map(client)
        checksums = {RAM: _copy_ram(client.ram, draft / RAM, progress)}
    np.save(draft / PAGE_MAP, page_map.entries)
    (draft / OWNERS).write_text(json.dumps([to_json(owner) for owner in page_map.owners.values()]))
    if found.console_path:
        with contextlib.suppress(OSError):
            (draft / CONSOLE).write_bytes(Path(found.console_path).read_bytes()[-_CONSOLE_TAIL:])
    release, build_id, kaslr_offset = _write_symbols(draft, client.ram.layout)
    for path in sorted(draft.rglob("*")):
        if path.is_file() and path.name != RAM:
            checksums[str(path.relative_to(draft))] = _checksum(path)
    from .. import __version__

    return Manifest(
        name=client.name,
        taken_at=pause.at,
        grade="live" if live else "paused",
        paused_s=round(pause.seconds, 6),
        machine=found.machine,
        accelerator=found.accelerator,
        image=found.image,
        ram_bytes=client.ram.size,
        regions=found.regions,
        release=release,
        build_id=build_id,
        kaslr_offset=kaslr_offset,
        glassbox=__version__,
        checksums=checksums,
        skipped=skipped,
    )


@dataclass(slots=True)
class _Pause:
    """When a guest was looked at, and how long it was made to stand still for that."""

    at: float
    seconds: float = 0.0


@contextlib.contextmanager
def _standing_still(client: Client, live: bool) -> Iterator[_Pause]:
    """The guest paused, if it runs and may be; it runs again afterwards, whatever happens."""
    pause = _Pause(time.time())
    if live or client.status()["runstate"] != "running":
        yield pause
        return
    started = time.monotonic()
    client.pause()
    try:
        yield pause
    finally:
        client.resume()
        pause.seconds = time.monotonic() - started


def _page_map(client: Client) -> tuple[PageMap, tuple[str, ...]]:
    """The page map as of now; an empty one, with the reason, of a guest that cannot be understood."""
    try:
        page_map = client.page_map()
        return page_map, page_map.skipped
    except GuestError as error:
        return PageMap(np.zeros(client.ram.page_count, ENTRY), {}), (str(error),)


def _pieces(ram: GuestRam) -> Iterator[tuple[int, int]]:
    """The parts of RAM that hold anything, in pieces."""
    for start, end in ram.resident_runs():
        for at in range(start, end, _PIECE):
            yield at, min(at + _PIECE, end)


def _copy_ram(ram: GuestRam, path: Path, progress: Progress) -> int:
    """Copy RAM to `path`, holes as holes, page by page of zeros as holes too; returns its checksum."""
    pieces = list(_pieces(ram))
    total = sum(end - start for start, end in pieces)
    if (free := shutil.disk_usage(path.parent).free) < total:
        raise HostError(
            f"{path.parent} has {format_size(free >> 20 << 20)} free, the RAM needs {total >> 20} MiB; make room or give another path with -o"
        )
    done = checksum = 0
    with path.open("wb") as file:
        file.truncate(ram.size)
        for start, end in pieces:
            # The copy: what is written must be what the checksum is of, and a guest may go on meanwhile.
            piece = ram.view[start:end].tobytes()
            os.pwrite(file.fileno(), piece, start)
            checksum = zlib.crc32(piece, checksum)
            done += len(piece)
            progress(done, total)
    return checksum


def _write_symbols(draft: Path, layout: RamLayout) -> tuple[str, str, int]:
    """Write what is to know of the kernel in the RAM just copied; returns (release, build id, KASLR offset)."""
    try:
        # Read from this RAM alone: nobody else's word about a kernel travels with a capture.
        with GuestRam(draft / RAM, layout) as ram, cache.kept_in(draft / SYMBOLS):
            kernel = KernelSymbols.load(ram)
            with contextlib.suppress(NoTypesError):
                _ = kernel.isf_path
            return kernel.release, kernel.build_id, kernel.kaslr_offset
    except GlassBoxError:
        # A guest that has not booted is worth a capture too.
        return "", "", 0


def _sync(folder: Path) -> None:
    """Have the host write everything in `folder` to its disk before it takes its name."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
