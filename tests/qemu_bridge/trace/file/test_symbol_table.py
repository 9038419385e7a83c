"""The section of symbols, packed and read back."""

import pytest

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.file.format import Section
from qemu_bridge.trace.file.symbol_table import SymbolTable, pack_symbols

KERNEL = 0xFFFFFFFF81000000
ROWS = [
    (KERNEL, "_text"),
    (KERNEL, "start"),
    (KERNEL + 0x40, "two"),
    (KERNEL + 0x80, ""),
    (KERNEL + 0x100, ""),
    (KERNEL + 0x100, "three"),
]


def test_names_cover_what_lies_up_to_the_next():
    content = pack_symbols(reversed(ROWS))
    table = SymbolTable(bytes(content.raw))
    assert content.kind is Section.SYMBOLS and content.items == len(table) == len(ROWS)
    places = {
        0: "start",
        0x3F: "start+0x3f",
        0x40: "two",
        0x7F: "two+0x3f",
        0x80: "",
        0xFF: "",
        0x100: "three",
        0x1100: "three+0x1000",
    }
    assert {offset: table.name(KERNEL + offset) for offset in places} == places
    assert table.name(KERNEL - 1) == table.name(0) == ""


@pytest.mark.parametrize("damage", [b"", b"\xff" * 8, b"\x02" + bytes(7 + 16) + b"one"])
def test_damaged_bytes_name_nothing_wrong(damage):
    with pytest.raises(TraceError, match="table of symbols is damaged"):
        SymbolTable(damage)
