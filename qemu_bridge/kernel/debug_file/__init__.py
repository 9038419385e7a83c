"""A file of symbols, types and call frames for debuggers, made from the kernel in RAM: what a debug package would bring.

>>> write_debug_file(Path("vmlinux"), KernelObjects(ram, kernel), symbols)

Everything stands where it is in the running guest, KASLR applied, modules included. What RAM does not have is not in it: source lines and
local variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...host.plain_file import output_file
from ..modules import GuestSymbols
from ..objects import KernelObjects
from ..orc import OrcTables
from ..symbols.btf_format import Kind
from ..symbols.isf import SYMBOL_TYPES
from ..symbols.kallsyms import KallsymsTable
from .elf import FUNCTION, OBJECT, ElfSymbol, Region, elf_file
from .frames import frame_section
from .types import cleaned, type_sections

__all__ = ["write_debug_file"]

_CODE = ("text", "init")
_MOST_SIZE = 1 << 24
_U64 = (1 << 64) - 1


def write_debug_file(path: Path, space: KernelObjects, symbols: GuestSymbols, *, force: bool = False) -> None:
    """Write the debug file of the kernel that `space` reads, with the modules of `symbols`, to `path`: the whole of it or nothing.

    `UsageError` where `path` exists, unless `force`; `NoTypesError` for a kernel without BTF; `HostError` where it cannot be written.
    """
    named = [*_named(symbols.kernel.kallsyms, symbols.kernel.per_cpu_symbols, ())]
    for module in symbols.modules:
        named += _named(module.table, range(0), module.parts)
    functions, objects = (
        {s.name.decode("latin-1"): s for s in reversed(named) if s.kind == kind} for kind in (FUNCTION, OBJECT)
    )
    types = type_sections(
        space.btf,
        {name: (symbol.address, symbol.size) for name, symbol in functions.items()},
        {name: (objects[name].address, declared) for name, declared in _variables(space) if name in objects},
    )
    sections = {
        ".debug_info": types.info,
        ".debug_abbrev": types.abbreviations,
        ".debug_str": types.strings,
        ".debug_frame": frame_section(OrcTables(space, symbols.modules)),
    }
    with output_file(path, force=force) as file:
        file.writelines(elf_file(list(_regions(symbols)), named, sections))


def _variables(space: KernelObjects) -> Iterator[tuple[str, str | int]]:
    """Names and types of global variables: those of which BTF or we know them."""
    btf = space.btf
    yield from ((btf.name(number), btf.target(number)) for number in btf.ids(Kind.VAR))
    yield from SYMBOL_TYPES.items()


def _named(table: KallsymsTable, left_out: range, parts: tuple[tuple[int, int], ...]) -> Iterator[ElfSymbol]:
    """The symbols of a table, ascending; each ends where the next one begins, or with its part. Per-CPU ones are no addresses."""
    ends = [base + size for base, size in parts]
    # Several symbols of one address end alike.
    following = np.searchsorted(table.addresses, table.addresses, side="right")
    later = np.append(table.addresses, np.uint64(_U64))[following]
    for address, after, entry in zip(table.addresses.tolist(), later.tolist(), table.entries(), strict=True):
        if address in left_out or not address >> 63:
            continue
        end = min([after, *(each for each in ends if each > address)], default=address)
        size = end - address if 0 < end - address < _MOST_SIZE else 0
        kind = FUNCTION if entry[0] in "tTwW" else OBJECT
        name = cleaned(entry[1:].encode("latin-1", "replace"))
        yield ElfSymbol(name, address, size, kind, entry[0].isupper())


def _regions(symbols: GuestSymbols) -> Iterator[Region]:
    for section in symbols.kernel.sections():
        yield Region(f".{section.name}", section.start, section.end - section.start, section.name in _CODE)
    for module in symbols.modules:
        for number, (base, size) in enumerate(module.parts):
            name = cleaned(module.name.encode("latin-1", "replace")).decode()
            yield Region(f".{name}.{number}", base, size, number == 0)
