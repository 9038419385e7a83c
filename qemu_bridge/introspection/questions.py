"""What guest RAM means, answered by a process of its own.

The daemon hands each question to one hot worker process, so that a slow or hostile guest never blocks the
control socket: a question that outlives its time is answered with an error and the worker is replaced.
The worker keeps symbols and types loaded; what the guest may have changed is read anew each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import inspect
import logging
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import GuestError, MachineError, NoTypesError, UsageError
from ..memory.addresses import PhysicalAddress, RamLayout
from ..wire.records import Grade, Symbol, TargetMemory, to_json

if TYPE_CHECKING:
    from ..kernel.budget import Budget
    from ..kernel.modules import GuestSymbols
    from ..kernel.symbols import KernelSymbols
    from ..memory.ram import GuestRam
    from ..wire.page_map import PageMap, PageMapFile
    from .classes import AddressSpace, PageMapBuilder
    from .overlays import Overlay, OverlayContext
    from .targets import GuestSources

logger = logging.getLogger(__name__)

QUERY_TIMEOUT_S = 30.0
_QUEUE_TIMEOUT_S = 25.0
_MEMORY_BYTES = 4 << 30
_PR_SET_PDEATHSIG = 1
_MAX_NEAR = 4096


class Semantics:
    """The questions that can be asked of one machine's RAM. Every answer is a JSON object."""

    def __init__(self, ram: GuestRam, page_map_path: Path) -> None:
        self._ram = ram
        self._page_map_path = page_map_path
        self._loaded: KernelSymbols | None = None

    @property
    def _kernel(self) -> KernelSymbols:
        # A guest may have rebooted into another kernel, or the same at another place: what was made of the old one goes.
        if self._loaded is None or not self._loaded.is_current():
            from ..kernel.symbols import KernelSymbols

            for name in ("_overlays", "_builder"):
                vars(self).pop(name, None)
            self._loaded = KernelSymbols.load(self._ram)
        return self._loaded

    @cached_property
    def _overlays(self) -> OverlayContext:
        from .overlays import OverlayContext

        return OverlayContext(self._ram, self._kernel)

    @property
    def _context(self) -> OverlayContext:
        """What is read from, about to read everything anew; `NoTypesError` for a kernel without types."""
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

    def answer(self, question: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The answer to the question of that name; about a kernel of a release that was not tested, it says so."""
        ask: Callable[..., dict[str, Any]] = getattr(self, question)
        _check_arguments(question, ask, arguments)
        answer = ask(**arguments)
        caveat = "" if self._loaded is None else self._loaded.caveat
        if caveat and caveat not in answer.get("skipped", ()):
            answer["skipped"] = [caveat, *answer.get("skipped", ())]
        return answer

    def kernel(self) -> dict[str, Any]:
        """Release, build id and KASLR offset of the kernel."""
        kernel = self._kernel
        return {"release": kernel.release, "build_id": kernel.build_id, "kaslr_offset": kernel.kaslr_offset}

    def ps(self) -> dict[str, Any]:
        """Every thread group."""
        from .overlays.processes import PROCESSES

        return self._rows(PROCESSES)

    def modules(self) -> dict[str, Any]:
        """The loaded kernel modules."""
        from .overlays.modules import MODULES

        return self._rows(MODULES)

    def maps(self, pid: int) -> dict[str, Any]:
        """The virtual memory areas of process `pid`."""
        from .overlays.areas import read_mappings

        return self._list(lambda context, budget: read_mappings(context, pid, budget))

    def sym(self, wanted: str) -> dict[str, Any]:
        """The symbols called `wanted`, of kernel and modules, or the one that covers address `wanted`, if any does.

        `UsageError` with names that are near for a name that there is not.
        """
        from ..kernel.modules import GuestSymbols

        if self._context_or_none() is None:
            return {"rows": [to_json(symbol) for symbol in _find_symbols(GuestSymbols(self._kernel), wanted)]}
        return self._list(lambda context, _: _find_symbols(context.symbols, wanted))

    def overlay(self, overlay: str) -> dict[str, Any]:
        """The table of the overlay called `overlay`, or what overlays there are where that is empty."""
        from ..kernel.budget import Budget
        from .overlays import find_overlays, read_overlay

        registry = find_overlays()
        if not overlay:
            return {"rows": [to_json(info) for info in registry.infos()], "skipped": registry.skipped}
        wanted = registry.find(overlay)
        table = read_overlay(wanted, self._context, Budget())
        return {"table": to_json(table), "skipped": table.skipped}

    def _rows(self, overlay: Overlay) -> dict[str, Any]:
        from ..kernel.budget import Budget
        from .overlays import read_overlay

        table = read_overlay(overlay, self._context, Budget())
        return {"rows": table.rows, "skipped": table.skipped}

    def _list(self, read: Callable[[OverlayContext, Budget], Iterable[Any]]) -> dict[str, Any]:
        """The records that `read` gives within a budget; none, and a sentence, when that is used up."""
        from ..kernel.budget import Budget, OutOfBudgetError

        context, budget, rows = self._context, Budget(), []
        context.objects.budget = budget
        try:
            with budget.watch():
                rows = [to_json(record) for record in read(context, budget)]
        except OutOfBudgetError as error:
            budget.skipped.append(f"the question did not come to an end: {error}")
        return {"rows": rows, "skipped": budget.skipped}

    def type(self, name: str, depth: int = 1) -> dict[str, Any]:
        """How the kernel's struct or union `name` is laid out: a `TypeLayout`."""
        from ..kernel.symbols.type_layout import describe_type

        return {"type": to_json(describe_type(self._kernel.btf, name, depth))}

    def types(self, part: str) -> dict[str, Any]:
        """Names of the kernel's structs and unions that contain `part`."""
        from ..kernel.symbols.type_layout import find_type_names

        return {"rows": find_type_names(self._kernel.btf, part)}

    def page_map(self, grade: str) -> dict[str, Any]:
        """Bring the page map up to date and publish it; returns what `PageMapFile.read` needs."""
        return self._page_map_file.publish(self.newest_page_map(grade))

    def newest_page_map(self, grade: str) -> PageMap:
        """The page map of this moment, with all that share a page."""
        _ = self._kernel
        if self._builder is not None:
            try:
                return self._builder.build(Grade(grade))
            except NoTypesError as error:
                logger.warning("from now on the page map is a coarse one: %s", error)
                self._builder = None
        return self._classify(Grade(grade))

    @cached_property
    def _builder(self) -> PageMapBuilder | None:
        from .classes import PageMapBuilder

        try:
            return PageMapBuilder(self._ram, self._kernel)
        except NoTypesError as error:
            logger.warning("the page map is a coarse one: %s", error)
            return None

    def _classify(self, grade: Grade) -> PageMap:
        """What can be told without the kernel's types: image, page tables, content."""
        from .classes import classify

        skipped = "the kernel's types or memmap cannot be read, so pages are told apart by symbols, tables and content"
        context, kernel = self._context_or_none(), self._kernel
        spaces = [] if context is None else self._spaces(context)
        page_map = classify(self._ram, kernel.page_tables, kernel.sections(), spaces, grade)
        return replace(page_map, skipped=(skipped, *page_map.skipped))

    def _spaces(self, context: OverlayContext) -> list[AddressSpace]:
        """The address spaces of all processes, as far as they can be read."""
        from ..kernel.budget import Budget, OutOfBudgetError
        from .classes import AddressSpace, owner_of
        from .overlays.areas import read_mappings
        from .overlays.processes import read_processes

        spaces: list[AddressSpace] = []
        context.objects.budget = budget = Budget()
        with contextlib.suppress(OutOfBudgetError, NoTypesError):
            for process in read_processes(context, budget):
                if process.page_table is not None:
                    tables = context.objects.page_tables(PhysicalAddress(process.page_table))
                    areas = read_mappings(context, process.pid, budget)
                    spaces.append(AddressSpace(owner_of(process.pid, process.name), tables, areas))
        return spaces

    def whose(self, place: str, pid: int | None, grade: str) -> dict[str, Any]:
        """What the byte at `place` is: a `Place`."""
        from .targets import identify_place, parse_place

        parsed = parse_place(place, pid)
        found = identify_place(parsed, self._sources(grade))
        return {"place": to_json(found), "skipped": found.skipped}

    def where(self, target: str, by_page: bool, grade: str) -> dict[str, Any]:
        """The memory of `target`: a `TargetMemory`."""
        from .targets import describe_ranges, parse_target, resolve_target, skipped, total

        parsed = parse_target(target)
        sources = self._sources(grade)
        found = resolve_target(parsed, sources, target)
        ranges = tuple(describe_ranges(found, sources, by_page))
        page_map = sources.page_map
        answer = TargetMemory(ranges, total(found), page_map.generation, page_map.grade.value, skipped(sources))
        return {"memory": to_json(answer), "skipped": answer.skipped}

    def targets(self, prefix: str, grade: str) -> dict[str, Any]:
        """The targets that `prefix` can be completed to."""
        from .targets import complete_target

        return {"rows": complete_target(prefix, self._sources(grade))}

    def _sources(self, grade: str) -> GuestSources:
        """What answers about places are made from, as of now; the page map is published, so that others can look at it too."""
        from .targets import GuestSources

        page_map = self.newest_page_map(grade)
        page_map = replace(page_map, generation=self._page_map_file.publish(page_map)["generation"])
        return GuestSources(self._ram, self._kernel, self._context_or_none(), page_map)


_ARGUMENT_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "int | None": (int, type(None)),
}


