"""The symbols of the guest's kernel and modules, as a section of the trace: so its code has names wherever the file goes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ...errors import GlassBoxError
from ..analysis.naming import read_modules
from ..file.format import Content
from ..file.symbol_table import SymbolRow, pack_symbols

if TYPE_CHECKING:
    from ...kernel.modules import ModuleSymbols
    from ...kernel.symbols import KallsymsTable
    from ...memory.ram import GuestRam

logger = logging.getLogger(__name__)


def note_symbols(machine: object) -> tuple[Content, ...]:
    """The section for a trace's first frame, of the kernel that runs in `machine` now; nothing while none does."""
    # What records without a kernel need not load what reads it.
    from ...kernel.symbols import KernelSymbols

    try:
        ram: GuestRam | None = getattr(machine, "ram", None)
        if ram is None:
            return ()
        kernel = KernelSymbols.load(ram)
    except GlassBoxError as error:
        logger.debug("the trace gets no symbols: %s", error)
        return ()
    rows = _of_table(kernel.kallsyms)
    if rows:
        rows.append((rows[-1][0] + 1, ""))
    for module in read_modules(ram, kernel):
        rows += _of_module(module)
    return (pack_symbols(rows),)


def _of_table(table: KallsymsTable) -> list[SymbolRow]:
    """Without what counts from 0: per-CPU offsets and constants."""
    pairs = zip(table.addresses.tolist(), table.entries(), strict=True)
    return [(address, entry[1:]) for address, entry in pairs if address >> 63]


def _of_module(module: ModuleSymbols) -> list[SymbolRow]:
    """A module's symbols; nameless ones bound its parts, for what lies before and behind is not its own."""
    bounds = [(edge, "") for base, size in module.parts if size for edge in (base, base + size)]
    return [*_of_table(module.table), *bounds]
