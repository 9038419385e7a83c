"""What every page of guest RAM is: the page map from page tables, symbols and memory areas.

Three sources, the later the weaker; a page takes its class from the first that knows it:

1. the kernel image, by its section symbols: text, rodata, data;
2. page tables: the pages that the walks themselves pass through;
3. what user page tables map, labelled by the virtual memory area it is in.

What is left is zero or other by its bytes; a page that was never touched is a hole in the RAM file. All of it
is NumPy over columns: a guest of a million pages takes a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...kernel.symbols import KernelSection
from ...memory.addresses import PAGE_SHIFT
from ...memory.paging import Half, Mappings, PageTables
from ...memory.ram import GuestRam
from ...wire.page_map import ENTRY, FLAG_SHARED, PageMap
from ...wire.records import Grade, MemoryMapping, Owner, PageClass
from .owners import KERNEL, NO_OWNER

# The init section is given back to the allocator once the kernel has booted.
SECTION_CLASSES = {
    "text": PageClass.KERNEL_TEXT,
    "rodata": PageClass.KERNEL_RODATA,
    "data": PageClass.KERNEL_DATA,
    "bss": PageClass.KERNEL_DATA,
}
_LARGE_PAGE_LEVEL = 2
_SECTION_LIMIT = 256 << 20

Pages = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AddressSpace:
    """A process's user half: its owner, its page tables, its memory areas in ascending order."""

    owner: Owner
    tables: PageTables
    mappings: Sequence[MemoryMapping]


def classify(
    ram: GuestRam,
    kernel_tables: PageTables,
    sections: Sequence[KernelSection],
    spaces: Sequence[AddressSpace],
    grade: Grade,
) -> PageMap:
    """The class and owner of every page of `ram`. What cannot be read is skipped and named in the result."""
    entries = np.zeros(ram.page_count, ENTRY)
    skipped: list[str] = []
    for section in sections:
        if (page_class := SECTION_CLASSES.get(section.name)) is not None:
            _claim(entries, _section_pages(ram, kernel_tables, section), page_class, KERNEL)
    _claim_tables(entries, ram, kernel_tables, Half.KERNEL, KERNEL, skipped)
    for space in spaces:
        _claim_tables(entries, ram, space.tables, Half.USER, space.owner, skipped)
    for space in spaces:
        _claim_mapped(entries, ram, space, skipped)
    _classify_content(entries, ram)
    owners = {owner.owner_id: owner for owner in (NO_OWNER, KERNEL, *(space.owner for space in spaces))}
    return PageMap(entries, owners, 0, grade, tuple(skipped))


def mapping_class(mapping: MemoryMapping) -> PageClass | None:
    """The class of the pages in a memory area; None for the kernel's own pages that user space sees."""
    if mapping.path.startswith("[stack"):
        return PageClass.PROCESS_STACK
    if mapping.path == "[heap]":
        return PageClass.PROCESS_HEAP
    if mapping.path.startswith(("[vdso", "[vvar", "[vsyscall")):
        return None
    if not mapping.path or mapping.path.startswith("["):
        return PageClass.PROCESS_ANONYMOUS
    return PageClass.PROCESS_TEXT if "x" in mapping.permissions else PageClass.PROCESS_FILE


def _claim(
    entries: npt.NDArray[np.void], pages: Pages, page_class: PageClass | npt.NDArray[np.uint8], owner: Owner
) -> None:
    # Pages that already have a class keep it; those of another process are marked as shared.
    known = entries["page_class"][pages] != PageClass.UNTOUCHED
    shared = pages[known & (entries["owner_id"][pages] != owner.owner_id) & (owner is not KERNEL)]
    entries["flags"][shared] |= FLAG_SHARED
    new = pages[~known]
    entries["page_class"][new] = page_class if isinstance(page_class, PageClass) else page_class[~known]
    entries["owner_id"][new] = owner.owner_id


