"""The four kinds of address, and the way between guest-physical addresses and offsets into the RAM file.

QEMU keeps guest RAM in one linear file. A PC has a hole below 4 GiB for devices, so RAM above a split
point appears at 4 GiB instead: an offset equals the guest-physical address only below the split.

The split is QEMU's own rule (``hw/i386/pc_piix.c``, ``hw/i386/pc_q35.c``, release 10.0); `parse_mtree`
reads what a running QEMU says of itself (``info mtree -f``), and the two are compared at start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType

from ..errors import AddressError, MachineError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

RamOffset = NewType("RamOffset", int)
"""A byte's place in the RAM file."""
PhysicalAddress = NewType("PhysicalAddress", int)
"""Guest-physical address: what a page-table entry holds."""
VirtualAddress = NewType("VirtualAddress", int)
"""Guest-virtual address, canonical, as an unsigned 64-bit number."""
PageFrame = NewType("PageFrame", int)
"""Guest-physical address >> 12."""

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
GIB = 1 << 30
MAX_PHYSICAL = 1 << 52
"""Guest-physical addresses of x86-64 are smaller."""
LAYOUTS = ("pc", "q35", "flat")
"""Layouts with a name: of the two machine types of QEMU, and RAM without a hole."""

_SUFFIXES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes in a size such as ``128M`` (binary suffixes K, M, G, T; `UsageError` otherwise).

    >>> parse_size("128M")
    134217728
    """
    match = re.fullmatch(r"\s*(\d{1,40})\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if match is None:
        raise UsageError(f"{text[:60]!r} is not a size; write bytes or a number with K, M, G or T, such as 128M")
    return int(match[1]) * _SUFFIXES[match[2].upper()]


def parse_address(text: str) -> int:
    """The number in an address such as ``0x1000``, ``4096`` or ``4K`` (`UsageError` otherwise)."""
    try:
        return int(text, 0) if not text[-1:].isalpha() or text[:2].lower() == "0x" else parse_size(text)
    except ValueError:
        raise UsageError(f"{text!r} is not an address; write it as 0x1f000, 126976 or 124K") from None


def format_address(address: int) -> str:
    """An address as messages and JSON have it: ``0x1f000``."""
    return f"{address:#x}"


def format_size(size_bytes: int) -> str:
    """`size_bytes` in the largest binary unit that keeps it whole: ``128 MiB``."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size_bytes and size_bytes % (1 << shift) == 0:
            return f"{size_bytes >> shift} {unit}"
    return f"{size_bytes} B"


@dataclass(frozen=True, slots=True)
class RamRegion:
    """A run of RAM: `size` bytes at `offset` in the file appear at guest-physical `start`."""

    start: PhysicalAddress
    offset: RamOffset
    size: int


