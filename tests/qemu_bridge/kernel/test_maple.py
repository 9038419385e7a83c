"""Maple trees: walked whole when sound, bounded and named when not."""

from __future__ import annotations

import struct
import time

import pytest
from memory_samples import KERNEL_DATA as DATA
from memory_samples import BtfWriter, Memory, small_kernel

from qemu_bridge.errors import GlassBoxError
from qemu_bridge.kernel.budget import Budget
from qemu_bridge.kernel.maple import maple_entries
from qemu_bridge.kernel.objects import KernelObjects
from qemu_bridge.kernel.symbols import KernelSymbols

LEAF, RANGE, ARANGE = 1, 2, 3
TOP = (1 << 64) - 1


def maple_types(w: BtfWriter) -> None:
    """``struct maple_range_64`` and ``maple_arange_64``, laid out as in release 6.1."""
    word = 2
    fifteen, sixteen, nine, ten = (w.array(word, word, count) for count in (15, 16, 9, 10))
    w.aggregate("maple_range_64", 256, [("parent", word, 0), ("pivot", fifteen, 64), ("slot", sixteen, 1024)])
    w.aggregate("maple_arange_64", 256, [("parent", word, 0), ("pivot", nine, 64), ("slot", ten, 640)])


@pytest.fixture(autouse=True)
def symbol_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GLASSBOX_SYMBOL_CACHE", str(tmp_path / "symbols"))


def open_space(tmp_path, data: bytes) -> KernelObjects:
    memory = Memory(tmp_path)
    small_kernel(memory, data=data, structs=maple_types)
    ram = memory.open()
    space = KernelObjects(ram, KernelSymbols.load(ram))
    space.budget = Budget(5.0)
    return space


def node_bytes(kind: int, pivots: list[int], slots: list[int]) -> bytes:
    count = 9 if kind == ARANGE else 15
    words = (*(pivots + [0] * count)[:count], *(slots + [0] * count)[: count + 1])
    return struct.pack(f"<Q{count}Q{count + 1}Q", 0, *words).ljust(256, b"\0")


def entry(number: int, kind: int) -> int:
    """A pointer to node `number` (at DATA + 256 * number) as the tree stores it."""
    return DATA + 256 * number | kind << 3 | 6


def test_entries_come_in_order(tmp_path):
    nodes = [
        node_bytes(ARANGE, [0x1FFF, TOP], [entry(1, LEAF), entry(2, LEAF)]),
        node_bytes(LEAF, [0xFFF, 0x1FFF], [0, 0xA000]),
        node_bytes(LEAF, [0x2FFF, 0x3FFF, TOP], [0xB000, 0xC000, 0]),
    ]
    space = open_space(tmp_path, b"".join(nodes))
    assert list(maple_entries(space, entry(0, ARANGE))) == [0xA000, 0xB000, 0xC000] and space.budget.complete
    assert list(maple_entries(space, 0)) == [], "an empty tree"


def test_what_lies_behind_the_last_pivot_is_not_in_the_tree(tmp_path):
    space = open_space(tmp_path, node_bytes(LEAF, [0xFFF, TOP, 0xDEAD], [0xA000, 0xB000, 0xDEAD000]))
    assert list(maple_entries(space, entry(0, LEAF))) == [0xA000, 0xB000]


def test_a_full_leaf_gives_all_its_slots(tmp_path):
    space = open_space(tmp_path, node_bytes(LEAF, list(range(15)), list(range(0x1000, 0x11000, 0x1000))))
    assert len(list(maple_entries(space, entry(0, LEAF)))) == 16


def test_a_tree_in_a_circle_ends(tmp_path):
    space = open_space(tmp_path, node_bytes(RANGE, list(range(0, 15)), [entry(0, RANGE)] * 16))
    started = time.process_time()
    assert list(maple_entries(space, entry(0, RANGE))) == [] and "is truncated" in space.budget.skipped[0]
    assert time.process_time() - started < 5


def test_a_node_of_unknown_kind_or_nowhere_is_refused(tmp_path):
    space = open_space(tmp_path, bytes(4096))
    for root in (entry(0, 9), 0x1000 | LEAF << 3 | 6):
        with pytest.raises(GlassBoxError):
            list(maple_entries(space, root))
