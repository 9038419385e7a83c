"""Names for a trace, which holds addresses only: `Naming`, and those that a machine or a symbol file gives.

Names are known now and the trace is of then: page tables and the memory of modules are used again, and a guest boots again.
So a recording notes which processes and modules there were and which kernel (`file.guest_note`), and `Naming.during` leaves
out every name that another process or module, or another boot, may have had then.

>>> naming = naming_of_file(Path("System.map"))
>>> naming.symbol(0xFFFFFFFF81000021)
'schedule+0x1'
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import GlassBoxError, UsageError
from ...memory.addresses import PAGE_SIZE, RamOffset
from ..file.guest_note import Guest, GuestNote, identity_of, read_note

if TYPE_CHECKING:
    from ...kernel.modules import GuestSymbols, ModuleSymbols
    from ...kernel.symbols import KallsymsTable, KernelSymbols
    from ...memory.ram import GuestRam
    from ...wire.records import Answer, Place, Process

logger = logging.getLogger(__name__)

MOST_BYTES = 64 << 20
"""Of a symbol file; a kernel's has about 10 MB."""


def _no_name(number: int) -> str:
    return ""


def _no_file(ram_offset: int, code: bytes) -> str:
    return ""


def _no_process(pid: int) -> int:
    raise UsageError(
        f"no process {pid} is known that was there when the recording began; name the running machine with --symbols"
    )


class ReadableGuest(Guest, Protocol):
    """A guest whose RAM can be read."""

    @property
    def ram(self) -> GuestRam:
        """Its RAM."""

    def identify(self, place: str, /) -> Answer[Place]:
        """What is known of a byte."""


@dataclass(frozen=True, slots=True)
class Naming:
    """What the caller knows and a trace does not: names of code and of processes. The default knows none.

    Attributes:
        symbol: name of the code at a linear address, such as ``schedule+0x1c``; empty if it has none.
        process: ``PID NAME`` of the process with a page-table root (CR3); empty if none that is known has it.
        root: page-table root of a process, by pid; raises `UsageError` if it is not known.
        file: place of user code in its file, such as ``busybox+0x4f31c``, by the code's offset in the RAM file and its bytes; empty if
            it is in no file, or other bytes are there now. The pages of a file stay when its process has ended.
        narrowed: the same without the names that were not true when a guest was as noted; None: without a note.
    """

    symbol: Callable[[int], str] = _no_name
    process: Callable[[int], str] = _no_name
    root: Callable[[int], int] = _no_process
    file: Callable[[int, bytes], str] = _no_file
    narrowed: Callable[[GuestNote | None], Naming] | None = None

    def during(self, about: Mapping[str, Any]) -> Naming:
        """The names that were true during the trace whose header says `about`."""
        return self if self.narrowed is None else self.narrowed(read_note(about))


def naming_of(
    symbols: KallsymsTable | GuestSymbols | None, processes: Iterable[Process] = (), kernel: str = ""
) -> Naming:
    """The names in the symbols of a `kernel` (as in `GuestNote`) and its modules, and of its processes."""
    return _Names(symbols, tuple(processes), kernel).naming()


def naming_of_machine(guest: ReadableGuest, seen: Iterable[Process] = ()) -> Naming:
    """The names that a machine or a capture knows: of its kernel, its modules, its files in RAM and its processes.

    `seen` are processes that have ended since. A page-table root that several had is named by all of them.
    """
    from ...kernel.modules import GuestSymbols
    from ...kernel.symbols import KernelSymbols

    kernel = KernelSymbols.load(guest.ram)
    symbols = GuestSymbols(kernel, read_modules(guest.ram, kernel))
    processes = (*guest.ps().value, *seen)
    names = _Names(symbols, processes, identity_of(kernel), partial(_file_of, guest))
    return names.naming()


def _file_of(guest: ReadableGuest, ram_offset: int, code: bytes) -> str:
    offset = RamOffset(ram_offset)
    code = code[: PAGE_SIZE - ram_offset % PAGE_SIZE]
    try:
        if guest.ram.read_at(offset, len(code)) != code:
            return ""
        place = guest.identify(f"{guest.ram.layout.to_physical(offset):#x}").value
    except GlassBoxError as error:
        logger.debug("code at %#x stays nameless: %s", ram_offset, error)
        return ""
    if not place.file or place.file_offset is None:
        return ""
    return f"{place.file.rpartition('/')[2]}+{place.file_offset:#x}"