@dataclass(frozen=True, slots=True)
class RamLayout:
    """All RAM regions of a machine, ascending in both address and offset, without gaps in the file."""

    regions: tuple[RamRegion, ...]

    @property
    def size(self) -> int:
        """Bytes of RAM: the size of the file."""
        return sum(region.size for region in self.regions)

    @property
    def end(self) -> PhysicalAddress:
        """First guest-physical address past the last byte of RAM."""
        last = self.regions[-1]
        return PhysicalAddress(last.start + last.size)

    def to_offset(self, physical: PhysicalAddress) -> RamOffset:
        """Offset of the byte at guest-physical `physical`; `AddressError` where there is no RAM."""
        for region in self.regions:
            if region.start <= physical < region.start + region.size:
                return RamOffset(physical - region.start + region.offset)
        spans = ", ".join(f"{r.start:#x}-{r.start + r.size - 1:#x}" for r in self.regions)
        raise AddressError(f"physical address {physical:#x} is outside guest RAM; RAM is {spans}")

    def to_physical(self, offset: RamOffset) -> PhysicalAddress:
        """Guest-physical address of the byte at `offset`; `AddressError` past the end of the file."""
        for region in self.regions:
            if region.offset <= offset < region.offset + region.size:
                return PhysicalAddress(offset - region.offset + region.start)
        raise AddressError(f"offset {offset:#x} is outside the RAM file of {self.size:#x} bytes")

    def frames_to_pages(self, frames: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Page numbers in the RAM file (offset >> 12) of page frame numbers, -1 where there is no RAM."""
        # Imported here: starting a machine needs addresses but not NumPy, which takes a tenth of a second to load.
        import numpy as np

        pages = np.full(frames.shape, -1, np.int64)
        for region in self.regions:
            first, count = region.start >> PAGE_SHIFT, region.size >> PAGE_SHIFT
            inside = (frames >= np.uint64(first)) & (frames < np.uint64(first + count))
            pages[inside] = frames[inside].astype(np.int64) - first + (region.offset >> PAGE_SHIFT)
        return pages

    @classmethod
    def flat(cls, size_bytes: int) -> RamLayout:
        """The layout of `size_bytes` of RAM without a hole."""
        return cls.from_ranges([(0, size_bytes)])

    @classmethod
    def from_ranges(cls, ranges: Iterable[tuple[int, int]]) -> RamLayout:
        """The layout of RAM at the half-open guest-physical `ranges`, ascending; the file holds one behind the other."""
        regions: list[RamRegion] = []
        offset = 0
        for start, end in ranges:
            regions.append(RamRegion(PhysicalAddress(start), RamOffset(offset), end - start))
            offset += end - start
        return cls(tuple(regions))

    @classmethod
    def from_rule(cls, machine: str, size_bytes: int) -> RamLayout:
        """The layout QEMU gives `size_bytes` of RAM on machine type `machine` (``pc`` or ``q35``; `UsageError` otherwise)."""
        if machine == "pc":
            low = size_bytes if size_bytes < 0xE0000000 else 0xC0000000
        elif machine == "q35":
            low = size_bytes if size_bytes < 0xB0000000 else 0x80000000
        else:
            raise UsageError(f"layout {machine!r} is not known; use {', '.join(LAYOUTS)}, or ranges such as 0-3G,4G-5G")
        return cls.from_ranges([(0, low)] + ([(4 * GIB, 4 * GIB + size_bytes - low)] if size_bytes > low else []))


def parse_layout(text: str, size_bytes: int) -> RamLayout:
    """The layout of `size_bytes` of RAM that `text` states: ``pc``, ``q35``, ``flat``, or ranges such as ``0-3G,4G-5G``.

    Ranges are half-open, ascending, whole pages, and as large as the RAM; `UsageError` otherwise.

    >>> parse_layout("0-3G,4G-5G", 4 << 30).end
    5368709120
    """
    if text == "flat":
        return RamLayout.flat(size_bytes)
    if "-" not in text:
        return RamLayout.from_rule(text, size_bytes)
    ranges: list[tuple[int, int]] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        start, end = parse_address(first.strip()), parse_address(last.strip())
        if not (ranges[-1][1] if ranges else 0) <= start < end <= MAX_PHYSICAL or start % PAGE_SIZE or end % PAGE_SIZE:
            raise UsageError(
                f"{part!r} is no range of RAM; give whole pages, ascending, each from its first byte up to its end"
            )
        ranges.append((start, end))
    layout = RamLayout.from_ranges(ranges)
    if layout.size != size_bytes:
        raise UsageError(
            f"layout {text} has {format_size(layout.size)} where the file has {format_size(size_bytes)}; give ranges that hold"
            " all of it"
        )
    return layout


def format_layout(layout: RamLayout) -> str:
    """`layout` as `parse_layout` reads it: ``0x0-0xc0000000,0x100000000-0x140000000``."""
    return ",".join(f"{region.start:#x}-{region.start + region.size:#x}" for region in layout.regions)


def layout_name(layout: RamLayout) -> str:
    """The first of ``pc``, ``q35`` and ``flat`` that is `layout`, else its ranges."""
    for machine in LAYOUTS:
        if parse_layout(machine, layout.size) == layout:
            return machine
    return format_layout(layout)


_MTREE_ROW = re.compile(
    r"^\s*([0-9a-f]{16})-([0-9a-f]{16}) \(prio -?\d+, (?:ram|rom|romd)\): (\S+)(?: @([0-9a-f]{16}))?"
)


def parse_mtree(text: str, backend: str) -> RamLayout:
    """The layout that ``info mtree -f`` shows for memory backend `backend`.

    Rows of the flat view of address space ``memory`` that belong to the backend are merged where they
    continue each other, and across the VGA and BIOS window below 1 MiB, whose bytes are in the file but
    are shadowed by devices. Raises `MachineError` when the text holds no such row.
    """
    rows: set[tuple[int, int, int]] = set()
    in_memory_view = False
    for line in text.splitlines():
        if line.startswith("FlatView"):
            in_memory_view = False
        elif re.match(r"^\s*AS \"memory\"", line):
            in_memory_view = True
        elif in_memory_view and (match := _MTREE_ROW.match(line)) and match[3] == backend:
            first, last, offset = int(match[1], 16), int(match[2], 16), int(match[4] or "0", 16)
            rows.add((first, offset, last - first + 1))
    merged: list[list[int]] = []
    for start, offset, size in sorted(rows):
        if merged and start - offset == merged[-1][0] - merged[-1][1]:
            merged[-1][2] = start + size - merged[-1][0]
        else:
            merged.append([start, offset, size])
    if not merged:
        raise MachineError(
            f"QEMU's memory tree shows no RAM of backend {backend!r}; start QEMU with it as memory-backend"
        )
    return RamLayout(tuple(RamRegion(PhysicalAddress(a), RamOffset(b), c) for a, b, c in merged))


def merge_ranges(pages: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending page numbers as half-open runs: ``[1, 2, 3, 7]`` gives ``[(1, 4), (7, 8)]``."""
    runs: list[tuple[int, int]] = []
    for page in pages:
        if runs and runs[-1][1] == page:
            runs[-1] = (runs[-1][0], page + 1)
        else:
            runs.append((page, page + 1))
    return runs
