"""Identifies a place: class, owners, symbol, file and mappings of one byte of guest RAM.

>>> place = identify_place(parse_place("init_task"), sources)
>>> place.page_class, place.symbol.name, hex(place.physical)
('kernel-data', 'init_task', '0x261a9c0')

Class, owner and sharers come from the page map; at which addresses the sharers see the byte, from their page tables.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...errors import AddressError, GlassBoxError, UsageError
from ...memory.addresses import PAGE_SHIFT, PAGE_SIZE, PageFrame, PhysicalAddress, VirtualAddress
from ...memory.paging import Half, PageTables
from ...wire.page_map import FLAG_HUGE, ORDER_SHIFT
from ...wire.records import Owner, PageClass, Place, PlaceMapping, Process
from .grammar import Span, SymbolPlace
from .hints import suggest
from .resolve import class_word
from .sources import Sources, skipped

MAX_PLACE_MAPPINGS = 1024
_MAX_SYMBOL_NAMES = 4096
_KERNEL_HALF = 1 << 63
_HAS_SYMBOLS = frozenset(
    {
        *(PageClass.KERNEL_TEXT, PageClass.KERNEL_RODATA, PageClass.KERNEL_DATA, PageClass.KERNEL_BSS),
        *(PageClass.KERNEL_INIT, PageClass.MODULE),
    }
)


def identify_place(place: Span | SymbolPlace, sources: Sources) -> Place:
    """What the byte at `place` is; `AddressError` where nothing is mapped or no RAM is, `UsageError` for an unknown symbol."""
    physical, virtual = _locate(place, sources)
    offset = sources.layout.to_offset(physical)
    page = offset >> PAGE_SHIFT
    page_map = sources.page_map
    entry = page_map.entries[page]
    number, flags = int(entry["page_class"]), int(entry["flags"])
    owner = page_map.owners.get(int(entry["owner_id"]))
    mappings, mappers = _find_mappings(physical, sources)
    kernel_address = sources.kernel_address(physical)
    is_file = owner is not None and owner.kind == "file"
    index = sources.file_index(page) if is_file else None
    is_table = number == PageClass.PAGE_TABLE
    has_order = number == PageClass.FREE or bool(flags & FLAG_HUGE)
    return Place(
        physical=physical,
        ram_offset=offset,
        frame=PageFrame(physical >> PAGE_SHIFT),
        virtual=virtual,
        kernel_address=kernel_address,
        touched=number != PageClass.UNTOUCHED,
        page_class=class_word(number),
        order=flags >> ORDER_SHIFT if has_order else None,
        owners=_owners(owner, mappers),
        mappings=tuple(mappings),
        symbol=sources.symbol_at(kernel_address) if kernel_address is not None and number in _HAS_SYMBOLS else None,
        slab=sources.slab_object(physical) if number == PageClass.SLAB else None,
        file=owner.name if owner is not None and is_file else "",
        file_offset=None if index is None else (index << PAGE_SHIFT) + physical % PAGE_SIZE,
        table_level=flags >> ORDER_SHIFT or None if is_table else None,
        generation=page_map.generation,
        grade=page_map.grade.value,
        skipped=skipped(sources),
    )


def _locate(place: Span | SymbolPlace, sources: Sources) -> tuple[PhysicalAddress, VirtualAddress | None]:
    """Physical address of a place, and its virtual one if the place was given as that."""
    pid: int | None = None
    if isinstance(place, SymbolPlace):
        extents = sources.symbol_extents(place.name)
        if not extents:
            near = sources.symbol_names(place.name[:3], _MAX_SYMBOL_NAMES)
            hint = suggest(place.name, near, "give a physical address, a symbol, or va:ADDRESS@pid:N")
            raise UsageError(f"the kernel has no symbol {place.name!r}; {hint}")
        virtual = VirtualAddress(extents[0][0] + place.offset & (1 << 64) - 1)
    elif place.is_virtual:
        virtual, pid = VirtualAddress(place.start), place.pid
    else:
        if place.start >= _KERNEL_HALF:
            hint = f"write va:{place.start:#x} for the kernel's, and add @pid:N for a process's"
            raise AddressError(f"{place.start:#x} is a virtual address, not a physical one; {hint}")
        return PhysicalAddress(place.start), None
    tables = sources.page_tables(pid)
    physical = None if tables is None else tables.translate(virtual)
    if physical is None:
        where, hint = (
            ("the kernel", "add @pid:N for a process's")
            if pid is None
            else (f"process {pid}", "look at 'glassbox maps'; pages never touched are not mapped")
        )
        if tables is not None and tables.swap_slot(virtual):
            raise AddressError(tables.describe_missing(virtual))
        raise AddressError(f"{where} maps nothing at virtual address {virtual:#x}; {hint}")
    return physical, virtual


def _owners(first: Owner | None, mappers: list[Process]) -> tuple[Owner, ...]:
    """The page map's owner, then the processes that map the page, each once."""
    found = {} if first is None or first.owner_id == 0 else {(first.kind, first.pid, first.name): first}
    for process in mappers:
        owner = Owner(process.pid + 1, process.pid, process.name)
        found.setdefault((owner.kind, owner.pid, owner.name), owner)
    return tuple(found.values())


