"""Resolves a parsed target to the bytes of guest RAM that it names.

Three sources answer: classes and owners of the page map (``kernel.…``, ``class:``, ``file:``, ``slab:``, ``module:``,
``free``), a process's own page tables together with its memory areas (``pid:``, ``comm:``, ``va:``), and the kernel's symbols
(``sym:``). Sets are combined as `ranges`, byte for byte; pages outside RAM, such as device memory, fall away.

>>> found = resolve_target(parse_target("pid:1/heap"), sources)
>>> [hex(row.physical) for row in describe_ranges(found, sources)]
['0x4a3d000']
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from ...memory.addresses import PAGE_SHIFT, PAGE_SIZE, RamOffset, VirtualAddress
from ...memory.page_entries import U64Array
from ...memory.paging import Half, Mappings, PageTables
from ...wire.records import MemoryMapping, Owner, PageClass, Process, TargetRange
from .format import format_target
from .grammar import (
    CLASSES,
    Combined,
    Named,
    Span,
    Target,
)
from .hints import error_at, suggest
from .ranges import (
    NOTHING,
    Ranges,
    combine,
    cut,
    mask_to_ranges,
    pages_to_ranges,
    physical_to_ranges,
    to_ranges,
    unite,
)
from .sources import Sources

MAX_ROWS = 1 << 16
MAX_MATCHES = 1000
"""Of one pattern: processes, symbols, or names of other things."""
_MAX_SYMBOL_NAMES = 4096
# Below this many bytes an address space is walked page by page, above it is decoded as a whole.
_BULK_BYTES = 1 << 20

_KERNEL_CLASSES = {
    "text": PageClass.KERNEL_TEXT,
    "rodata": PageClass.KERNEL_RODATA,
    "data": PageClass.KERNEL_DATA,
    "bss": PageClass.KERNEL_BSS,
    "init": PageClass.KERNEL_INIT,
    "percpu": PageClass.PER_CPU,
    "stack": PageClass.KERNEL_STACK,
    "memmap": PageClass.MEMMAP,
    "slab": PageClass.SLAB,
    "vmalloc": PageClass.VMALLOC,
    "modules": PageClass.MODULE,
    "pages": PageClass.KERNEL_PAGES,
}

_THINGS = {
    "comm": "name of a process",
    "file": "file with pages in memory",
    "slab": "slab cache",
    "module": "module",
    "sym": "kernel symbol",
}

T = TypeVar("T")
_NamedThing = TypeVar("_NamedThing", Process, Owner)


def resolve_target(target: Target, sources: Sources, text: str = "") -> Ranges:
    """The bytes of RAM that `target` names, as `ranges` of file offsets; empty if it names none.

    `text` is what the target was parsed from, for errors to point into. `UsageError` for a process, file, slab cache,
    module or symbol that is not there.
    """
    return _Resolver(sources, text or format_target(target)).resolve(target)


def describe_ranges(found: Ranges, sources: Sources, by_page: bool = False) -> list[TargetRange]:
    """`found` as physical ranges of one class each, ascending; `by_page` one row a page, with its owner.

    At most `MAX_ROWS`; when there are more, `sources.notes` says so.
    """
    entries, owners = sources.page_map.entries, sources.page_map.owners
    changes = np.arange(len(entries)) if by_page else np.flatnonzero(np.diff(entries["page_class"], prepend=0))
    borders = np.array([region.offset for region in sources.layout.regions], np.int64)
    pieces = cut(found, np.concatenate([changes.astype(np.int64) << PAGE_SHIFT, borders]))
    if len(pieces) > MAX_ROWS:
        sources.notes.append(f"only the first {MAX_ROWS} of {len(pieces)} ranges are listed")
    rows = []
    for start, end in pieces[:MAX_ROWS].tolist():
        entry = entries[start >> PAGE_SHIFT]
        owner = owners.get(int(entry["owner_id"])) if by_page else None
        physical = sources.layout.to_physical(RamOffset(start))
        page_class = class_word(int(entry["page_class"]))
        rows.append(TargetRange(physical, RamOffset(start), end - start, page_class, owner_label(owner)))
    return rows


def class_word(number: int) -> str:
    """A class as records spell it, also for a number that no class has."""
    return PageClass(number).word if number < len(PageClass) else f"class-{number}"


def owner_label(owner: Owner | None) -> str:
    """An owner in a few words: ``process 1 init``, ``slab dentry``."""
    if owner is None or owner.owner_id == 0:
        return ""
    words = (owner.kind, str(owner.pid) if owner.pid else "", owner.name if owner.name != owner.kind else "")
    return " ".join(filter(None, words))


def area_part(mapping: MemoryMapping) -> str:
    """Which of `PROCESS_PARTS` a memory area is; empty for pages that the kernel shows every process."""
    path = mapping.path
    if path.startswith("[stack"):
        return "stack"
    if path == "[heap]":
        return "heap"
    if path.startswith(("[vdso", "[vvar", "[vsyscall")):
        return ""
    if not path or path.startswith("["):
        return "anonymous"
    return "text" if "x" in mapping.permissions else "file"


def known_names(sources: Sources, kind: str, beginning: str = "") -> list[str]:
    """The names of `kind` in this guest."""
    if kind == "comm":
        return sorted({process.name for process in sources.processes()})
    if kind == "class":
        return list(CLASSES)
    if kind == "sym":
        return sources.symbol_names(beginning, _MAX_SYMBOL_NAMES)
    return sorted({owner.name for owner in sources.page_map.owners.values() if owner.kind == kind})


class _Resolver:
    """Evaluates one target; `text` is what its columns point into."""

    def __init__(self, sources: Sources, text: str) -> None:
        self._sources = sources
        self._text = text
        self._entries = sources.page_map.entries
        self._mapped: dict[int, Mappings] = {}

    def resolve(self, target: Target) -> Ranges:
        match target:
            case Combined(operator, left, right):
                return combine(operator, self.resolve(left), self.resolve(right))
            case Span():
                return self._span(target)
            case Named(kind):
                terms: dict[str, Callable[[Named], Ranges]] = {
                    "all": lambda _: to_ranges([0], [len(self._entries) << PAGE_SHIFT]),
                    "free": lambda _: self._of_class(PageClass.FREE),
                    "class": lambda term: self._of_class(*(CLASSES[name] for name in CLASSES if term.matches(name))),
                    "kernel": self._kernel,
                    "pid": self._pid,
                    "comm": self._comm,
                    "sym": self._symbol,
                }
                return terms.get(kind, self._owned)(target)

    # From the page map

    def _of_class(self, *classes: PageClass) -> Ranges:
        return mask_to_ranges(np.isin(self._entries["page_class"], classes))

    def _of_owners(self, owners: Iterable[Owner], *classes: PageClass) -> Ranges:
        """Pages of these owners, and if any are given of these classes only."""
        mask = np.isin(self._entries["owner_id"], [owner.owner_id for owner in owners])
        if classes:
            mask &= np.isin(self._entries["page_class"], classes)
        return mask_to_ranges(mask)

    def _kernel(self, term: Named) -> Ranges:
        tables = self._of_owners(self._owners("kernel"), PageClass.PAGE_TABLE)
        if term.name == "pagetables":
            return tables
        if term.name:
            return self._of_class(_KERNEL_CLASSES[term.name])
        return combine("+", self._of_class(*_KERNEL_CLASSES.values()), tables)

    def _owned(self, term: Named) -> Ranges:
        """A file, slab cache or module."""
        return self._of_owners(self._chosen(term, self._owners(term.kind)))

    def _owners(self, kind: str) -> list[Owner]:
        return [owner for owner in self._sources.page_map.owners.values() if owner.kind == kind]

    def _chosen(self, term: Named, things: Sequence[_NamedThing]) -> Sequence[_NamedThing]:
        """Those of `things` that are called so, of a pattern the first `MAX_MATCHES`; `UsageError` for none."""
        found = [thing for thing in things if term.matches(thing.name)]
        if not found:
            raise self._unknown(term, known_names(self._sources, term.kind))
        return self._bounded(term, found)

    def _bounded(self, term: Named, found: Sequence[T]) -> Sequence[T]:
        if not term.is_pattern or len(found) <= MAX_MATCHES:
            return found
        self._sources.notes.append(f"only the first {MAX_MATCHES} that match {term.kind}:{term.name} are taken")
        return found[:MAX_MATCHES]

    # From processes

    def _pid(self, term: Named) -> Ranges:
        processes = [process for process in self._sources.processes() if str(process.pid) == str(int(term.name))]
        if not processes:
            raise self._unknown(term, [])
        return self._of_process(processes[0], term.part)

    def _comm(self, term: Named) -> Ranges:
        processes = self._chosen(term, self._sources.processes())
        return unite(self._of_process(process, term.part) for process in processes if self._sources.has_time())

    def _of_process(self, process: Process, part: str) -> Ranges:
        """What a process maps into user space, or a part of that, or what the kernel keeps for it."""
        if part == "kernelstack":
            return self._of_owners(owner for owner in self._owners("stack") if owner.pid == process.pid)
        tables = self._sources.page_tables(process.pid)
        if tables is None:
            return NOTHING
        if part == "pagetables":
            frames = tables.table_frames(Half.USER, self._sources.has_second_root()).frame
            pages = self._sources.layout.frames_to_pages(frames)
            return pages_to_ranges(pages[pages >= 0])
        mapped = self._mappings_of(process.pid, tables)
        rows, swapped = np.ones(len(mapped), np.bool_), mapped.swapped
        if part:
            areas = self._sources.mappings(process.pid)
            rows, swapped = _in_part(mapped.virtual, areas, part), swapped[_in_part(swapped, areas, part)]
        self._note_swapped(process.pid, len(swapped))
        return self._mapped_ranges(mapped, rows)

    def _note_swapped(self, pid: int, count: int) -> None:
        if count:
            self._sources.notes.append(f"process {pid} has {count} of these pages swapped out: they are not in RAM")

    def _mappings_of(self, pid: int, tables: PageTables) -> Mappings:
        if pid not in self._mapped:
            self._mapped[pid] = tables.mappings(Half.USER)
            if not self._mapped[pid].complete:
                self._sources.notes.append(f"process {pid} maps too many pages; some are left out")
        return self._mapped[pid]

    def _mapped_ranges(self, mapped: Mappings, rows: npt.NDArray[np.bool_]) -> Ranges:
        sizes = np.left_shift(PAGE_SIZE, 9 * (mapped.level[rows].astype(np.int64) - 1))
        starts = (mapped.frame[rows] << np.uint64(PAGE_SHIFT)).astype(np.int64)
        return physical_to_ranges(self._sources.layout, starts, sizes)

    # From addresses

    def _span(self, span: Span) -> Ranges:
        start, size = span.start, span.size
        if size is None:
            start, size = start & ~(PAGE_SIZE - 1), PAGE_SIZE
        if span.is_virtual:
            try:
                tables = self._sources.page_tables(span.pid)
            except UsageError:
                raise self._unknown(span, []) from None
            return NOTHING if tables is None else self._virtual(tables, start, size, span.pid)
        # No RAM is at 2^62 or above, where the arithmetic would overflow.
        end = min(start + size, 1 << 62)
        if start >= end:
            return NOTHING
        return physical_to_ranges(self._sources.layout, np.array([start]), np.array([end - start]))

    def _virtual(self, tables: PageTables, start: int, size: int, pid: int | None) -> Ranges:
        if size <= _BULK_BYTES:
            found = [(physical, length) for _, physical, length in tables.iter_runs(VirtualAddress(start), size)]
            runs = np.array(found, np.int64).reshape(-1, 2)
            if pid is not None and int(runs[:, 1].sum()) < size:
                pages = range(start & ~(PAGE_SIZE - 1), start + size, PAGE_SIZE)
                self._note_swapped(pid, sum(tables.swap_slot(VirtualAddress(page)) is not None for page in pages))
            return physical_to_ranges(self._sources.layout, runs[:, 0], runs[:, 1])
        mapped = tables.mappings(Half.KERNEL) if pid is None else self._mappings_of(pid, tables)
        if not mapped.complete and pid is None:
            self._sources.notes.append("the kernel maps too many pages; some are left out")
        length = np.left_shift(np.uint64(PAGE_SIZE), np.uint64(9) * (mapped.level.astype(np.uint64) - np.uint64(1)))
        if pid is not None:
            low, high = np.uint64(start & ~(PAGE_SIZE - 1)), np.uint64(start + size - 1)
            self._note_swapped(pid, int(np.count_nonzero((mapped.swapped >= low) & (mapped.swapped <= high))))
        first = np.maximum(mapped.virtual, np.uint64(start))
        last = np.minimum(mapped.virtual + (length - np.uint64(1)), np.uint64(start + size - 1))
        inside = first <= last
        offset = (first - mapped.virtual)[inside]
        physical = (mapped.frame[inside] << np.uint64(PAGE_SHIFT)) + offset
        sizes = (last - first)[inside].astype(np.int64) + 1
        return physical_to_ranges(self._sources.layout, physical.astype(np.int64), sizes)

    def _symbol(self, term: Named) -> Ranges:
        if term.is_pattern:
            extents = self._sources.matching_extents(term.name, MAX_MATCHES + 1)
        else:
            extents = self._sources.symbol_extents(term.name)
        if not extents:
            raise self._unknown(term, self._sources.symbol_names(term.name[:3], _MAX_SYMBOL_NAMES))
        kernel = self._sources.page_tables(None)
        if kernel is None:
            return NOTHING
        bounded = self._bounded(term, extents)
        return unite(self._virtual(kernel, *extent, None) for extent in bounded if self._sources.has_time())

    def _unknown(self, term: Named | Span, known: Iterable[str]) -> UsageError:
        """The error for a name that nothing has, with similar ones, or for a pattern that nothing matches."""
        what, otherwise = {
            "pid": ("no such process", "list them with 'glassbox ps'"),
            "comm": ("no process of that name", "list them with 'glassbox ps'"),
            "file": ("no page of such a file is in memory", "a path is as process 1 sees it"),
            "slab": ("no such slab cache", "caches may have been merged into one of another name"),
            "module": ("no such module", "list them with 'glassbox modules'"),
            "sym": ("no such kernel symbol", "'glassbox targets NAME sym:BEGINNING' lists those that begin so"),
        }["pid" if isinstance(term, Span) else term.kind]
        if isinstance(term, Span):
            return error_at(self._text, term.pid_column, what, otherwise)
        if term.is_pattern:
            what = f"no {_THINGS[term.kind]} matches"
        return error_at(self._text, term.column, what, suggest(term.name, known, otherwise))


def _in_part(virtual: U64Array, areas: Iterable[MemoryMapping], part: str) -> npt.NDArray[np.bool_]:
    """Which pages, by their first `virtual` address, begin in a memory area that is `part`."""
    ordered = sorted(areas, key=lambda area: area.start)
    if not ordered:
        return np.zeros(len(virtual), np.bool_)
    starts = np.array([area.start for area in ordered], np.uint64)
    ends = np.array([area.end for area in ordered], np.uint64)
    is_part = np.array([area_part(area) == part for area in ordered])
    area = np.searchsorted(starts, virtual, side="right") - 1
    return np.asarray((area >= 0) & is_part[area] & (virtual < ends[area]))
