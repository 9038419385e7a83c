"""What guest RAM means, answered by a process of its own.

The daemon hands each question to one hot worker process, so that a slow or hostile guest never blocks the
control socket: a question that outlives its time is answered with an error and the worker is replaced.
The worker keeps symbols and Volatility loaded; what the guest may have changed is read anew each time.
"""

from __future__ import annotations

import asyncio
import ctypes
import dataclasses
import logging
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .addresses import PhysicalAddress, RamLayout
from .errors import GuestError, MachineError, UsageError
from .protocol import Grade, to_json

if TYPE_CHECKING:
    from .page_map import PageMapFile
    from .ram import GuestRam
    from .symbols import KernelSymbols
    from .volatility_adapter import VolatilityAdapter

logger = logging.getLogger(__name__)

QUERY_TIMEOUT_S = 30.0
_PR_SET_PDEATHSIG = 1


class Semantics:
    """The questions that can be asked of one machine's RAM. Every answer is a JSON object."""

    def __init__(self, ram: GuestRam, page_map_path: Path) -> None:
        self._ram = ram
        self._page_map_path = page_map_path
        self._loaded: KernelSymbols | None = None
        self._reader: VolatilityAdapter | None = None

    @property
    def _kernel(self) -> KernelSymbols:
        # A guest may have rebooted into another kernel, or the same at another place.
        if self._loaded is None or not self._loaded.is_current():
            from .symbols import KernelSymbols

            self._loaded, self._reader = KernelSymbols.load(self._ram), None
        return self._loaded

    @property
    def _adapter(self) -> VolatilityAdapter:
        """Volatility, about to read everything anew."""
        kernel = self._kernel
        if self._reader is None:
            from .volatility_adapter import VolatilityAdapter

            self._reader = VolatilityAdapter(self._ram, kernel)
        self._reader.refresh()
        return self._reader

    @cached_property
    def _page_map_file(self) -> PageMapFile:
        from .page_map import PageMapFile

        return PageMapFile.create(self._page_map_path, self._ram.page_count)

    def kernel(self) -> dict[str, Any]:
        """Release, build id and KASLR offset of the kernel."""
        return {
            "release": self._kernel.release,
            "build_id": self._kernel.build_id,
            "kaslr_offset": self._kernel.kaslr_offset,
        }

    def ps(self) -> dict[str, Any]:
        """Every thread group."""
        adapter = self._adapter
        return _rows(adapter.processes(), adapter)

    def maps(self, pid: int) -> dict[str, Any]:
        """The virtual memory areas of process `pid`."""
        adapter = self._adapter
        return _rows(adapter.mappings(pid), adapter)

    def modules(self) -> dict[str, Any]:
        """The loaded kernel modules."""
        adapter = self._adapter
        return _rows(adapter.modules(), adapter)

    def sym(self, wanted: str) -> dict[str, Any]:
        """The kernel symbols called `wanted`, or the one that covers address `wanted`."""
        return {"rows": [to_json(symbol) for symbol in self._kernel.lookup(wanted)]}

    def page_map(self, grade: str) -> dict[str, Any]:
        """Classify every page and publish the result; returns what `PageMapFile.read` needs."""
        from .classify import AddressSpace, classify, owner_of
        from .paging import PageTables

        adapter, kernel = self._adapter, self._kernel
        tables = kernel.page_tables
        spaces = [
            AddressSpace(
                owner_of(process.pid, process.name),
                PageTables(self._ram, PhysicalAddress(process.page_table), tables.levels),
                adapter.mappings(process.pid),
            )
            for process in adapter.processes()
            if process.page_table is not None
        ]
        page_map = classify(self._ram, tables, kernel.sections(), spaces, Grade(grade))
        page_map = dataclasses.replace(page_map, skipped=(*page_map.skipped, *adapter.skipped))
        return self._page_map_file.publish(page_map)


def _rows(records: Iterable[Any], adapter: VolatilityAdapter) -> dict[str, Any]:
    # The rows come first: only then is it known what was skipped.
    rows = [to_json(record) for record in records]
    return {"rows": rows, "skipped": list(adapter.skipped)}


_semantics: Semantics | None = None


def _start_worker(ram_path: Path, layout: RamLayout, page_map_path: Path) -> None:
    # In the worker: end with the daemon, and leave Ctrl-C to it.
    global _semantics
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from .ram import GuestRam

    _semantics = Semantics(GuestRam(ram_path, layout), page_map_path)


def _answer(question: str, arguments: dict[str, Any]) -> tuple[dict[str, Any], float]:
    # In the worker: what Volatility or a hostile guest throws becomes an error that travels.
    assert _semantics is not None
    started = time.perf_counter()
    ask: Callable[..., dict[str, Any]] = getattr(_semantics, question)
    try:
        return ask(**arguments), time.perf_counter() - started
    except (GuestError, MachineError, UsageError):
        raise
    except Exception as error:
        logger.exception("%s failed", question)
        raise GuestError(
            f"guest RAM cannot be understood ({type(error).__name__}: {error}); pause the machine and ask again"
        ) from None


class SemanticWorker:
    """Asks the worker process, and replaces it when it hangs, dies or its guest has rebooted."""

    def __init__(self, ram_path: Path, layout: RamLayout, page_map_path: Path) -> None:
        self._arguments = (ram_path, layout, page_map_path)
        self._pool: ProcessPoolExecutor | None = None
        self._turn = asyncio.Lock()

    async def ask(self, question: str, timeout_s: float = QUERY_TIMEOUT_S, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON values
        """The answer to `question`, with ``elapsed_s`` in the worker; `MachineError` after `timeout_s`."""
        async with self._turn:
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
        return answer | {"elapsed_s": elapsed_s}

    def restart(self) -> None:
        """End the worker; the next question starts a new one, which knows nothing of the old guest."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)