def _check_arguments(question: str, ask: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """`UsageError` for what a client must not ask so: the guest is not to blame for it."""
    signature = inspect.signature(ask)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise UsageError(f"{question} is not asked so: {error}; see docs/protocol.md") from None
    for name, value in arguments.items():
        wanted = signature.parameters[name].annotation
        if not isinstance(value, _ARGUMENT_TYPES[wanted]):
            raise UsageError(f"{name} of {question} is a {type(value).__name__}, not {wanted}; see docs/protocol.md")


def _find_symbols(symbols: GuestSymbols, wanted: str) -> list[Symbol]:
    from .targets import suggest

    found = symbols.lookup(wanted)
    if not found and not wanted[:1].isdigit():
        hint = suggest(wanted, symbols.names(wanted[:3], _MAX_NEAR), "/proc/kallsyms in the guest lists them")
        raise UsageError(f"the kernel and its modules have no symbol {wanted!r}; {hint}")
    return found


_semantics: Semantics | None = None


def _start_worker(ram_path: Path, layout: RamLayout, page_map_path: Path, symbols: Path | None) -> None:
    # In the worker: end with the daemon, and leave Ctrl-C to it.
    global _semantics
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from ..memory.ram import GuestRam

    _bound_memory(layout.size)
    if symbols is not None:
        # Its own symbols, and its own only: what a capture from elsewhere says of a kernel must not reach other machines.
        from ..kernel.symbols import cache

        cache.read_only_in(symbols)
    _semantics = Semantics(GuestRam(ram_path, layout), page_map_path)


def _bound_memory(ram_bytes: int) -> None:
    """Let this process take so much memory of its own and no more, whatever a guest makes it ask for."""
    limit = min(_MEMORY_BYTES + ram_bytes // 4, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    given = [value for value in (soft, hard) if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([limit, *given]), hard))


def _answer(question: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], float]:
    # In the worker: what an overlay or a hostile guest throws becomes an error that travels.
    from ..kernel.budget import OutOfBudgetError

    assert _semantics is not None
    started = time.perf_counter()
    try:
        return _semantics.answer(question, arguments), time.perf_counter() - started
    except (GuestError, MachineError, UsageError):
        raise
    except MemoryError:
        raise GuestError(
            f"{question} needs more memory than it may have; is the guest's RAM damaged? pause the machine and ask again"
        ) from None
    except OutOfBudgetError as error:
        raise GuestError(f"{question} did not come to an end: {error}; pause the machine and ask again") from None
    except Exception as error:
        logger.exception("%s failed", question)
        raise GuestError(
            f"guest RAM cannot be understood ({type(error).__name__}: {error}); pause the machine and ask again"
        ) from None


class SemanticWorker:
    """Asks the worker process, and replaces it when it hangs, dies or its guest has rebooted.

    Attributes:
        queue_timeout_s: how long a question may wait for those before it; with its own time less than clients wait.
    """

    def __init__(self, ram_path: Path, layout: RamLayout, page_map_path: Path, symbols: Path | None = None) -> None:
        """Ask of the RAM at `ram_path`; `symbols` is a folder of the kernel's symbols to use instead of the cache."""
        self._arguments = (ram_path, layout, page_map_path, symbols)
        self._pool: ProcessPoolExecutor | None = None
        self._turn = asyncio.Lock()
        self.queue_timeout_s = _QUEUE_TIMEOUT_S

    async def ask(self, question: str, timeout_s: float = QUERY_TIMEOUT_S, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON values
        """The answer to `question`, with ``elapsed_s`` in the worker; `MachineError` after `timeout_s`."""
        try:
            await asyncio.wait_for(self._turn.acquire(), self.queue_timeout_s)
        except TimeoutError:
            raise MachineError(
                f"{question} waited {self.queue_timeout_s:g} s behind other questions and was given up; ask again"
            ) from None
        try:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(1, context, _start_worker, self._arguments)
            future = self._pool.submit(_answer, question, arguments)
            try:
                answer, elapsed_s = await asyncio.wait_for(asyncio.wrap_future(future), timeout_s)
            except TimeoutError:
                self.restart()
                raise MachineError(
                    f"{question} took longer than {timeout_s:g} s and was given up; pause the machine and ask again"
                ) from None
            except BrokenProcessPool:
                self.restart()
                raise MachineError(f"the worker died of {question}; ask again, a new one takes its place") from None
        finally:
            self._turn.release()
        return answer | {"elapsed_s": elapsed_s}

    def restart(self) -> None:
        """End the worker; the next question starts a new one, which knows nothing of the old guest."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)
