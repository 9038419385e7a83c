"""Fields of structures: offset, size, sign and target, as a BTF section states them."""

import pytest
from memory_samples import BtfWriter

from qemu_bridge.errors import NoTypesError
from qemu_bridge.kernel.fields import Field, FieldTable
from qemu_bridge.kernel.symbols.btf import parse_btf

SIGNED = 1


@pytest.fixture
def table():
    w = BtfWriter()
    integer, word = w.integer("int", 4, SIGNED), w.integer("long", 8)
    pair = w.aggregate("pair", 16, [("first", word, 0), ("second", word, 64)])
    members = [("number", integer, 0), ("pairs", w.array(pair, integer, 2), 64), ("friend", w.pointer(pair), 320)]
    w.aggregate("thing", 48, members)
    w.aggregate("bits", 8, [("low", integer, 3 << 24 | 0), ("high", integer, 15 << 24 | 40)], bits=True)
    return FieldTable(parse_btf(w.section()))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("number", Field(0, 4, 1, True, 0, 0, "")),
        ("pairs", Field(8, 16, 2, False, 0, 0, "pair")),
        ("friend", Field(40, 8, 1, False, 0, 0, "pair")),
    ],
)
def test_a_field_is_as_the_types_state_it(path, expected, table):
    assert table.get("thing", path) == table.find("thing", path) == expected


def test_a_bit_field_lies_in_the_word_of_its_type(table):
    assert table.get("bits", "high") == Field(4, 4, 1, True, 8, 15, "")


def test_a_field_that_is_not_there_is_none_or_an_error_in_words(table):
    assert table.find("thing", "enemy") is None
    with pytest.raises(NoTypesError, match="thing has no member enemy; report"):
        table.get("thing", "enemy")
