"""Symbols of modules: every line of the guest's own kallsyms, and modules that lie about their tables."""

from __future__ import annotations

import collections
import random
import struct

import pytest
from memory_samples import KERNEL_DATA as DATA
from memory_samples import BtfWriter, Memory, small_kernel

from qemu_bridge.kernel.budget import Budget, OutOfBudgetError
from qemu_bridge.kernel.modules import GuestSymbols, ModuleReader, loaded_modules
from qemu_bridge.kernel.objects import KernelObjects
from qemu_bridge.kernel.symbols import KernelSymbols

WORD = 2
SYMBOLS = [("", 0), ("first", DATA + 0x800), ("second", DATA + 0x820), ("alias", DATA + 0x820), ("data", DATA + 0x900)]


def types(w: BtfWriter) -> None:
    """``struct module`` of release 6.1, as few fields as are read."""
    number, letters = w.integer("unsigned int", 4), w.array(1, 1, 56)
    link = w.aggregate("list_head_of_modules", 16, [("next", WORD, 0), ("prev", WORD, 64)])
    layout = [("base", WORD, 0), ("size", number, 64), ("text_size", number, 96)]
    layout_type = w.aggregate("module_layout", 16, layout)
    names = [("symtab", WORD, 0), ("num_symtab", number, 64), ("strtab", WORD, 128), ("typetab", WORD, 192)]
    kallsyms = w.pointer(w.aggregate("mod_kallsyms", 32, names))
    fields = [("state", number, 0), ("list", link, 64), ("name", letters, 192), ("core_layout", layout_type, 640)]
    fields += [("init_layout", layout_type, 768), ("kallsyms", kallsyms, 896)]
    w.aggregate("module", 128, fields)


def module_bytes(**changes: int) -> bytes:
    """A list of one module at DATA + 0x100, its tables behind, its text at DATA + 0x800 and data at DATA + 0x900."""
    facts = {
        "state": 0,
        "base": DATA + 0x800,
        "size": 0x200,
        "text": 0x100,
        "count": len(SYMBOLS),
        "kallsyms": DATA + 0x200,
    }
    facts |= {"symtab": DATA + 0x300, "strtab": DATA + 0x400, "typetab": DATA + 0x480, "next": DATA} | changes
    data = bytearray(0x1000)
    struct.pack_into("<QQ", data, 0, DATA + 0x108, DATA + 0x108)
    struct.pack_into("<Q", data, 0x100, facts["state"])
    struct.pack_into("<QQ", data, 0x108, facts["next"], DATA)
    data[0x118:0x11C] = b"thin"
    struct.pack_into("<QII", data, 0x150, facts["base"], facts["size"], facts["text"])
    struct.pack_into("<Q", data, 0x170, facts["kallsyms"])
    struct.pack_into("<QQQQ", data, 0x200, facts["symtab"], facts["count"], facts["strtab"], facts["typetab"])
    strings = b""
    for row, (name, value) in enumerate(SYMBOLS):
        struct.pack_into("<IBBHQQ", data, 0x300 + 24 * row, len(strings), 0, 0, 1, value, 0)
        strings += name.encode() + b"\0"
    data[0x400 : 0x400 + len(strings)] = strings
    data[0x480:0x485] = b"nTtTd"
    return bytes(data)


@pytest.fixture
def symbol_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GLASSBOX_SYMBOL_CACHE", str(tmp_path / "symbols"))


def open_space(tmp_path, data: bytes) -> KernelObjects:
    memory = Memory(tmp_path)
    small_kernel(memory, data=data, structs=types, symbols=[("Dmodules", DATA)])
    ram = memory.open()
    space = KernelObjects(ram, KernelSymbols.load(ram))
    space.budget = Budget()
    return space