def read_modules(ram: GuestRam, kernel: KernelSymbols) -> list[ModuleSymbols]:
    """The symbols of the modules in a kernel; none, with a warning in the log, if they cannot be read."""
    from ...kernel.budget import Budget, OutOfBudgetError
    from ...kernel.modules import ModuleReader
    from ...kernel.objects import KernelObjects

    try:
        space = KernelObjects(ram, kernel)
        space.budget = Budget()
        return ModuleReader(space).read()
    except (GlassBoxError, OutOfBudgetError) as error:
        logger.warning("modules stay nameless: %s", error)
        return []


def naming_of_trace(path: Path) -> Naming:
    """The names of kernel code that the trace at `path` has itself; none if it has none, or is no trace."""
    from ..file.reader import TraceReader

    try:
        with TraceReader(path) as trace:
            table = trace.symbols
    except GlassBoxError as error:
        logger.debug("%s has no symbols: %s", path, error)
        table = None
    return Naming() if table is None else Naming(table.name)


def naming_of_file(path: Path) -> Naming:
    """The names in a symbol file, as `read_symbols` reads it."""
    return naming_of(read_symbols(path))


class _Names:
    def __init__(
        self,
        symbols: KallsymsTable | GuestSymbols | None,
        processes: tuple[Process, ...],
        kernel: str,
        file: Callable[[int, bytes], str] = _no_file,
    ) -> None:
        self._symbols, self._kernel, self._living, self._file = symbols, kernel, processes, file
        self._processes: dict[int, dict[str, int]] = {}
        for process in processes:
            if process.page_table is not None:
                self._processes.setdefault(process.page_table, {})[f"{process.pid} {process.name}"] = process.pid
        self._lowest = 0
        if symbols is not None:
            # Below the kernel's text kallsyms has only what counts from 0: per-CPU offsets and constants.
            found = symbols.lookup("_stext") or symbols.lookup("_text")
            self._lowest = min((int(symbol.address) for symbol in found), default=0)

    def naming(self) -> Naming:
        return Naming(self.symbol, self.process, self.root, self._file, self.narrowed)

    def narrowed(self, note: GuestNote | None) -> Naming:
        if note is not None and self._kernel and note.kernel != self._kernel:
            logger.warning("the guest has booted again since the recording; its names are left out")
            return Naming()
        then, modules = (set(note.processes), set(note.modules)) if note is not None else (set(), set())
        processes = tuple(process for process in self._living if (process.page_table, process.pid) in then)
        return _Names(_only_modules(self._symbols, modules), processes, self._kernel, self._file).naming()

    def symbol(self, address: int) -> str:
        from ...memory.addresses import VirtualAddress

        if self._symbols is None or address < self._lowest:
            return ""
        found = self._symbols.at(VirtualAddress(address))
        return "" if found is None or not found.name else found.name + (f"+{found.offset:#x}" if found.offset else "")

    def process(self, root: int) -> str:
        return ", ".join(self._processes.get(root, ()))

    def root(self, pid: int) -> int:
        return next((root for root, found in self._processes.items() if pid in found.values()), None) or _no_process(
            pid
        )


def _only_modules(
    symbols: KallsymsTable | GuestSymbols | None, wanted: set[tuple[str, int]]
) -> KallsymsTable | GuestSymbols | None:
    from ...kernel.modules import GuestSymbols

    if not isinstance(symbols, GuestSymbols):
        return symbols
    return GuestSymbols(symbols.kernel, [row for row in symbols.modules if (row.name, row.parts[0][0]) in wanted])


def read_symbols(path: Path) -> KallsymsTable:
    """Symbols of a file like System.map or /proc/kallsyms, lines ``ADDRESS TYPE NAME``; other lines are skipped.

    `UsageError` if the file cannot be read or holds no symbols.
    """
    # What knows no symbols need not load what reads them out of a kernel.
    import numpy as np

    from ...kernel.symbols import KallsymsTable

    try:
        with open(path, "rb") as file:
            lines = file.read(MOST_BYTES).splitlines()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); give a symbol file or a machine") from None
    found = [symbol for symbol in map(_parse_symbol, lines) if symbol is not None]
    if not found:
        raise UsageError(f"{path} holds no symbols; give a System.map or a running machine")
    found.sort(key=lambda symbol: symbol[0])
    entries = [entry for _, entry in found]
    ends = np.cumsum([len(entry) for entry in entries], dtype=np.int64)
    addresses = np.array([address for address, _ in found], np.uint64)
    return KallsymsTable(addresses, np.concatenate(([0], ends[:-1])), b"".join(entries))


def _parse_symbol(line: bytes) -> tuple[int, bytes] | None:
    """Address and table entry of a line; None if it is not a symbol."""
    words = line.split()
    if len(words) < 3 or len(words[1]) != 1 or not 0 < len(words[0]) <= 16:
        return None
    try:
        return int(words[0], 16), b"\n" + words[1] + words[2]
    except ValueError:
        return None
