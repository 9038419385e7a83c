"""Where answers about places come from: one page map, and the guest's processes, symbols and page tables at that time.

`Sources` is all that the rest of this package asks of a guest, so a test needs none; `GuestSources` answers from RAM.
What a guest says is bounded here: its processes are looked at while there is time, `notes` says what was left out.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Protocol

from ...errors import NoTypesError, UsageError
from ...kernel.budget import Budget, OutOfBudgetError
from ...kernel.columns import KernelColumns
from ...kernel.memmap import PageLayout, compound_head
from ...kernel.modules import GuestSymbols
from ...kernel.symbols import KernelSymbols
from ...memory.addresses import PAGE_SHIFT, PAGE_SIZE, PhysicalAddress, RamLayout, RamOffset, VirtualAddress
from ...memory.paging import PageTables
from ...memory.ram import GuestRam
from ...wire.page_map import PageMap
from ...wire.records import MemoryMapping, PageClass, Process, SlabObject, Symbol
from ..overlays import OverlayContext
from ..overlays.areas import AreaReader
from ..overlays.processes import read_processes

QUERY_TIME_S = 10.0
MAX_NOTES = 16
_MAX_CACHE_NAME = 128
_MAX_MODULE_PAGES = 1 << 18
_CACHE_FIELDS = ("size", "object_size", "red_left_pad", "name")
_KERNEL_HALF = 1 << 63
_IMAGE_BASE = 0xFFFFFFFF80000000
_U64 = (1 << 64) - 1


class Sources(Protocol):
    """What targets and places are resolved from."""

    notes: list[str]

    @property
    def layout(self) -> RamLayout:
        """Where RAM is."""

    @property
    def page_map(self) -> PageMap:
        """The page map that answers refer to."""

    def has_time(self) -> bool:
        """Whether time is left; the first False adds a note."""

    def processes(self) -> Sequence[Process]:
        """Every thread group."""

    def mappings(self, pid: int) -> Sequence[MemoryMapping]:
        """The memory areas of a process, ascending."""

    def page_tables(self, pid: int | None) -> PageTables | None:
        """The address space of process `pid`, None for a kernel thread; the kernel's for None. `UsageError` for no process."""

    def has_second_root(self) -> bool:
        """Whether each process has a second top table, for user mode."""

    def symbol_extents(self, name: str) -> list[tuple[VirtualAddress, int]]:
        """Address and bytes of each kernel symbol called `name`."""

    def matching_extents(self, pattern: str, limit: int) -> list[tuple[VirtualAddress, int]]:
        """The same of the kernel symbols that match a pattern with wildcards, of at most `limit` symbols."""

    def symbol_names(self, beginning: str, limit: int) -> list[str]:
        """Names of kernel symbols that start with `beginning`."""

    def symbol_at(self, virtual: VirtualAddress) -> Symbol | None:
        """The symbol at or below an address of the kernel image or of a module."""

    def kernel_address(self, physical: PhysicalAddress) -> VirtualAddress | None:
        """Where the kernel itself sees a byte of RAM: in its image or a module if it is there, else in its direct map."""

    def slab_object(self, physical: PhysicalAddress) -> SlabObject | None:
        """The object of a slab page that a byte is in, None between objects."""

    def file_index(self, page: int) -> int | None:
        """Which page of its file a page of the page cache holds."""


def skipped(sources: Sources) -> tuple[str, ...]:
    """What an answer lacks, a sentence each, at most `MAX_NOTES`; empty means that it is complete."""
    return tuple(dict.fromkeys(sources.notes))[:MAX_NOTES]


