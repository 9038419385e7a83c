"""Loops of traces whose truth is known: joined, lifted, with what they take and give."""

from __future__ import annotations

import numpy as np
import pytest
from learn_samples import BASE, RAM_OFFSET, record_checksum
from trace_producer import record
from trace_program import pieces_of, record_words
from x86_loops import CRC32, run

from pixel_cpu.learn.mine import find_loops
from qemu_bridge.trace.analysis.mining import mine
from qemu_bridge.trace.analysis.naming import Naming


def test_a_hot_loop_is_found_and_lifted(tmp_path):
    naming = Naming(symbol=lambda address: f"crc+{address - BASE:#x}", process=lambda root: f"7 sum {root}")
    with mine(record_checksum(tmp_path), workers=1) as found:
        (loop,) = find_loops(found, naming)
    assert (loop.head, loop.symbol, loop.process, loop.ring, loop.length) == (BASE, "crc+0x0", "7 sum 4096", 3, 9)
    assert 1190 <= loop.rounds <= 1200 and loop.executed == 9 * loop.rounds and 0.98 < loop.share <= 1
    assert loop.refused == "" and loop.left_out == () and loop.exits == (BASE + 0x19,)
    assert loop.live_in == ("rax", "rcx", "rdx", "rsi", "rdi")
    # Behind it stand xor edx, edx and a return: flags and rdx are written there before they are read.
    assert loop.live_out == ("rax", "rsi", "rdi")
    (row,), _, _ = run(loop.lifted, [{"rsi": 1024, "rdx": 1027}], bytes(2048))
    assert (row["rsi"], row["rounds"], row["next"]) == (1027, 3, BASE + 0x19)


def test_a_loop_without_a_symbol_is_named_by_its_file(tmp_path):
    first = b"".join(list(CRC32.instructions.values())[:2])
    naming = Naming(file=lambda offset, code: f"tool+{offset - RAM_OFFSET:#x}" if code == first else "")
    with mine(record_checksum(tmp_path), workers=1) as found:
        (loop,) = find_loops(found, naming)
    assert loop.symbol == "tool+0x0"


def branching(other):
    """Block 1 goes on at 2 or 3, both at 4, which jumps back to 1; 3 holds `other`."""
    code = {
        1: (0x1000, ["84c0", "7405"]),
        2: (0x1004, ["ffc0", "90", "eb02"]),
        3: (0x1009, [other]),
        4: (0x100B, ["ffc9", "75f1"]),
        5: (0x100F, ["c3"]),
    }
    pieces = {number: (at, [bytes.fromhex(text) for text in texts]) for number, (at, texts) in code.items()}
    return b"".join(
        record(number, at, b"".join(texts), list(map(len, texts)), ring=3) for number, (at, texts) in pieces.items()
    )


@pytest.mark.parametrize(("other", "reason"), [("ffc8", ""), ("0fa2", "cpuid")])
def test_ways_round_a_loop_are_joined(tmp_path, other, reason):
    class Branching:
        records = branching(other)

    ids = np.array(([1, 2, 4] * 50 + [1, 3, 4] * 20) * 9 + [5], np.uint32)
    with mine(record_words(tmp_path, Branching, pieces_of(ids)), workers=1) as found:
        (loop,) = find_loops(found)
    assert (loop.head, loop.paths, loop.length) == (0x1000, 2, 8) and 600 < loop.rounds <= 630
    assert loop.share > 0.9 and loop.refused == ""
    assert [reason in text for text in loop.left_out] == ([True] if reason else [])


def test_a_loop_that_is_not_lifted_says_why(tmp_path):
    class Waiting:
        # pause; dec ecx; jnz head
        records = record(1, 0x1000, bytes.fromhex("f390ffc975fa"), [2, 2, 2]) + record(2, 0x1006, b"\xc3", [1])

    ids = np.array([1] * 400 + [2], np.uint32)
    with mine(record_words(tmp_path, Waiting, pieces_of(ids)), workers=1) as found:
        (loop,) = find_loops(found)
    assert loop.lifted is None and "waits" in loop.refused and loop.ring == 0 and loop.length == 3


def test_a_count_limits_the_loops(tmp_path):
    with mine(record_checksum(tmp_path), workers=1) as found:
        assert list(find_loops(found, count=0)) == []
