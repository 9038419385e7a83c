"""The RAM layout of a raw image, found from the kernel in it.

A raw image has no header: it is RAM without the holes that devices have in the guest's address space, and where those are
depends on the hypervisor, its version and its options. The kernel knows. The firmware's memory map stays in ``boot_params``
(``arch/x86/include/uapi/asm/bootparam.h``), within the kernel image, which can be read before the layout is known: the image
is contiguous, and a page-table root of known address shows where in the file it lies. The map gives candidates; the kernel's
tasks decide among them, for their structures and page tables are spread over all of RAM.
"""

from __future__ import annotations

import itertools
import logging
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import AddressError, GlassBoxError, GuestError, LayoutError, NotBootedError, NoTypesError
from ..memory.addresses import (
    GIB,
    LAYOUTS,
    PAGE_SHIFT,
    PAGE_SIZE,
    PhysicalAddress,
    RamLayout,
    RamRegion,
    format_layout,
    format_size,
    parse_layout,
)
from ..memory.ram import GuestRam
from .budget import Budget, OutOfBudgetError
from .objects import KernelObjects
from .symbols import KernelSymbols
from .symbols.kernel import KernelImage, page_table_root
from .symbols.vmcoreinfo import VmCoreInfo, iter_vmcoreinfo

logger = logging.getLogger(__name__)

# struct boot_params: the number of entries, and the first of them.
_E820_COUNT_AT = 0x1E8
_E820_AT = 0x2D0
_E820_ENTRY = struct.Struct("<QQI")
_E820_MAX = 128
# Usable RAM, ACPI tables and ACPI NVS: RAM all three. Of a reserved range one cannot know.
_E820_RAM = (1, 3, 4)
_LOW_MEMORY = 1 << 20
_LAST_ENTRY = PAGE_SIZE - 8
_PRESENT = 1
_FRAME_MASK = 0x000F_FFFF_FFFF_F000
_MAX_IMAGE_BYTES = 128 << 20
_MAX_NOTES = 64
_MAX_IMAGES = 8
_MAX_GAPS = 10
_MAX_CANDIDATES = 24
_TIME_S = 20.0


@dataclass(frozen=True, slots=True)
class MemoryMap:
    """The firmware's ranges of RAM, ascending, half-open: physical addresses."""

    ranges: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        return ", ".join(f"{start:#x}-{end - 1:#x}" for start, end in self.ranges) or "empty"


def find_ram_layout(path: Path, size_bytes: int) -> RamLayout:
    """The layout of the raw RAM image at `path`, of `size_bytes`.

    Raises `NotBootedError` when no kernel is found in it, whatever the layout, and `LayoutError` when there is one but no
    task of it can be read in any layout that its memory map allows. Of a file that was cut short or copied while the guest
    ran, the layout in which most tasks read.
    """
    tried: list[tuple[int, RamLayout]] = []
    memory_map = None
    deadline = time.monotonic() + _TIME_S
    for info, shifted in _kernel_images(path, size_bytes):
        try:
            with GuestRam(path, shifted) as ram:
                memory_map = read_memory_map(ram, info)
        except GlassBoxError as error:
            logger.debug("%s with the image at %#x: %s", path, shifted.regions[0].start, error)
            continue
        for layout in candidate_layouts(memory_map, size_bytes):
            whole, count = _consistent_tasks(path, layout, info, deadline)
            if whole:
                return layout
            tried.append((count, layout))
        if time.monotonic() > deadline:
            break
    if memory_map is None:
        raise NotBootedError(
            f"no running Linux kernel found in {path}; if it holds one of release 6.0 or later, state the layout of its RAM"
        )
    count, layout = max(tried, key=lambda pair: pair[0])
    if count:
        logger.warning("%s: only %d tasks read consistently; taken for %s", path, count, format_layout(layout))
        return layout
    raise LayoutError(
        f"none of {len(tried)} RAM layouts fits the kernel in {path} of {format_size(size_bytes)}: its firmware reported RAM"
        f" at {memory_map}; was the file cut short? Else state the layout, such as 0-3G,4G-5G"
    )