def test_symbols_of_a_module_are_found_by_name_and_by_address(tmp_path, symbol_cache):
    space = open_space(tmp_path, module_bytes())
    symbols = GuestSymbols(space.kernel, ModuleReader(space).read())
    assert space.budget.complete
    (found,) = symbols.lookup("second")
    assert (found.name, found.address, found.symbol_type, found.module) == ("second", DATA + 0x820, "t", "thin")
    assert symbols.lookup("start")[0].module == "" and symbols.lookup("") == [] and symbols.lookup("third") == []
    assert symbols.lookup(hex(DATA + 0x824))[0].offset == 4
    assert symbols.describe(DATA + 0x824) == "second+0x4/0xe0 [thin]", "of several the first; text ends before data"
    assert symbols.describe(DATA + 0x904) == "data+0x4/0x100 [thin]"
    assert symbols.end_of(found) == DATA + 0x900
    assert symbols.at(DATA + 0xA00).module == "" if symbols.at(DATA + 0xA00) else True
    assert symbols.names("s", 10) == ["start", "second"] and symbols.names("s", 1) == ["start"]


@pytest.mark.parametrize(
    "lie",
    [
        {"count": 1 << 31}, {"count": 5000}, {"symtab": 8}, {"strtab": 0}, {"typetab": 1 << 63}, {"kallsyms": 1},
        {"next": DATA + 0x108}, {"next": 0}, {"base": (1 << 64) - 0x180}, {"size": 0xFFFFFFFF}, {"base": 0}, {"text": 0xFFFFFFFF},
    ],
)  # fmt: skip
def test_a_module_that_lies_is_passed_over_or_cut(tmp_path, symbol_cache, lie):
    space = open_space(tmp_path, module_bytes(**lie))
    symbols = GuestSymbols(space.kernel, ModuleReader(space).read())
    assert len(symbols.modules) <= 1 and symbols.lookup("start")
    for address in (DATA + 0x820, 0, (1 << 64) - 1):
        symbols.describe(address)
    if not {"size", "base", "text"} & lie.keys():
        assert not symbols.modules or space.budget.skipped


def test_names_without_an_end_are_cut(tmp_path, symbol_cache):
    data = bytearray(module_bytes(strtab=DATA + 0xA00))
    data[0xA00:] = b"x" * 0x600
    space = open_space(tmp_path, bytes(data))
    (module,) = ModuleReader(space).read()
    assert len(module.table) == len(SYMBOLS) and all(len(symbol.name) == 512 for symbol in module.table)


def test_symbols_cost_their_number(tmp_path, symbol_cache):
    space = open_space(tmp_path, module_bytes())
    space.budget = Budget(items=3)
    with pytest.raises(OutOfBudgetError):
        ModuleReader(space).read()


def test_a_module_that_is_only_being_read_in_is_left_out(tmp_path, symbol_cache):
    assert list(loaded_modules(open_space(tmp_path, module_bytes(state=3)))) == []


@pytest.mark.guest
@pytest.mark.usefixtures("with_modules")
def test_every_symbol_of_every_module_is_the_guests_own(each_machine):
    theirs = collections.Counter()
    for line in each_machine.exec("grep -F [ /proc/kallsyms").decode().splitlines():
        address, letter, name, *module = line.split()
        # Code made at run time stands there too, as if it were of modules.
        if module and not module[0].startswith(("[bpf", "[__builtin")):
            theirs[module[0], int(address, 16), letter, name] += 1
    each_machine.context.forget()
    symbols = each_machine.context.symbols
    ours = collections.Counter(
        (f"[{module.name}]", symbol.address, symbol.symbol_type, symbol.name)
        for module in symbols.modules
        for symbol in module.table
    )
    assert sum(ours.values()) > 300 and len({module for module, *_ in ours}) == 4
    assert ours == theirs


@pytest.mark.guest
@pytest.mark.usefixtures("with_modules")
def test_an_address_leads_to_its_symbol_and_back(each_machine):
    each_machine.context.forget()
    symbols = each_machine.context.symbols
    rows = [symbol for module in symbols.modules for symbol in module.table if symbols.module_of(symbol.address)]
    for symbol in random.Random(1).sample(rows, 100):
        found = symbols.at(symbol.address)
        assert found.address == symbol.address and found.offset == 0
        assert symbols.end_of(symbol) >= symbol.address
        names = {other.name for other in rows if other.address == symbol.address}
        assert symbols.lookup(hex(symbol.address))[0].name in names
        assert any(other.address == symbol.address for other in symbols.lookup(symbol.name))