def _section_pages(ram: GuestRam, tables: PageTables, section: KernelSection) -> Pages:
    end = min(section.end, section.start + _SECTION_LIMIT)
    runs = tables.iter_runs(section.start, end - section.start)
    frames = [
        np.arange(first >> PAGE_SHIFT, (first + size - 1 >> PAGE_SHIFT) + 1, dtype=np.uint64) for _, first, size in runs
    ]
    return _in_ram(ram, np.concatenate([np.zeros(0, np.uint64), *frames]))


def _claim_tables(
    entries: npt.NDArray[np.void], ram: GuestRam, tables: PageTables, half: Half, owner: Owner, skipped: list[str]
) -> None:
    found = tables.table_frames(half)
    _claim(entries, _in_ram(ram, found.frame), PageClass.PAGE_TABLE, owner)
    if found.skipped or not found.complete:
        skipped.append(
            f"page tables of {owner.name}: {found.skipped} outside RAM{'' if found.complete else ', too many'}"
        )


def _claim_mapped(entries: npt.NDArray[np.void], ram: GuestRam, space: AddressSpace, skipped: list[str]) -> None:
    mapped = space.tables.mappings(Half.USER)
    if not mapped.complete:
        skipped.append(f"pages of {space.owner.name}: too many are mapped")
    areas = [(mapping, page_class) for mapping in space.mappings if (page_class := mapping_class(mapping)) is not None]
    if not areas:
        return
    starts = np.array([mapping.start for mapping, _ in areas], np.uint64)
    ends = np.array([mapping.end for mapping, _ in areas], np.uint64)
    classes = np.array([page_class for _, page_class in areas], np.uint8)
    virtual, frame = _spread(ram, mapped)
    area = np.searchsorted(starts, virtual, side="right") - 1
    inside = (area >= 0) & (virtual < ends[area])
    pages = ram.layout.frames_to_pages(frame)
    inside &= pages >= 0
    # A page mapped twice by the same process counts once.
    pages, first = np.unique(pages[inside], return_index=True)
    _claim(entries, pages, classes[area[inside][first]], space.owner)


def _spread(ram: GuestRam, mapped: Mappings) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    # Virtual address and frame of every 4 KiB page. Each large page of RAM is spread once, however often tables
    # name it: what a hostile guest maps is bounded by the RAM it has.
    small = mapped.level < _LARGE_PAGE_LEVEL
    large = ~small & (ram.layout.frames_to_pages(mapped.frame) >= 0)
    _, first = np.unique(mapped.frame[large], return_index=True)
    rows = np.concatenate([np.flatnonzero(small), np.flatnonzero(large)[first]])
    chosen = Mappings(mapped.virtual[rows], mapped.frame[rows], mapped.level[rows], mapped.flags[rows])
    virtual, frame, _ = chosen.pages()
    return virtual, frame


def _in_ram(ram: GuestRam, frames: npt.NDArray[np.uint64]) -> Pages:
    pages = ram.layout.frames_to_pages(frames)
    return np.unique(pages[pages >= 0])


def _classify_content(entries: npt.NDArray[np.void], ram: GuestRam) -> None:
    # Holes are untouched whatever maps them; the unclaimed rest is zero or other.
    resident = ram.resident_pages()
    entries[~resident] = 0
    for start, end in ram.resident_runs():
        part = slice(start >> PAGE_SHIFT, -(-end >> PAGE_SHIFT))
        zero = ~ram.pages()[part].view(np.uint64).any(axis=1)
        unknown = entries["page_class"][part] == PageClass.UNTOUCHED
        entries["page_class"][part] = np.where(
            unknown, np.where(zero, PageClass.ZERO, PageClass.OTHER), entries["page_class"][part]
        )
    if ram.is_whole:
        np.putmask(entries["page_class"], entries["page_class"] == PageClass.UNTOUCHED, PageClass.ZERO)