def _kernel_images(path: Path, size_bytes: int) -> Iterator[tuple[VmCoreInfo, RamLayout]]:
    """Yield each note, and the layouts in which the kernel image may be where it says."""
    with GuestRam(path, RamLayout.flat(size_bytes)) as ram:
        for info in itertools.islice(iter_vmcoreinfo(ram), _MAX_NOTES):
            for shifted in itertools.islice(_image_layouts(ram, info), _MAX_IMAGES):
                yield info, shifted


def _image_layouts(ram: GuestRam, info: VmCoreInfo) -> Iterator[RamLayout]:
    """Layouts in which the kernel image, and perhaps nothing else, is where note `info` says; the likeliest first.

    The image's page-table root leads to the next table, which lies in the image too. Processes' roots lead to the same
    table but are not at the same distance from it.
    """
    try:
        root = page_table_root(info)
    except GuestError:
        return
    last = ram.pages().view("<u8")[:, -1]
    own = root >> PAGE_SHIFT
    for start, end in itertools.chain([(own, own + 1)], _touched_pages(ram)):
        entries = last[start:end]
        distance = (entries & np.uint64(_FRAME_MASK)) - np.uint64(root) + np.uint64(_MAX_IMAGE_BYTES)
        near = (entries & np.uint64(_PRESENT) != 0) & (distance < np.uint64(2 * _MAX_IMAGE_BYTES))
        for page in (np.flatnonzero(near) + start).tolist():
            table = page + ((int(last[page]) & _FRAME_MASK) - root >> PAGE_SHIFT)
            shift = root - (page << PAGE_SHIFT)
            if shift >= 0 and 0 <= table < ram.page_count and int(last[table]) & _PRESENT:
                yield RamLayout.from_ranges([(shift, shift + ram.size)])


def _touched_pages(ram: GuestRam) -> Iterator[tuple[int, int]]:
    for start, end in ram.resident_runs():
        yield start >> PAGE_SHIFT, -(-end >> PAGE_SHIFT)


