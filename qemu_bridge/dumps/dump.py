"""What a dump is, whatever its format: ranges of guest-physical memory, and their content piece by piece.

A format's module reads the headers of a file and returns a `Dump`; `unpack` makes of it the one linear file of RAM that
everything else maps. Numbers in a header are a stranger's: each is checked against the file before it is a size or a place.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..errors import UsageError
from ..memory.addresses import GIB, MAX_PHYSICAL, PAGE_SIZE, RamLayout, format_address, format_size

PIECE = 4 << 20
"""Bytes that are read, and written, at a time."""
MAX_RAM = 1 << 46
"""More RAM than that is taken for a damaged header."""
MAX_RANGES = 1 << 16
_MAX_REGIONS = 64
_LOW_MEMORY = 1 << 20
_FIRMWARE_BYTES = 16 << 20

Piece = tuple[int, bytes]
"""Guest-physical address, and what is there."""


class Reader(Protocol):
    """A file that is read at any place."""

    name: str
    size: int

    def read(self, at: int, length: int) -> bytes:
        """Up to `length` bytes at `at`; fewer only at the file's end."""


class PlainReader:
    """The file itself."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Of the open file `descriptor`, which stays the caller's."""
        self.name = str(path)
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor

    def read(self, at: int, length: int) -> bytes:
        """Up to `length` bytes at `at`; fewer only at the file's end."""
        return os.pread(self._descriptor, length, at) if 0 <= at < self.size else b""


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of RAM as it lies in the file: `size` bytes of guest-physical memory from `start` on, of which `stored` are at `at`.

    The rest is zeros.
    """

    start: int
    size: int
    at: int
    stored: int


@dataclass(slots=True)
class Dump:
    """RAM in a file of another tool.

    Attributes:
        format: what wrote it, in words.
        ranges: half-open guest-physical ranges of RAM, ascending.
        pieces: yields what the file holds of them; addresses that no piece has were zero, or are missing.
        missing: what the file ought to hold and does not, a sentence each; complete once `pieces` is through.
        has_layout: the ranges are where RAM lies; otherwise only its order is known.
    """

    format: str
    ranges: tuple[tuple[int, int], ...]
    pieces: Callable[[], Iterator[Piece]]
    missing: list[str] = field(default_factory=list)
    has_layout: bool = True


def check_ranges(name: str, ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """`ranges` in ascending order, whole pages, neighbours joined; `UsageError` for ones that overlap or are too many or too large."""
    found: list[list[int]] = []
    for count, (start, end) in enumerate(sorted(ranges)):
        if not 0 <= start < end <= MAX_PHYSICAL or count >= MAX_RANGES:
            raise UsageError(f"{name} is damaged: it claims RAM at {start:#x}-{end:#x}; write it again")
        if found and start < found[-1][1]:
            raise UsageError(f"{name} is damaged: two parts of it hold RAM at {start:#x}; write it again")
        # What ends at 4 GiB is firmware (`layout_of`).
        if found and start == found[-1][1] != 4 * GIB:
            found[-1][1] = end
        else:
            found.append([start, end])
    if not found:
        raise UsageError(f"{name} holds no RAM; write it again")
    if sum(end - start for start, end in found) > MAX_RAM:
        raise UsageError(f"{name} is damaged: it claims more than {format_size(MAX_RAM)} of RAM; write it again")
    return tuple((start, end) for start, end in found)


def layout_of(ranges: Iterable[tuple[int, int]]) -> RamLayout:
    """The layout of RAM at half-open `ranges`, ascending: whole pages, from 0 on, devices' windows below 1 MiB included.

    Firmware that a dump holds as it stands below 4 GiB, where x86 begins to run, is no RAM. Of very many ranges those that lie closest together become one: what is between them is RAM that was never touched.
    """
    merged: list[list[int]] = []
    for start, end in ranges:
        if end == 4 * GIB and end - start <= _FIRMWARE_BYTES:
            continue
        start, end = start // PAGE_SIZE * PAGE_SIZE, -(-end // PAGE_SIZE) * PAGE_SIZE
        if merged and (start <= merged[-1][1] or start <= _LOW_MEMORY):
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([start if merged or start > _LOW_MEMORY else 0, end])
    if len(merged) > _MAX_REGIONS:
        gaps = sorted(range(1, len(merged)), key=lambda number: merged[number][0] - merged[number - 1][1])
        closest = set(gaps[: len(merged) - _MAX_REGIONS])
        joined: list[list[int]] = []
        for number, (start, end) in enumerate(merged):
            if number in closest:
                joined[-1][1] = end
            else:
                joined.append([start, end])
        merged = joined
    return RamLayout.from_ranges((start, end) for start, end in merged)


def stored_pieces(file: Reader, extents: Iterable[Extent], missing: list[str]) -> Iterator[Piece]:
    """Yield what lies in `file` as it is; says in `missing` where the file ends too early."""
    lost = 0
    first = None
    for extent in extents:
        done = 0
        while done < extent.stored:
            content = file.read(extent.at + done, min(PIECE, extent.stored - done))
            if not content:
                lost += extent.stored - done
                first = extent.start + done if first is None else first
                break
            yield extent.start + done, content
            done += len(content)
    if first is not None:
        missing.append(cut_short(file.name, lost, first))


def write_all(descriptor: int, content: memoryview, offset: int) -> None:
    """Write all of `content` at `offset`; `OSError` where it cannot be."""
    while content:
        count = os.pwrite(descriptor, content, offset)
        content, offset = content[count:], offset + count


def cut_short(name: str, lost: int, first: int) -> str:
    """Says that a file ends too early."""
    return f"{name} was cut short: {format_size(lost)} of RAM from {format_address(first)} on are missing and read as zeros"