class GuestSources:
    """`Sources` that read a guest's RAM. For one query: everything read is cached."""

    def __init__(
        self,
        ram: GuestRam,
        kernel: KernelSymbols,
        context: OverlayContext | None,
        page_map: PageMap,
        query_time_s: float = QUERY_TIME_S,
    ) -> None:
        """Answer from `page_map`, and from what `context` reads; that is None for a kernel without types."""
        self.page_map = page_map
        self.layout = ram.layout
        self.notes: list[str] = [*filter(None, [kernel.caveat]), *page_map.skipped][:MAX_NOTES]
        self._ram = ram
        self._kernel = kernel
        self._context = context
        if context is None:
            self.notes.append("the kernel carries no types, so its processes cannot be read")
        self._budget = Budget(query_time_s)
        # Notes of its readers are notes of the answer.
        self._budget.skipped = self.notes
        self._is_late = False
        self._mappings: dict[int, list[MemoryMapping]] = {}

    def has_time(self) -> bool:
        """Whether time is left; the first False adds a note."""
        if not self._is_late and time.monotonic() > self._budget.deadline:
            self._is_late = True
            self.notes.append("time ran out before everything was read")
        return not self._is_late

    @cached_property
    def _processes(self) -> list[Process]:
        found: list[Process] = []
        # What was read before time ran out stays.
        with self._reading() as context:
            if context is not None:
                found.extend(read_processes(context, self._budget))
        return found

    def processes(self) -> list[Process]:
        """Every thread group."""
        return self._processes

    def mappings(self, pid: int) -> list[MemoryMapping]:
        """The memory areas of a process, ascending."""
        if pid not in self._mappings:
            self._mappings[pid] = []
            with self._reading():
                if self._areas is not None:
                    self._mappings[pid] = self._areas.of_process(pid)
        return self._mappings[pid]

    @cached_property
    def _areas(self) -> AreaReader | None:
        return None if self._context is None else AreaReader(self._context, self._budget)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[OverlayContext | None]:
        """Limit the body to the time that is left; adds a note when it runs out."""
        charged = contextlib.nullcontext() if self._context is None else self._context.objects.charged_to(self._budget)
        try:
            with charged:
                yield self._context
        except OutOfBudgetError as error:
            self.notes.append(f"{error} before everything was read")

    def page_tables(self, pid: int | None) -> PageTables | None:
        """The address space of process `pid`, None for a kernel thread; the kernel's for None. `UsageError` for no process."""
        kernel = self._kernel.page_tables
        if pid is None:
            return kernel
        for process in self._processes:
            if process.pid == pid:
                root = process.page_table
                return None if root is None else PageTables(self._ram, PhysicalAddress(root), kernel.levels)
        raise UsageError(f"the guest has no process {pid}; list them with 'glassbox ps'")

    def has_second_root(self) -> bool:
        """Whether each process has a second top table, for user mode."""
        return self._kernel.has_page_table_isolation

    # Symbols

    @cached_property
    def _symbols(self) -> GuestSymbols:
        with self._reading() as context:
            if context is not None:
                return context.symbols
        return GuestSymbols(self._kernel)

    def symbol_extents(self, name: str) -> list[tuple[VirtualAddress, int]]:
        """Address and bytes of each symbol called `name`, of a per-CPU one on every CPU; it ends where the next begins."""
        return self._extents(self._symbols.lookup(name))

    def matching_extents(self, pattern: str, limit: int) -> list[tuple[VirtualAddress, int]]:
        """The same of the symbols that match a pattern with wildcards, of at most `limit` symbols."""
        return self._extents(self._symbols.matching(pattern, limit))

    def _extents(self, symbols: Iterable[Symbol]) -> list[tuple[VirtualAddress, int]]:
        found = []
        for symbol in symbols:
            size = self._symbols.end_of(symbol) - symbol.address
            if symbol.address < _KERNEL_HALF or symbol.address in self._kernel.per_cpu_symbols:
                size = min(size, PAGE_SIZE - symbol.address % PAGE_SIZE)
                found += [(VirtualAddress(symbol.address + base & _U64), size) for base in self._cpu_bases]
            else:
                found.append((symbol.address, size))
        return found

    @cached_property
    def _cpu_bases(self) -> list[int]:
        return self._kernel.read_cpu_bases()

    def symbol_names(self, beginning: str, limit: int) -> list[str]:
        """Names of symbols that start with `beginning`, at most `limit`."""
        return self._symbols.names(beginning, limit)

    def symbol_at(self, virtual: VirtualAddress) -> Symbol | None:
        """The symbol at or below an address of the kernel image or of a module; None past their ends."""
        symbol = self._symbols.at(virtual)
        if virtual in self._kernel.per_cpu_symbols:
            return None
        if symbol is None or symbol.module or any(s.start <= virtual < s.end for s in self._kernel.sections()):
            return symbol
        end = self._kernel.kallsyms.address_of("_end")
        return symbol if end is not None and virtual < end else None

    def kernel_address(self, physical: PhysicalAddress) -> VirtualAddress | None:
        """Where the kernel itself sees a byte of RAM: in its image or a module if it is there, else in its direct map."""
        base = self._kernel.info.number("phys_base") or 0
        places = [VirtualAddress(physical - base + _IMAGE_BASE & _U64)]
        start, end = (self._kernel.kallsyms.address_of(name) for name in ("_text", "_end"))
        if start is None or end is None or not start <= places[0] < end:
            places.clear()
        page = self.layout.to_offset(physical) >> PAGE_SHIFT
        if self.page_map.entries["page_class"][page] == PageClass.MODULE:
            places += self._module_pages.get(physical >> PAGE_SHIFT, [])
        places.append(VirtualAddress(self._columns.page_offset + physical & _U64))
        tables = self._kernel.page_tables
        inside = (VirtualAddress(place & ~(PAGE_SIZE - 1) | physical % PAGE_SIZE) for place in places)
        return next((place for place in inside if tables.translate(place) == physical), None)

    @cached_property
    def _module_pages(self) -> dict[int, list[VirtualAddress]]:
        """Where each frame of a module's memory is mapped."""
        found: dict[int, list[VirtualAddress]] = {}
        tables = self._kernel.page_tables
        for module in self._symbols.modules:
            for base, size in module.parts:
                for page in range(base & ~(PAGE_SIZE - 1), base + size, PAGE_SIZE):
                    if len(found) >= _MAX_MODULE_PAGES or not self.has_time():
                        return found
                    if (physical := tables.translate(VirtualAddress(page))) is not None:
                        found.setdefault(physical >> PAGE_SHIFT, []).append(VirtualAddress(page))
        return found

    # The memmap

    @cached_property
    def _columns(self) -> KernelColumns:
        return KernelColumns(self._ram, self._kernel)

    @cached_property
    def _layout(self) -> PageLayout | None:
        try:
            return PageLayout.read(self._kernel)
        except NoTypesError:
            return None

    def _record(self, frame: int, size: int) -> int:
        """Address of the ``struct page`` of a frame, of the head's if it is the tail of a compound page."""
        address = self._columns.vmemmap + frame * size
        head = self._columns.word(address + (self._layout.compound if self._layout else 0))
        head = compound_head(address, head)
        return head if 0 <= address - head < size << 18 else address

    def slab_object(self, physical: PhysicalAddress) -> SlabObject | None:
        """The object of a SLUB page that a byte is in, None between objects (``mm/slub.c``, releases 6.0 to 7.3)."""
        layout = self._layout
        if layout is None:
            return None
        fields = {name: self._kernel.btf.find_member("kmem_cache", name) for name in _CACHE_FIELDS}
        if any(field is None for field in fields.values()):
            return None
        word, frame = self._columns.word, physical >> PAGE_SHIFT
        record = self._record(frame, layout.size)
        base = (record - self._columns.vmemmap) // layout.size << PAGE_SHIFT
        cache = word(record + layout.slab_cache)
        if not cache:
            return None
        step, size, pad, name = (
            word(cache + field.offset, 8 if field.name == "name" else 4) for field in fields.values() if field
        )
        count = self._slab_length(record)
        if not 0 < size <= step or pad >= step or not count:
            return None
        index, within = divmod(physical - base, step)
        if index >= count or not pad <= within < pad + size:
            return None
        start = PhysicalAddress(base + index * step + pad)
        return SlabObject(self._columns.string(name, _MAX_CACHE_NAME), start, size, index, physical - start)

    def _slab_length(self, record: int) -> int:
        """Objects in a slab: a bit field of ``struct slab``."""
        member = self._kernel.btf.find_member("slab", "objects")
        if member is None:
            return 0
        word = self._columns.word(record + (member.bit_offset >> 6 << 3))
        return word >> (member.bit_offset & 63) & (1 << member.bit_size) - 1

    def file_index(self, page: int) -> int | None:
        """Which page of its file a page of the page cache holds (``struct page``: index, of a large folio its head's)."""
        layout = self._layout
        if layout is None:
            return None
        btf = self._kernel.btf
        member = btf.find_member("page", "index") or btf.find_member("page", "__folio_index")
        if member is None:
            return None
        frame = self.layout.to_physical(_offset_of(page)) >> PAGE_SHIFT
        record = self._record(frame, layout.size)
        distance = (self._columns.vmemmap + frame * layout.size - record) // layout.size
        index = self._columns.word(record + member.offset) + distance
        return index if index < 1 << 52 else None


def _offset_of(page: int) -> RamOffset:
    return RamOffset(page << PAGE_SHIFT)
