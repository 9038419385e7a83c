"""Names for a trace, which holds addresses only: `Naming`, and the one that a symbol file gives.

>>> naming = naming_of_file(Path("System.map"))
>>> naming.symbol(0xFFFFFFFF81000021)
'schedule+0x1'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError

if TYPE_CHECKING:
    from ...kernel.symbols import KallsymsTable
    from ...wire.records import Process

MOST_BYTES = 64 << 20
"""Of a symbol file; a kernel's has about 10 MB."""


def _no_name(number: int) -> str:
    return ""


def _no_process(pid: int) -> int:
    raise UsageError(f"no process {pid} with memory of its own is known; name the running machine with --symbols")


@dataclass(frozen=True, slots=True)
class Naming:
    """What the caller knows and a trace does not: names of code and of processes. The default knows none.

    Attributes:
        symbol: name of the code at a linear address, such as ``schedule+0x1c``; empty if it has none.
        process: ``PID NAME`` of the process with a page-table root (CR3); empty if none that lives has it.
        root: page-table root of a process, by pid; raises `UsageError` if it is not known.
    """

    symbol: Callable[[int], str] = _no_name
    process: Callable[[int], str] = _no_name
    root: Callable[[int], int] = _no_process


def naming_of(table: KallsymsTable | None, processes: Iterable[Process] = ()) -> Naming:
    """The names in a kernel's symbol table and of its processes."""
    names = _Names(table, processes)
    return Naming(names.symbol, names.process, names.root)


def naming_of_file(path: Path) -> Naming:
    """The names in a symbol file, as `read_symbols` reads it."""
    return naming_of(read_symbols(path))


class _Names:
    def __init__(self, table: KallsymsTable | None, processes: Iterable[Process]) -> None:
        self._table = table
        self._processes = {
            process.page_table: (process.pid, process.name) for process in processes if process.page_table is not None
        }
        self._lowest = 0
        if table is not None:
            # Below the kernel's text kallsyms has only what counts from 0: per-CPU offsets and constants.
            found = table.lookup("_stext") or table.lookup("_text")
            self._lowest = min((int(symbol.address) for symbol in found), default=0)

    def symbol(self, address: int) -> str:
        from ...memory.addresses import VirtualAddress

        if self._table is None or address < self._lowest:
            return ""
        found = self._table.at(VirtualAddress(address))
        return "" if found is None else found.name + (f"+{found.offset:#x}" if found.offset else "")

    def process(self, root: int) -> str:
        found = self._processes.get(root)
        return f"{found[0]} {found[1]}" if found else ""

    def root(self, pid: int) -> int:
        return next((root for root, (number, _) in self._processes.items() if number == pid), None) or _no_process(pid)


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
