"""Loaded kernel modules: where they are, and their symbols, so that the whole of ``/proc/kallsyms`` is known.

The list ``modules`` links a ``struct module`` each, the newest first (``kernel/module/main.c``). Its memory is a core and an
init part with text first, and since release 6.4 an array with a part for each use. Its ``kallsyms`` names an ELF symbol
table, its strings, and a letter for each symbol (``kernel/module/kallsyms.c``); addresses in it are final.

>>> symbols = GuestSymbols(kernel, ModuleReader(space).read())
>>> symbols.lookup("fat_scan")
[Symbol(name='fat_scan', address=18446744072637915856, symbol_type='t', offset=0, module='fat')]
>>> symbols.describe(0xffffffffc0207ae3)
'fat_scan+0x93/0xc0 [fat]'
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import AddressError, GlassBoxError, GuestError
from ..memory.addresses import PAGE_SIZE, VirtualAddress
from ..wire.records import Symbol
from .objects import KernelObjects, Object
from .symbols import KernelSymbols
from .symbols.kallsyms import KallsymsTable, make_table

MAX_MODULES = 1 << 12
MAX_SYMBOLS = 1 << 18
"""Of one module."""
MAX_NAME = 56
"""``MODULE_NAME_LEN``: the size of the name in ``struct module``."""
_MAX_SIZE = 1 << 30
_MAX_NAMES_BYTES = 8 << 20
_MOST_LIKE = 4000
"""Of one table, from which the best are chosen."""
_MAX_SYMBOL_NAME = 512
_UNFORMED = 3
_U64 = (1 << 64) - 1
_KERNEL_HALF = 1 << 63
_ELF_SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
_LETTERS = frozenset(range(0x21, 0x7F))
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,16}|\d{1,20}")


@dataclass(frozen=True)
class ModuleSymbols:
    """One module: its (base, size) `parts`, text first, and its symbols ascending by address."""

    name: str
    address: int
    parts: tuple[tuple[int, int], ...]
    table: KallsymsTable

    def part_of(self, address: int) -> tuple[int, int] | None:
        """The part that holds an address."""
        return next(((base, size) for base, size in self.parts if base <= address < base + size), None)

    def row_at(self, address: int) -> int | None:
        """Which symbol covers an address, the first of several; None before the first of its part, and outside."""
        part, addresses = self.part_of(address), self.table.addresses
        row = int(np.searchsorted(addresses, np.uint64(address), side="right")) - 1
        if part is None or row < 0 or int(addresses[row]) < part[0]:
            return None
        return int(np.searchsorted(addresses, addresses[row], side="left"))

    def end_of(self, address: int) -> int:
        """Where the symbol at or before an address ends: at the next one, or with its part."""
        part, addresses = self.part_of(address), self.table.addresses
        after = int(np.searchsorted(addresses, np.uint64(address), side="right"))
        ends = [int(addresses[after])] if after < len(addresses) else []
        ends += [part[0] + part[1]] if part else []
        return min(ends, default=address)


def loaded_modules(space: KernelObjects) -> Iterator[Object]:
    """Yield the ``struct module`` of every module, newest first; those that are only being read in are left out."""
    head = space.address_of("modules")
    if head and not space.has("module", "list"):
        space.budget.skip("modules cannot be read: this kernel has no type module with a member list")
    elif head:
        for module in space.linked(head, "module", "list", MAX_MODULES):
            try:
                if module["state"] != _UNFORMED:
                    yield module
            except GlassBoxError as error:
                space.budget.skip_unread("a module", error)


def module_name(module: Object) -> str:
    """What ``/proc/modules`` calls it."""
    return module.text("name")


def module_base(module: Object) -> int:
    """Where its text is; 0 for a module that has none."""
    if module.space.kernel.has("module_memory"):
        return module.elements("mem")[0]["base"]
    return module["core_layout.base"]


def module_parts(module: Object) -> tuple[tuple[int, int], ...]:
    """(base, size in bytes) of each piece of its memory that there is, that of its text first."""
    if module.space.kernel.has("module_memory"):
        found = [(part["base"], part["size"]) for part in module.elements("mem")]
    else:
        found = []
        for layout in ("core_layout", "init_layout"):
            base, size, text = (module[f"{layout}.{field}"] for field in ("base", "size", "text_size"))
            text = min(text, size)
            found += [(base, text), (base + text, size - text)]
    return tuple((base, size) for base, size in found if _KERNEL_HALF <= base <= _U64 - size and 0 < size <= _MAX_SIZE)


class ModuleReader:
    """Reads the symbols of all modules repeatedly; decodes again only what changed."""

    def __init__(self, space: KernelObjects) -> None:
        self._space = space
        self._decoded: dict[bytes, KallsymsTable] = {}

    def read(self) -> list[ModuleSymbols]:
        """Every module with its symbols, newest first; what cannot be read is noted in the budget of the space."""
        found = []
        kept: dict[bytes, KallsymsTable] = {}
        for module in loaded_modules(self._space):
            try:
                found.append(self._read(module, kept))
            except GlassBoxError as error:
                self._space.budget.skip_unread("the symbols of a module", error)
        self._decoded = kept
        return found

    def _read(self, module: Object, kept: dict[bytes, KallsymsTable]) -> ModuleSymbols:
        name, parts = module_name(module), module_parts(module)
        names = module.follow("kallsyms") if "kallsyms" in module else None
        count = 0 if names is None else names["num_symtab"]
        if names is None or not count:
            return ModuleSymbols(name, module.address, parts, make_table([], []))
        if count > MAX_SYMBOLS:
            raise GuestError(f"module {name[:MAX_NAME]} claims {count} symbols, which is implausible")
        self._space.budget.spend(count)
        raw = self._space.read(names["symtab"], count * _ELF_SYMBOL.itemsize)
        symbols = np.frombuffer(raw, _ELF_SYMBOL)
        letters = self._space.read(names["typetab"], count)
        text = _read_strings(self._space, names["strtab"], int(symbols["name"].max()))
        exported = _exports(module)
        digest = hashlib.blake2b(repr(sorted(exported)).encode(), digest_size=16)
        for part in (raw, letters, text):
            digest.update(part)
        key = digest.digest()
        table = self._decoded.get(key)
        kept[key] = _decode(symbols, letters, text, exported) if table is None else table
        return ModuleSymbols(name, module.address, parts, kept[key])


class GuestSymbols:
    """The symbols of the kernel image and of the modules loaded at one time."""

    def __init__(self, kernel: KernelSymbols, modules: Sequence[ModuleSymbols] = ()) -> None:
        self.kernel = kernel
        self.modules = tuple(modules)

    def lookup(self, wanted: str) -> list[Symbol]:
        """The symbols called `wanted`, or the one that covers address `wanted` (hexadecimal with 0x, or decimal)."""
        if _NUMBER.fullmatch(wanted):
            symbol = self.at(int(wanted, 0 if wanted[:2].lower() == "0x" else 10))
            return [] if symbol is None else [symbol]
        found = self.kernel.kallsyms.lookup(wanted)
        for module in self.modules:
            found += [msgspec.structs.replace(symbol, module=module.name) for symbol in module.table.lookup(wanted)]
        return found

    def matching(self, pattern: str, limit: int) -> list[Symbol]:
        """Symbols that match a pattern with wildcards (`qemu_bridge.host.wildcards`), the kernel's first, at most `limit`."""
        found = self.kernel.kallsyms.matching(pattern, limit)
        for module in self.modules:
            own = module.table.matching(pattern, limit - len(found))
            found += [msgspec.structs.replace(symbol, module=module.name) for symbol in own]
        return found

    def at(self, address: int) -> Symbol | None:
        """The symbol at or nearest below an address, of the module that is there or else of the image."""
        module = self.module_of(address)
        if module is None:
            return self.kernel.kallsyms.at(VirtualAddress(address))
        row = module.row_at(address)
        if row is None:
            return None
        symbol = module.table[row]
        return msgspec.structs.replace(symbol, offset=address - symbol.address, module=module.name)

    def module_of(self, address: int) -> ModuleSymbols | None:
        """The module whose memory holds an address."""
        return next((module for module in self.modules if module.part_of(address)), None)

    def end_of(self, symbol: Symbol) -> int:
        """Where a symbol of `lookup` ends: at the next one, at the end of its module's part, or of its page."""
        for module in self.modules:
            if module.name == symbol.module and module.part_of(symbol.address):
                return module.end_of(symbol.address)
        addresses = self.kernel.kallsyms.addresses
        after = int(np.searchsorted(addresses, np.uint64(symbol.address), side="right"))
        if not symbol.module and after < len(addresses):
            return int(addresses[after])
        return (symbol.address | PAGE_SIZE - 1) + 1

    def names(self, beginning: str, limit: int) -> list[str]:
        """Names that start with `beginning`, each once, at most `limit`."""
        names: dict[str, None] = {}
        for table in (self.kernel.kallsyms, *(module.table for module in self.modules)):
            for name in table.names(beginning, limit - len(names)):
                names[name] = None
        return list(names)[:limit]

    def find_like(self, part: str, limit: int) -> list[Symbol]:
        """Symbols whose names are like `part` (`qemu_bridge.kernel.symbols.kallsyms.name_patterns`), best first, at most `limit`."""
        found = self.kernel.kallsyms.find_like(part, _MOST_LIKE)
        for module in self.modules:
            found += [
                msgspec.structs.replace(each, module=module.name) for each in module.table.find_like(part, _MOST_LIKE)
            ]
        wanted = part.lower()

        def rank(symbol: Symbol) -> tuple[bool, bool, bool, bool, int, str]:
            name = symbol.name.lower()
            is_word = f"_{wanted}" in name
            return (name != wanted, not name.startswith(wanted), not is_word, wanted not in name, len(name), name)

        return sorted(found, key=rank)[:limit]

    def describe(self, address: int) -> str:
        """``fat_scan+0x93/0xc0 [fat]``: symbol, offset of the address, size of the symbol, as the kernel prints it."""
        symbol = self.at(address)
        if symbol is None:
            return f"{address:#x}"
        place = f"{symbol.name}+{symbol.offset:#x}/{self.end_of(symbol) - symbol.address:#x}"
        return f"{place} [{symbol.module}]" if symbol.module else place


