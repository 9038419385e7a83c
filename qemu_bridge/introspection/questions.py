"""The questions that can be asked of guest RAM: the functions behind the operations of cost `Cost.QUERY`.

`Questions` has a method for each row of the operation table that is a query, of the same name and arguments
(`tests/qemu_bridge/wire/test_operations.py` holds that). It stays in a process of its own (`daemon.worker`), keeps symbols and
types loaded, and reads again whatever the guest may have changed.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..errors import GlassBoxError, NoTypesError, UsageError
from ..memory.addresses import PhysicalAddress, VirtualAddress
from ..wire.operations import MAX_READ_PAGES
from ..wire.records import (
    Answer,
    Blob,
    FileInMemory,
    Finding,
    Grade,
    KernelInfo,
    MemoryMapping,
    MemorySpace,
    Module,
    OverlayInfo,
    OverlayTable,
    PageMapHeader,
    Place,
    Process,
    Symbol,
    TargetMemory,
    TypeLayout,
)
from .memory_reads import check_ranges, read_ranges

# NumPy and the readers behind the questions are imported by the first question that needs them: a worker that is asked
# for `ps` alone answers a third of a second sooner.
if TYPE_CHECKING:
    from ..kernel.budget import Budget
    from ..kernel.modules import GuestSymbols
    from ..kernel.symbols import KernelSymbols
    from ..kernel.system_ram import SystemRam
    from ..memory.ram import GuestRam
    from ..wire.page_map import PageMap, PageMapFile
    from .classes import AddressSpace, PageMapBuilder
    from .overlays import OverlayContext
    from .targets import GuestSources

logger = logging.getLogger(__name__)

_MAX_NEAR = 4096
_MAX_LIKE = 200
_MAX_ANSWER_BYTES = 32 << 20

T = TypeVar("T")


class Questions:
    """The questions that can be asked of one machine's RAM."""

    def __init__(
        self,
        ram: GuestRam,
        page_map_path: Path,
        kernel_note: PhysicalAddress | None = None,
        trace_path: Path | None = None,
        caveats: tuple[str, ...] = (),
    ) -> None:
        """Questions about `ram`; `kernel_note` is where an earlier process found its kernel (`kernel_note`).

        `trace_path` is the shared file of the machine's trace plugin, if it has one; `caveats` hold of every answer.
        """
        self._ram = ram
        self._ram_caveats = caveats
        self._trace_path = trace_path
        self._likely_note = kernel_note
        self._page_map_path = page_map_path
        self._loaded: KernelSymbols | None = None
        self._grade, self._epoch = Grade.LIVE, 0

    def answer(self, question: str, arguments: dict[str, Any], grade: Grade = Grade.LIVE, epoch: int = 0) -> Any:  # noqa: ANN401  # as the operation's row says
        """The answer to the question of that name, about RAM of that grade and epoch.

        About a kernel of a release that was not tested, and about a guest with RAM outside the file, answer and error say so.
        """
        self._grade, self._epoch = grade, epoch
        started = time.perf_counter()
        try:
            found = getattr(self, question)(**arguments)
        except GlassBoxError as error:
            self._ram.check_size()
            caveats = [caveat for caveat in self._caveats() if caveat not in str(error)]
            if not caveats:
                raise
            raise type(error)(f"{error} ({'; '.join(caveats)})") from error
        if not isinstance(found, Answer):
            return found
        skipped = tuple(dict.fromkeys([*self._caveats(), *found.skipped]))
        elapsed_s = time.perf_counter() - started
        return msgspec.structs.replace(found, skipped=skipped, elapsed_s=elapsed_s)

    def _answer(self, value: T, skipped: Iterable[str] = ()) -> Answer[T]:
        return Answer(value, self._grade, self._epoch, tuple(skipped))

    def _caveats(self) -> Iterator[str]:
        """Yield what holds of every answer about this guest."""
        yield from self._ram_caveats
        if self._loaded is not None and self._loaded.caveat:
            yield self._loaded.caveat
        # What is answered without types, of the kernel image, does not lie in RAM that was added.
        if vars(self).get("_overlays") or vars(self).get("_builder"):
            yield from self._system_ram.describe_missing()

    # --- what is read from ---------------------------------------------------------------------------------

    @property
    def _kernel(self) -> KernelSymbols:
        # A guest may have rebooted into another kernel, or the same at another place: what was made of the old one goes.
        if self._loaded is None or not self._loaded.is_current():
            from ..kernel.symbols import KernelSymbols

            for name in ("_overlays", "_builder", "_system_ram"):
                vars(self).pop(name, None)
            self._loaded = KernelSymbols.load(self._ram, self._likely_note)
        return self._loaded

    @property
    def kernel_note(self) -> PhysicalAddress | None:
        """Where the running kernel describes itself (VMCOREINFO); None before a question needed to know."""
        return None if self._loaded is None else self._loaded.info.physical

    @cached_property
    def _overlays(self) -> OverlayContext:
        from .overlays import OverlayContext

        return OverlayContext(self._ram, self._kernel, self._trace_path)

    @cached_property
    def _system_ram(self) -> SystemRam:
        from ..kernel.system_ram import SystemRam

        return SystemRam(self._overlays.objects)

    @property
    def _context(self) -> OverlayContext:
        """What is read from, about to read everything again; `NoTypesError` for a kernel without types."""
        _ = self._kernel
        self._overlays.forget()
        return self._overlays

    def _context_or_none(self) -> OverlayContext | None:
        try:
            return self._context
        except NoTypesError:
            return None

    @cached_property
    def _page_map_file(self) -> PageMapFile:
        from ..wire.page_map import PageMapFile

        return PageMapFile.create(self._page_map_path, self._ram.page_count)

    # --- names ---------------------------------------------------------------------------------------------

    def kernel(self) -> Answer[KernelInfo]:
        """Release, build id and KASLR offset of the kernel."""
        kernel = self._kernel
        return self._answer(KernelInfo(kernel.release, kernel.build_id, kernel.kaslr_offset))

    def ps(self) -> Answer[tuple[Process, ...]]:
        """Every thread group."""
        from .overlays.processes import read_processes

        return self._records(read_processes, "processes")

    def hunt(self) -> Answer[tuple[Finding, ...]]:
        """What hides in the guest."""
        from .hunt import TIME_S, hunt

        is_live = self._grade is Grade.LIVE
        return self._records(lambda context, budget: hunt(context, budget, is_live=is_live), time_s=TIME_S)

    def modules(self) -> Answer[tuple[Module, ...]]:
        """The loaded kernel modules."""
        from .overlays.modules import read_modules

        return self._records(read_modules)

    def maps(self, pid: int) -> Answer[tuple[MemoryMapping, ...]]:
        """The virtual memory areas of process `pid`."""
        from .overlays.areas import read_mappings

        return self._records(lambda context, budget: read_mappings(context, pid, budget))

    def sym(self, symbol: str) -> Answer[tuple[Symbol, ...]]:
        """The symbols called `symbol`, of kernel and modules, or the one that covers it if it is an address."""
        from ..kernel.modules import GuestSymbols

        if self._context_or_none() is None:
            return self._answer(tuple(_find_symbols(GuestSymbols(self._kernel), symbol)))
        return self._records(lambda context, _: _find_symbols(context.symbols, symbol))

    def find_symbols(self, part: str) -> Answer[tuple[Symbol, ...]]:
        """The symbols whose names are like `part`."""
        from ..kernel.modules import GuestSymbols

        if self._context_or_none() is None:
            return self._answer(tuple(GuestSymbols(self._kernel).find_like(part, _MAX_LIKE)))
        return self._records(lambda context, _: context.symbols.find_like(part, _MAX_LIKE))

    def type_layout(self, name: str, depth: int) -> Answer[TypeLayout]:
        """How the kernel's struct or union `name` is laid out."""
        from ..kernel.symbols.type_layout import describe_type

        return self._answer(describe_type(self._kernel.btf, name, depth))

    def type_names(self, part: str) -> Answer[tuple[str, ...]]:
        """Names of the kernel's structs and unions that contain `part`."""
        from ..kernel.symbols.type_layout import find_type_names

        return self._answer(tuple(find_type_names(self._kernel.btf, part)))

    def overlays(self) -> Answer[tuple[OverlayInfo, ...]]:
        """The overlays that there are, and what could not be loaded."""
        from .overlays import find_overlays

        registry = find_overlays()
        return self._answer(tuple(registry.infos()), registry.skipped)

    def overlay(self, overlay: str) -> Answer[OverlayTable]:
        """The table of the overlay called `overlay`."""
        from ..kernel.budget import Budget
        from .overlays import find_overlays, read_overlay

        table = read_overlay(find_overlays().find(overlay), self._context, Budget())
        return self._answer(table, table.skipped)

    def _records(
        self, read: Callable[[OverlayContext, Budget], Iterable[T]], never_empty: str = "", time_s: float | None = None
    ) -> Answer[tuple[T, ...]]:
        """The records that `read` gives within a budget; those so far, and a sentence, when that is used up.

        `never_empty` names records of which every kernel that runs has some.
        """
        from ..kernel.budget import TIME_S, Budget, OutOfBudgetError
        from .overlays import note_empty

        context, budget = self._context, Budget(TIME_S if time_s is None else time_s)
        rows, bytes_left = list[T](), _MAX_ANSWER_BYTES
        try:
            with budget.watch(), context.objects.charged_to(budget):
                for record in read(context, budget):
                    bytes_left -= len(msgspec.json.encode(record))
                    if bytes_left < 0:
                        raise OutOfBudgetError("there are too many bytes")
                    rows.append(record)
            if never_empty and not rows:
                note_empty(budget, never_empty)
        except OutOfBudgetError as error:
            budget.skipped.append(f"the list exceeded its budget and ends early: {error}")
        except GlassBoxError as error:
            if not rows:
                raise
            budget.skipped.append(f"the list ends early: {str(error).split(';')[0]}")
        return self._answer(tuple(rows), budget.skipped)

    # --- memory --------------------------------------------------------------------------------------------

    def read_memory(
        self, ranges: tuple[tuple[int, int], ...], space: MemorySpace, pid: int | None
    ) -> Answer[tuple[Blob | None, ...]]:
        """The bytes of each (address, size) of `ranges`, None for a range that is not wholly there."""
        check_ranges(ranges)
        return self._answer(*read_ranges(ranges, self._reader(space, pid)))

    def _reader(self, space: MemorySpace, pid: int | None) -> Callable[[int, int], bytes]:
        if space is MemorySpace.PHYSICAL:
            if pid is not None:
                raise UsageError(f"physical addresses belong to no process; leave out pid {pid} or read virtual ones")
            return lambda address, size: self._ram.read(PhysicalAddress(address), size)
        if pid is None:
            return lambda address, size: self._kernel.page_tables.read(VirtualAddress(address), size)
        for process in self.ps():
            if process.pid == pid and process.page_table is not None:
                tables = self._overlays.objects.page_tables(PhysicalAddress(process.page_table))
                return lambda address, size: tables.read(VirtualAddress(address), size)
        raise UsageError(f"there is no process {pid} with memory of its own; 'glassbox ps' lists them")

    def cached_files(self, target: str, runs: bool) -> Answer[tuple[FileInMemory, ...]]:
        """The files that `target` names, or all of which something is in RAM."""
        from .file_contents import read_files

        return self._records(lambda context, budget: read_files(context, budget, target, with_runs=runs))

    def refresh_page_map(self, complete: bool = False) -> Answer[PageMapHeader]:
        """Bring the page map up to date and publish it."""
        page_map = self.newest_page_map(self._grade, complete=complete)
        return self._answer(self._page_map_file.publish(page_map), page_map.skipped)

    def read_page_map(self, generation: int, first_page: int, page_count: int) -> Answer[Blob]:
        """Entries of the page map that was published last."""
        if first_page < 0 or not 0 <= page_count <= MAX_READ_PAGES:
            raise UsageError(
                f"{page_count} pages from {first_page} on cannot be read; ask for {MAX_READ_PAGES} at a time"
            )
        newest = self._page_map_file.generation
        if not 0 < generation <= newest:
            raise UsageError(
                f"there was no page map {generation} yet; the newest is {newest}, refresh_page_map makes one"
            )
        entries = self._page_map_file.read_entries(generation, slice(first_page, first_page + page_count))
        return self._answer(Blob(entries.tobytes()))

    def newest_page_map(self, grade: Grade, *, complete: bool = False) -> PageMap:
        """The page map of this moment, with all that share a page."""
        _ = self._kernel
        if self._builder is not None:
            try:
                return self._builder.build(grade, complete=complete)
            except NoTypesError as error:
                logger.warning("from now on the page map is a coarse one: %s", error)
                self._builder = None
        return self._classify(grade)

    @cached_property
    def _builder(self) -> PageMapBuilder | None:
        from .classes import PageMapBuilder

        try:
            return PageMapBuilder(self._ram, self._kernel)
        except NoTypesError as error:
            logger.warning("the page map is a coarse one: %s", error)
            return None

    def _classify(self, grade: Grade) -> PageMap:
        """What can be said without the kernel's types: image, page tables, content."""
        from .classes import classify

        skipped = (
            "the kernel's types or memmap cannot be read, so pages are distinguished by symbols, tables and content"
        )
        context, kernel = self._context_or_none(), self._kernel
        spaces = [] if context is None else self._spaces(context)
        page_map = classify(self._ram, kernel.page_tables, kernel.sections(), spaces, grade)
        return replace(page_map, skipped=(skipped, *page_map.skipped))

    def _spaces(self, context: OverlayContext) -> list[AddressSpace]:
        """The address spaces of all processes, as far as they can be read."""
        from ..kernel.budget import Budget, OutOfBudgetError
        from .classes import PID_LIMIT, AddressSpace, owner_of
        from .overlays.areas import read_mappings
        from .overlays.processes import read_processes

        spaces: list[AddressSpace] = []
        budget = Budget()
        with contextlib.suppress(OutOfBudgetError, NoTypesError), context.objects.charged_to(budget):
            for process in read_processes(context, budget):
                if process.page_table is not None and process.pid < PID_LIMIT:
                    tables = context.objects.page_tables(PhysicalAddress(process.page_table))
                    areas = read_mappings(context, process.pid, budget)
                    spaces.append(AddressSpace(owner_of(process.pid, process.name), tables, areas))
        return spaces

    # --- places --------------------------------------------------------------------------------------------

    def identify(self, place: str, pid: int | None) -> Answer[Place]:
        """What the byte at `place` is."""
        from .targets import identify_place, parse_place

        found = identify_place(parse_place(place, pid), self._sources())
        return self._answer(found, found.skipped)

    def resolve(self, target: str, by_page: bool) -> Answer[TargetMemory]:
        """The memory of `target`."""
        from .targets import describe_ranges, parse_target, resolve_target, skipped, total

        parsed = parse_target(target)
        sources = self._sources()
        found = resolve_target(parsed, sources, target)
        memory = TargetMemory(
            tuple(describe_ranges(found, sources, by_page)),
            total(found),
            sources.page_map.generation,
            sources.page_map.grade.value,
            skipped(sources),
        )
        return self._answer(memory, memory.skipped)

    def targets(self, prefix: str) -> Answer[tuple[str, ...]]:
        """The targets that `prefix` can be completed to."""
        from .targets import complete_target

        return self._answer(tuple(complete_target(prefix, self._sources())))

    def _sources(self) -> GuestSources:
        """What answers about places are made from, as of now; the page map is published, so that others can look at it too."""
        from .targets import GuestSources

        page_map = self.newest_page_map(self._grade)
        page_map = replace(page_map, generation=self._page_map_file.publish(page_map).generation)
        return GuestSources(self._ram, self._kernel, self._context_or_none(), page_map)


def _find_symbols(symbols: GuestSymbols, wanted: str) -> list[Symbol]:
    from .targets import suggest

    found = symbols.lookup(wanted)
    if not found and not wanted[:1].isdigit():
        hint = suggest(wanted, symbols.names(wanted[:3], _MAX_NEAR), "/proc/kallsyms in the guest lists them")
        raise UsageError(f"the kernel and its modules have no symbol {wanted!r}; {hint}")
    return found