def _find_mappings(physical: PhysicalAddress, sources: Sources) -> tuple[list[PlaceMapping], list[Process]]:
    """How each process sees a byte, and which processes do."""
    mappings: list[PlaceMapping] = []
    mappers: list[Process] = []
    for process in _candidates(sources.layout.to_offset(physical) >> PAGE_SHIFT, sources):
        tables = sources.page_tables(process.pid) if process.page_table is not None else None
        if tables is None or not sources.has_time():
            continue
        addresses = list(_addresses_of(physical, tables))
        if addresses:
            mappers.append(process)
        mappings += (_describe_mapping(process, virtual, sources) for virtual in addresses)
        if len(mappings) > MAX_PLACE_MAPPINGS:
            sources.notes.append(f"only {MAX_PLACE_MAPPINGS} of its mappings are listed")
            break
    return mappings[:MAX_PLACE_MAPPINGS], mappers


def _candidates(page: int, sources: Sources) -> Iterator[Process]:
    """Yield the processes that may map a page: the sharers in the page map, or all where it has none."""
    page_map = sources.page_map
    if not len(page_map.shared_by.page):
        yield from sources.processes()
    elif sharers := set(page_map.sharers(page)):
        yield from (process for process in sources.processes() if process.pid + 1 in sharers)


def _addresses_of(physical: PhysicalAddress, tables: PageTables) -> Iterator[VirtualAddress]:
    """Yield the user addresses that lead to a physical one."""
    mapped = tables.mappings(Half.USER)
    frame = np.uint64(physical >> PAGE_SHIFT)
    pages = np.left_shift(np.uint64(1), np.uint64(9) * (mapped.level.astype(np.uint64) - np.uint64(1)))
    rows = np.flatnonzero((mapped.frame <= frame) & (frame - mapped.frame < pages))[: MAX_PLACE_MAPPINGS + 1]
    for row in rows.tolist():
        yield VirtualAddress(int(mapped.virtual[row]) + physical - (int(mapped.frame[row]) << PAGE_SHIFT))


def _describe_mapping(process: Process, virtual: VirtualAddress, sources: Sources) -> PlaceMapping:
    areas = []
    try:
        areas = [area for area in sources.mappings(process.pid) if area.start <= virtual < area.end]
    except GlassBoxError as error:
        sources.notes.append(f"the memory areas of process {process.pid} cannot be read: {error}")
    if not areas:
        start = VirtualAddress(virtual & ~(PAGE_SIZE - 1))
        return PlaceMapping(process.pid, process.name, virtual, start, VirtualAddress(start + PAGE_SIZE), "", "")
    area = areas[0]
    return PlaceMapping(process.pid, process.name, virtual, area.start, area.end, area.permissions, area.path)
