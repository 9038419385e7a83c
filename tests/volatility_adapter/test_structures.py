"""Lists and maple trees: walked whole when sound, bounded and named when not."""

from __future__ import annotations

import struct
import time

import pytest
from memory_samples import KERNEL_DATA as DATA
from memory_samples import BtfWriter, Memory, small_kernel

from qemu_bridge.symbols import KernelSymbols
from qemu_bridge.volatility_adapter.structures import BAD_MEMORY, KernelMemory

LEAF, RANGE, ARANGE = 1, 2, 3
TOP = (1 << 64) - 1


def maple_types(w: BtfWriter) -> None:
    """``struct maple_range_64``, ``maple_arange_64`` and something in a list, laid out as in release 6.1."""
    word = 2
    fifteen, sixteen, nine, ten = (w.array(word, word, count) for count in (15, 16, 9, 10))
    ranged = w.aggregate("maple_range_64", 256, [("parent", word, 0), ("pivot", fifteen, 64), ("slot", sixteen, 1024)])
    aranged = w.aggregate("maple_arange_64", 256, [("parent", word, 0), ("pivot", nine, 64), ("slot", ten, 640)])
    w.aggregate("maple_node", 256, [("mr64", ranged, 0), ("ma64", aranged, 0)], union=True)
    lists = w.aggregate("link", 16, [("next", word, 0), ("prev", word, 64)])
    w.aggregate("module", 32, [("name", word, 0), ("list", lists, 64)])


@pytest.fixture(autouse=True)
def symbol_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GLASSBOX_SYMBOL_CACHE", str(tmp_path / "symbols"))


def open_memory(tmp_path, data: bytes) -> tuple[KernelMemory, list[str]]:
    memory, notes = Memory(tmp_path), []
    small_kernel(memory, data=data, structs=maple_types)
    ram = memory.open()
    return KernelMemory(ram, KernelSymbols.load(ram), notes.append), notes


def list_bytes(order: list[int], prev: dict[int, int] | None = None) -> bytes:
    """Links at DATA + 64 * number, joined in a ring in that order."""
    data = bytearray(4096)
    for place, number in enumerate(order):
        before, after = order[place - 1], order[(place + 1) % len(order)]
        before = (prev or {}).get(number, before)
        struct.pack_into("<QQ", data, 64 * number, DATA + 64 * after, DATA + 64 * before)
    return bytes(data)


def node_bytes(kind: int, pivots: list[int], slots: list[int]) -> bytes:
    count = 9 if kind == ARANGE else 15
    return struct.pack(
        f"<Q{count}Q{count + 1}Q", 0, *(pivots + [0] * count)[:count], *(slots + [0] * count)[: count + 1]
    ).ljust(256, b"\0")


def entry(number: int, kind: int) -> int:
    """A pointer to node `number` (at DATA + 256 * number) as the tree stores it."""
    return DATA + 256 * number | kind << 3 | 6


def test_a_list_is_walked_in_order_and_gives_the_structs_around_its_links(tmp_path):
    memory, notes = open_memory(tmp_path, list_bytes([0, 3, 1, 2]))
    found = memory.linked(DATA, "module", "list", 100)
    assert [memory.layer.canonical(item.vol.offset) for item in found] == [
        DATA + 64 * number - 8 for number in (3, 1, 2)
    ]
    assert notes == [] and memory.links(DATA + 4032, 10) == []


def test_an_empty_list_has_no_entries(tmp_path):
    memory, notes = open_memory(tmp_path, list_bytes([5]))
    assert memory.links(DATA + 64 * 5, 100) == [] and notes == []


def test_a_list_whose_back_pointer_lies_is_cut_and_named(tmp_path):
    memory, notes = open_memory(tmp_path, list_bytes([0, 3, 1, 2], prev={1: 2}))
    assert memory.links(DATA, 100) == [DATA + 64 * 3]
    assert len(notes) == 1 and "breaks off after 1" in notes[0]


def test_a_ring_that_never_returns_to_its_head_ends(tmp_path):
    data = bytearray(list_bytes([0, 1, 2, 3]))
    struct.pack_into("<Q", data, 64 * 3, DATA + 64)
    struct.pack_into("<Q", data, 64 + 8, DATA)
    memory, notes = open_memory(tmp_path, bytes(data))
    assert len(memory.links(DATA, 100)) == 3 and notes


def test_a_list_longer_than_the_limit_is_cut_and_named(tmp_path):
    memory, notes = open_memory(tmp_path, list_bytes(list(range(20))))
    assert len(memory.links(DATA, 5)) == 5 and "breaks off after 5" in notes[0]


def test_a_maple_tree_gives_its_entries_in_order(tmp_path):
    nodes = [
        node_bytes(ARANGE, [0x1FFF, TOP], [entry(1, LEAF), entry(2, LEAF)]),
        node_bytes(LEAF, [0xFFF, 0x1FFF], [0, 0xA000]),
        node_bytes(LEAF, [0x2FFF, 0x3FFF, TOP], [0xB000, 0xC000, 0]),
    ]
    memory, notes = open_memory(tmp_path, b"".join(nodes))
    assert list(memory.maple_entries(entry(0, ARANGE))) == [0xA000, 0xB000, 0xC000] and notes == []
    assert list(memory.maple_entries(0)) == [], "an empty tree"


def test_what_lies_behind_the_last_pivot_is_not_in_the_tree(tmp_path):
    memory, _ = open_memory(tmp_path, node_bytes(LEAF, [0xFFF, TOP, 0xDEAD], [0xA000, 0xB000, 0xDEAD000]))
    assert list(memory.maple_entries(entry(0, LEAF))) == [0xA000, 0xB000]
    full = node_bytes(LEAF, list(range(15)), list(range(0x1000, 0x11000, 0x1000)))
    (tmp_path / "full").mkdir()
    memory, _ = open_memory(tmp_path / "full", full)
    assert len(list(memory.maple_entries(entry(0, LEAF)))) == 16


def test_a_maple_tree_in_a_circle_ends(tmp_path):
    circle = node_bytes(RANGE, list(range(0, 15)), [entry(0, RANGE)] * 16)
    memory, notes = open_memory(tmp_path, circle)
    started = time.perf_counter()
    memory.layer.deadline = time.monotonic() + 5
    assert list(memory.maple_entries(entry(0, RANGE))) == [] and "breaks off" in notes[0]
    assert time.perf_counter() - started < 5


def test_a_node_of_unknown_kind_is_refused(tmp_path):
    memory, _ = open_memory(tmp_path, bytes(4096))
    with pytest.raises(BAD_MEMORY):
        list(memory.maple_entries(entry(0, 9)))


def test_strings_end_at_their_zero_and_at_the_limit(tmp_path):
    data = b"name\0rest" + b"x" * 4083 + b"abcd" + b"ef\0g" + bytes(100)
    memory, _ = open_memory(tmp_path, data)
    assert memory.string(DATA, 16) == "name" and memory.string(DATA, 2) == "na"
    assert memory.string(DATA + 4092, 16) == "abcdef"
    assert len(memory.string(DATA + 16, 1 << 40)) == 255
    with pytest.raises(BAD_MEMORY):
        memory.string(0, 16)
