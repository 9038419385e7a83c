"""The symbols of the guest's kernel and modules, as a section of the trace: so its code has names wherever the file goes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...errors import GlassBoxError, GuestError
from ..analysis.naming import read_modules
from ..file.format import Content
from ..file.symbol_table import MOST_SYMBOL_BYTES, MOST_SYMBOLS, SymbolRow, pack_symbols

if TYPE_CHECKING:
    from ...kernel.modules import ModuleSymbols
    from ...kernel.symbols import KallsymsTable
    from ...memory.ram import GuestRam

logger = logging.getLogger(__name__)

_LAST_ADDRESS = (1 << 64) - 1


def note_symbols(machine: object) -> tuple[Content, ...]:
    """The section for a trace's first frame, of the kernel that runs in `machine` now; nothing while none does."""
    # What records without a kernel need not load what reads it.
    from ...kernel.symbols import KernelSymbols

    try:
        ram: GuestRam | None = getattr(machine, "ram", None)
        if ram is None:
            return ()
        kernel = KernelSymbols.load(ram)
        return (pack_symbols(_rows(kernel.kallsyms, read_modules(ram, kernel))),)
    except GlassBoxError as error:
        logger.debug("the trace gets no symbols: %s", error)
        return ()


def _rows(kernel: KallsymsTable, modules: Iterable[ModuleSymbols]) -> list[SymbolRow]:
    """As many as a reader takes, the kernel's first; a module whose table contradicts itself has none.

    `GuestError` if the kernel's own contradicts itself or has too many.
    """
    rows = _of_table(kernel)
    if rows:
        rows.append((rows[-1][0] + 1, ""))
    size = _size(rows)
    if len(rows) > MOST_SYMBOLS or size > MOST_SYMBOL_BYTES:
        raise GuestError(f"the kernel has {len(rows)} symbols, which is implausible")
    for module in modules:
        try:
            more = _of_module(module)
        except GuestError as error:
            logger.warning("a module of the trace stays nameless: %s", error)
            continue
        size += _size(more)
        if len(rows) + len(more) > MOST_SYMBOLS or size > MOST_SYMBOL_BYTES:
            logger.warning("the guest's modules have more symbols than a trace takes; the rest stay nameless")
            break
        rows += more
    return [row for row in rows if row[0] <= _LAST_ADDRESS]


def _size(rows: list[SymbolRow]) -> int:
    # A letter takes two bytes at most; a row, its address and a line's end.
    return 16 + sum(9 + 2 * len(name) for _, name in rows)


def _of_table(table: KallsymsTable) -> list[SymbolRow]:
    """Without what counts from 0: per-CPU offsets and constants. `GuestError` if names and addresses are not as many."""
    entries = table.entries()
    if len(entries) != len(table):
        raise GuestError(f"a table of {len(table)} symbols has {len(entries)} names")
    return [
        (address, entry[1:]) for address, entry in zip(table.addresses.tolist(), entries, strict=True) if address >> 63
    ]


def _of_module(module: ModuleSymbols) -> list[SymbolRow]:
    """A module's symbols; nameless ones bound its parts, for what lies before and behind is not its own."""
    bounds = [(edge, "") for base, size in module.parts if size for edge in (base, base + size)]
    return [*_of_table(module.table), *bounds]
