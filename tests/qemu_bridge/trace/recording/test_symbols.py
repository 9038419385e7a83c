"""The symbols in a trace are those of the guest's own /proc/kallsyms."""

import numpy as np
import pytest
from support import recording

from qemu_bridge.errors import GuestError
from qemu_bridge.kernel.modules import ModuleSymbols, _decode
from qemu_bridge.kernel.symbols.kallsyms import KallsymsTable, make_table
from qemu_bridge.trace.file.reader import TraceReader
from qemu_bridge.trace.file.symbol_table import SymbolTable, pack_symbols
from qemu_bridge.trace.recording.symbols import _rows, note_symbols

KERNEL = 0xFFFFFFFF81000000


def test_a_machine_without_ram_has_no_symbols():
    assert note_symbols(object()) == ()


def lying_module(letter=0x74, address=KERNEL + 0x9000):
    """Its second symbol has this letter, address and an end of line in its name."""
    symbols = np.zeros(
        2, [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
    )
    symbols["name"], symbols["value"] = (1, 5), (KERNEL + 0x8000, address)
    table = _decode(symbols, bytes((0x74, letter)), b"\0one\0tw\no\0", {("tw?o", address)})
    return ModuleSymbols("liar", 0, ((KERNEL + 0x8000, 0x2000),), table)


@pytest.mark.parametrize("letter", [0x0A, 0, 0xDF, 0xFF, 0x74])
@pytest.mark.parametrize("address", [KERNEL + 0x9000, (1 << 64) - 1])
def test_a_module_that_lies_neither_stops_a_recording_nor_hides_others(letter, address):
    kernel = make_table(["Tstart", "Tend"], [KERNEL, (1 << 64) - 1])
    table = SymbolTable(bytes(pack_symbols(_rows(kernel, [lying_module(letter, address)])).raw))
    assert (table.name(KERNEL + 1), table.name(KERNEL + 0x8001)) == ("start+0x1", "one+0x1")
    assert table.name(address) == ("tw?o" if address < (1 << 64) - 1 else "end")


def test_a_module_whose_table_contradicts_itself_is_left_out():
    broken = KallsymsTable(np.array([KERNEL + 0x8000], np.uint64), np.array([0]), b"\nTone\nTtwo")
    modules = [ModuleSymbols("broken", 0, (), broken), lying_module()]
    rows = _rows(make_table(["Tstart"], [KERNEL]), modules)
    assert [name for _, name in rows if name] == ["start", "one", "tw?o"]
    with pytest.raises(GuestError):
        _rows(broken, [])


@pytest.mark.guest
@pytest.mark.long
def test_symbols_in_a_trace_are_those_of_the_guest(machine, tmp_path):
    path = tmp_path / "some.gbt"
    with recording(machine, path, "--insns", "100000"):
        machine.exec("true")
    with TraceReader(path) as trace:
        table = trace.symbols
    told = {}
    for address, kind, name, *_ in machine.kallsyms():
        if kind in "tT" and int(address, 16) >> 63:
            told.setdefault(int(address, 16), []).append(name)
    assert len(told) > 30_000
    assert [hex(address) for address, names in told.items() if table.name(address) not in names] == []
