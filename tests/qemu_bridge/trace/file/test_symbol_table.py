"""The section of symbols, packed and read back."""

import pytest

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.file.format import Section
from qemu_bridge.trace.file.symbol_table import MOST_SYMBOLS, SymbolTable, pack_symbols

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


def packed(count, steps, names):
    return count.to_bytes(8, "little") + b"".join(step.to_bytes(8, "little") for step in steps) + names


@pytest.mark.parametrize(
    "damage",
    [
        *(b"", b"\xff" * 8, b"\x02" + bytes(7 + 16) + b"one"),
        *(packed(0, (), b"\n" * 1000), packed(0, (), b"one"), packed(1, (5,), b"one\ntwo")),
        packed(2, (5, (1 << 64) - 2), b"one\ntwo"),
        packed(MOST_SYMBOLS + 1, (), bytes(8) * (MOST_SYMBOLS + 1) + b"\n" * MOST_SYMBOLS),
    ],
)
def test_damaged_bytes_name_nothing_wrong(damage):
    with pytest.raises(TraceError, match="table of symbols is damaged"):
        SymbolTable(damage)


def test_a_table_without_symbols_names_nothing():
    assert SymbolTable(bytes(pack_symbols([]).raw)).name(KERNEL) == ""


def test_a_name_costs_no_more_where_symbols_share_an_address():
    """Half a million nameless ones at one address: a look at each of them would take minutes."""
    count = 1 << 19
    table = SymbolTable(packed(count, (KERNEL, *[0] * (count - 1)), b"\n" * (count - 1) + b"last"))
    assert {table.name(KERNEL + offset) for offset in range(5000)} >= {"last", "last+0x1387"}
