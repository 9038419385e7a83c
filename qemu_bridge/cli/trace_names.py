"""Names for a trace, which holds addresses only: from a running machine, or from a file such as System.map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..wire import connection

if TYPE_CHECKING:
    from ..kernel.symbols import KallsymsTable

MOST_BYTES = 64 << 20
"""Of a symbol file; a kernel's has about 10 MB."""


class Names:
    """What code at an address and a page-table root are called; without a source, nothing has a name."""

    def __init__(self, source: str | None = None) -> None:
        """`source`: a running machine, whose processes are known too, or a file of lines ``ADDRESS TYPE NAME``.

        `UsageError` if a file holds no symbols.
        """
        self._table: KallsymsTable | None = None
        self._lowest = 0
        self._processes: dict[int, tuple[int, str]] = {}
        if source is not None and Path(source).is_file():
            self._table = read_symbols(Path(source))
        elif source is not None:
            self._ask(source)
        if self._table is not None:
            # Below the kernel's text kallsyms has only what counts from 0: per-CPU offsets and constants.
            found = self._table.lookup("_stext") or self._table.lookup("_text")
            self._lowest = min((int(symbol.address) for symbol in found), default=0)

    def _ask(self, machine: str) -> None:
        from ..client import Client
        from ..kernel.symbols import KernelSymbols

        connection.prune()
        with Client.connect(machine) as client:
            self._table = KernelSymbols.load(client.ram).kallsyms
            for process in client.ps():
                if process.page_table is not None:
                    self._processes[process.page_table] = (process.pid, process.name)

    def symbol(self, address: int) -> str:
        """Name of the code at `address`, such as ``schedule+0x1c``; empty if it has none."""
        from ..memory.addresses import VirtualAddress

        if self._table is None or address < self._lowest:
            return ""
        found = self._table.at(VirtualAddress(address))
        return "" if found is None else found.name + (f"+{found.offset:#x}" if found.offset else "")

    def process(self, root: int) -> str:
        """``PID NAME`` of the process with this page-table root; empty if none that lives has it."""
        found = self._processes.get(root)
        return f"{found[0]} {found[1]}" if found else ""

    def root(self, pid: int) -> int:
        """Page-table root of process `pid`; `UsageError` if it is not known."""
        for root, (number, _) in self._processes.items():
            if number == pid:
                return root
        raise UsageError(f"no process {pid} with memory of its own is known; name the running machine with --symbols")


def read_symbols(path: Path) -> KallsymsTable:
    """Symbols of a file like System.map or /proc/kallsyms; lines of another kind are passed over."""
    import numpy as np

    from ..kernel.symbols import KallsymsTable

    try:
        with open(path, "rb") as file:
            lines = file.read(MOST_BYTES).splitlines()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); give a symbol file or a machine") from None
    found = []
    for line in lines:
        words = line.split()
        if len(words) >= 3 and len(words[1]) == 1 and 0 < len(words[0]) <= 16:
            try:
                found.append((int(words[0], 16), b"\n" + words[1] + words[2]))
            except ValueError:
                continue
    if not found:
        raise UsageError(f"{path} holds no symbols; give a System.map or a running machine")
    found.sort(key=lambda symbol: symbol[0])
    entries = [entry for _, entry in found]
    ends = np.cumsum([len(entry) for entry in entries], dtype=np.int64)
    addresses = np.array([address for address, _ in found], np.uint64)
    return KallsymsTable(addresses, np.concatenate(([0], ends[:-1])), b"".join(entries))
