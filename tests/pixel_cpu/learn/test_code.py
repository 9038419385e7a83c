"""The code of paths: blocks that follow one another, wherever they were first seen."""

from __future__ import annotations

import numpy as np
from trace_producer import record

from pixel_cpu.learn.code import place_path
from qemu_bridge.trace.analysis.mining import HotPath
from qemu_bridge.trace.file.block_table import BlockTable


def placed(blocks, **fields):
    """The path through blocks of (address, code of each instruction), in order."""
    rows = [
        record(number, at, b"".join(map(bytes.fromhex, texts)), [len(text) // 2 for text in texts], ring=3, **fields)
        for number, (at, texts) in enumerate(blocks, 1)
    ]
    table = BlockTable(np.frombuffer(b"".join(rows), np.uint8).copy())
    ids = tuple(range(1, len(blocks) + 1))
    return place_path(HotPath(ids, (), 3, 1, 1, 1, 0), {number: (table, number - 1) for number in ids})


def test_a_block_that_was_seen_elsewhere_stands_where_it_follows():
    found = placed([(0x401000, ["ffc0"]), (0x7F0000800002, ["ffc9", "75fa"])])
    assert found.addresses == {1: 0x401000, 2: 0x401002} and sorted(found.instructions) == [
        0x401000,
        0x401002,
        0x401004,
    ]


def test_a_call_and_its_return_are_followed():
    # call f; dec ecx; jnz head. f: inc eax; ret
    found = placed([(0x1000, ["e80b000000"]), (0x1010, ["ffc0", "c3"]), (0x1005, ["ffc9", "75f7"])])
    assert found.indirect == {0x1012: (0x1005,)} and found.own == {1, 3}
    assert len(found.instructions) == 5


def test_blocks_that_do_not_follow_are_no_path():
    assert placed([(0x1000, ["ffc0", "eb10"]), (0x2345, ["ffc9", "ebf0"])]) is None
    assert placed([(0x1000, ["ffc0", "ebfc"])], mode=32) is None


def test_code_moves_as_a_whole():
    found = placed([(0x1000, ["e80b000000"]), (0x1010, ["ffc0", "c3"]), (0x1005, ["ffc9", "75f7"])])
    moved = found.moved(0x100)
    assert moved.addresses[2] == 0x1110 and moved.indirect == {0x1112: (0x1105,)} and found.moved(0) is found
