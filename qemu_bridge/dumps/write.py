"""Write RAM as a file that other tools open: an ELF core, a LiME dump, or RAM byte by byte.

>>> write_dump(client.ram, Path("demo.core"), "elf", note)
>>> write_dump(client.ram, Path("demo.lime"), "lime")

Pages that were never touched are holes of the file, which read as zeros everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import UsageError
from ..host.plain_file import output_file
from ..memory.addresses import PAGE_SIZE, RamLayout
from . import elf_core, lime
from .dump import PIECE, write_all

if TYPE_CHECKING:
    from ..memory.ram import GuestRam

FORMATS = ("elf", "lime", "raw")
"""An ELF core, which drgn, makedumpfile and Volatility open; LiME's own format; the regions of RAM one behind the other."""


class _Plan(NamedTuple):
    """Where everything lies in the file."""

    heads: list[tuple[int, bytes]]
    places: list[int]
    """Of each region, its first byte."""
    size: int


def write_dump(
    ram: GuestRam,
    path: Path,
    kind: str,
    note: bytes = b"",
    progress: Callable[[int, int], object] = lambda done, whole: None,
    *,
    force: bool = False,
) -> None:
    """Write `ram` to `path` in format `kind` of `FORMATS`: the whole of it or, whatever interrupts, nothing.

    `note` is the kernel's VMCOREINFO with its ELF header, which an ELF core carries. `progress` is told bytes done and in all.
    `UsageError` where `path` exists, unless `force`; `HostError` where it cannot be written.
    """
    if kind not in FORMATS:
        raise UsageError(f"there is no format {kind!r}; use {', '.join(FORMATS)}")
    plan = _elf(ram.layout, note) if kind == "elf" else _lime(ram.layout) if kind == "lime" else _raw(ram.layout)
    with output_file(path, force=force) as file:
        file.truncate(plan.size)
        for at, content in plan.heads:
            write_all(file.fileno(), memoryview(content), at)
        _copy(ram, file.fileno(), plan.places, progress)


def _copy(ram: GuestRam, descriptor: int, places: list[int], progress: Callable[[int, int], object]) -> None:
    runs = list(ram.resident_runs())
    whole, done = sum(end - start for start, end in runs), 0
    for region, place in zip(ram.layout.regions, places, strict=True):
        shift = place - region.offset
        for start, end in _within(runs, region.offset, region.offset + region.size):
            for at in range(start, end, PIECE):
                content = ram.view[at : min(at + PIECE, end)].data
                write_all(descriptor, content, at + shift)
                done += len(content)
                progress(done, whole)


def _within(runs: list[tuple[int, int]], first: int, end: int) -> Iterator[tuple[int, int]]:
    return ((max(a, first), min(b, end)) for a, b in runs if max(a, first) < min(b, end))


def _raw(layout: RamLayout) -> _Plan:
    return _Plan([], [int(region.offset) for region in layout.regions], layout.size)


def _lime(layout: RamLayout) -> _Plan:
    heads, places, at = [], [], 0
    for region in layout.regions:
        heads.append((at, lime.HEADER.pack(lime.LIME, 1, region.start, region.start + region.size - 1, 0)))
        places.append(at + lime.HEADER.size)
        at += lime.HEADER.size + region.size
    return _Plan(heads, places, at)


def _elf(layout: RamLayout, note: bytes) -> _Plan:
    count = len(layout.regions) + bool(note)
    note_at = elf_core.HEADER.size + count * elf_core.SEGMENT.size
    # Whole pages, so that the file can be mapped.
    first = -(-(note_at + len(note)) // PAGE_SIZE) * PAGE_SIZE
    ident = elf_core.MAGIC + b"\x02\x01\x01".ljust(16, b"\0")
    head = elf_core.HEADER.pack(
        ident,
        elf_core.CORE,
        elf_core.X86_64,
        1,
        0,
        elf_core.HEADER.size,
        0,
        0,
        elf_core.HEADER.size,
        elf_core.SEGMENT.size,
        count,
        0,
        0,
        0,
    )
    if note:
        head += elf_core.SEGMENT.pack(elf_core.NOTE, 0, note_at, 0, 0, len(note), len(note), 4)
    for region in layout.regions:
        head += elf_core.SEGMENT.pack(
            elf_core.LOAD, 7, first + region.offset, 0, region.start, region.size, region.size, PAGE_SIZE
        )
    return _Plan([(0, head + note)], [first + region.offset for region in layout.regions], first + layout.size)