def _read_strings(space: KernelObjects, start: int, last: int) -> bytes:
    """The table of strings whose last one begins at `last`, ended by a zero."""
    if last > _MAX_NAMES_BYTES:
        raise GuestError(f"a module's symbol names take {last} bytes, which is implausible")
    size = last + _MAX_SYMBOL_NAME
    try:
        return space.read(start, size) + b"\0"
    except AddressError:
        # Behind the last name the memory of the module may end.
        return space.read(start, max(last, size - (start + size) % PAGE_SIZE)) + b"\0"


def _exports(module: Object) -> set[tuple[str, int]]:
    """(name, address) of what it exports to all; ``/proc/kallsyms`` shows these in capitals (is_exported)."""
    space, count = module.space, module["num_syms"] if "num_syms" in module else 0
    size = space.size("kernel_symbol") if space.has("kernel_symbol") else 0
    if not 0 < count <= MAX_SYMBOLS or not size:
        return set()
    is_relative = space.has("kernel_symbol", "value_offset")
    found = set()
    for number in range(count):
        space.budget.spend()
        entry = space.at("kernel_symbol", module["syms"] + number * size)
        if is_relative:
            value, name = (entry.at(field) + entry[field] & _U64 for field in ("value_offset", "name_offset"))
        else:
            value, name = entry["value"], entry["name"]
        found.add((space.text(name, _MAX_SYMBOL_NAME), value))
    return found


def _decode(
    symbols: npt.NDArray[np.void], letters: bytes, text: bytes, exported: set[tuple[str, int]]
) -> KallsymsTable:
    """The symbols that have a name, a capital letter for those `exported`, a small one for the others (s_show)."""
    entries, addresses = [], []
    for start, value, letter in zip(symbols["name"].tolist(), symbols["value"].tolist(), letters, strict=True):
        name = text[start : start + _MAX_SYMBOL_NAME].partition(b"\0")[0].decode("latin-1").replace("\n", "?")
        if name:
            # A letter that no kernel has may be a line's end, or two letters as a capital.
            kind = chr(letter) if letter in _LETTERS else "?"
            entries.append((kind.upper() if (name, value) in exported else kind.lower()) + name)
            addresses.append(value)
    return make_table(entries, addresses)