def read_memory_map(ram: GuestRam, info: VmCoreInfo) -> MemoryMap:
    """What the firmware told the kernel of note `info` of RAM; `GuestError` where the kernel does not keep it.

    Only the kernel image need be where the layout of `ram` puts it.
    """
    image = KernelImage(ram, info)
    address = image.kallsyms(info).address_of("boot_params")
    if address is None:
        raise GuestError(f"kernel {info.release} has no symbol boot_params; state the layout of its RAM")
    head = image.read(address, _E820_AT + _E820_MAX * _E820_ENTRY.size)
    count = min(head[_E820_COUNT_AT], _E820_MAX)
    entries = sorted(_E820_ENTRY.iter_unpack(head[_E820_AT : _E820_AT + count * _E820_ENTRY.size]))
    ranges: list[tuple[int, int]] = []
    for start, length, kind in entries:
        first, end = -(-start // PAGE_SIZE) * PAGE_SIZE, (start + length) // PAGE_SIZE * PAGE_SIZE
        if kind not in _E820_RAM or not first < end < 1 << 52:
            continue
        if ranges and first <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
        else:
            ranges.append((first, end))
    return MemoryMap(tuple(ranges))


def candidate_layouts(memory_map: MemoryMap, size_bytes: int) -> list[RamLayout]:
    """Layouts of `size_bytes` of RAM that `memory_map` allows, the likeliest first, at most some dozens.

    RAM between two ranges may be there and reserved, or not be there. A file larger than the ranges and the reserved RAM
    between them ends some range later than the firmware says: firmware keeps the top of RAM below 4 GiB for itself.
    """
    ranges = _without_low_gaps(memory_map.ranges)
    found: dict[tuple[RamRegion, ...], RamLayout] = {}
    if ranges:
        gaps = [(end, start) for (_, end), (start, _) in itertools.pairwise(ranges)]
        widest = sorted(gaps, key=lambda gap: gap[0] - gap[1])[:_MAX_GAPS]
        last = ranges[-1][1]
        for number in range(len(widest) + 1):
            for holes in itertools.combinations(widest, number):
                spare = size_bytes - (last - sum(end - start for start, end in holes))
                for layout in _with_spare(sorted(holes), last, spare):
                    found.setdefault(layout.regions, layout)
    likely = list(found.values())[:_MAX_CANDIDATES]
    return list(dict.fromkeys([*likely, *(parse_layout(name, size_bytes) for name in LAYOUTS)]))


def _without_low_gaps(ranges: tuple[tuple[int, int], ...]) -> list[tuple[int, int]]:
    """`ranges` from 0 on: the windows of devices below 1 MiB are in every image."""
    merged: list[tuple[int, int]] = []
    for start, end in ranges:
        if merged and merged[-1][1] < _LOW_MEMORY and start <= _LOW_MEMORY:
            merged[-1] = (0, end)
        else:
            merged.append((start if merged else 0, end))
    return merged


def _with_spare(holes: list[tuple[int, int]], end: int, spare: int) -> Iterator[RamLayout]:
    """Layouts of RAM up to `end` without `holes`, where `spare` more bytes are in one hole or behind the end."""
    if spare == 0:
        yield _layout_of(holes, end)
    elif spare > 0:
        # RAM below 4 GiB is where firmware hides some; then any other hole.
        for chosen in sorted(holes, key=lambda hole: not hole[0] < 4 * GIB <= hole[1]):
            if spare < chosen[1] - chosen[0]:
                yield _layout_of([(a + spare if (a, b) == chosen else a, b) for a, b in holes], end)
        yield _layout_of(holes, end + spare)


def _layout_of(holes: list[tuple[int, int]], end: int) -> RamLayout:
    starts, ends = [0, *(hole[1] for hole in holes)], [*(hole[0] for hole in holes), end]
    return RamLayout.from_ranges(zip(starts, ends, strict=True))


def _consistent_tasks(path: Path, layout: RamLayout, info: VmCoreInfo, deadline: float) -> tuple[bool, int]:
    """Whether all that the kernel of note `info` says of its tasks fits `layout`, and how many tasks' page tables do."""
    try:
        with GuestRam(path, layout) as ram:
            kernel = KernelSymbols(ram, info)
            last = int.from_bytes(kernel.page_tables.read(kernel.address_of("max_pfn"), 8), "little") << PAGE_SHIFT
            try:
                whole, count = _walk_tasks(KernelObjects(ram, kernel), deadline)
                return whole and last <= layout.end, count
            except NoTypesError:
                # RAM above 4 GiB ends where the kernel's does; below, firmware may keep the top for itself.
                return last == layout.end or (last < layout.end <= 4 * GIB), 0
    except GlassBoxError as error:
        logger.debug("%s as %s: %s", path, format_layout(layout), error)
        return False, 0


def _walk_tasks(space: KernelObjects, deadline: float) -> tuple[bool, int]:
    """Whether the list of tasks closes and each task's page tables map the kernel as its own do; how many do."""
    space.budget = Budget(time_s=deadline - time.monotonic())
    kernel_entry = space.ram.read_u64(PhysicalAddress(space.kernel.page_tables.root + _LAST_ENTRY)) & _FRAME_MASK
    head = space.address_of("init_task") + space.offset("task_struct", "tasks")
    whole, count = True, 0
    try:
        for task in space.linked(head, "task_struct", "tasks"):
            if memory := task.follow("mm"):
                root = space.physical(memory["pgd"])
                entry = 0 if root is None else space.ram.read_u64(PhysicalAddress(root + _LAST_ENTRY)) & _FRAME_MASK
                whole, count = (whole, count + 1) if entry == kernel_entry else (False, count)
    except (AddressError, OutOfBudgetError):
        return False, count
    return whole and space.budget.complete, count
