"""Hot blocks and paths, against streams whose truth is known and against the plain counting of what the reader gives."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from trace_producer import Event, event, record, split64, window_start, window_stop
from trace_program import BASE, LENGTHS, Program, pieces_of, record_words

from qemu_bridge.errors import TraceError, UsageError
from qemu_bridge.trace.analysis.frame_counts import count_frame
from qemu_bridge.trace.analysis.mining import mine
from qemu_bridge.trace.file.reader import TraceReader

SIZE = len(LENGTHS)
LIMIT = 288 << 20


@pytest.fixture(scope="module")
def program():
    return Program(jumps={12: 10, 21: 20})


def looping(program, rounds):
    """A walk, then a loop of three blocks, then a walk."""
    return np.concatenate([program.walk(400), np.tile(np.array([10, 11, 12], np.uint32), rounds), program.walk(400)])


def test_blocks_are_counted_as_they_were_executed(program, tmp_path):
    ids = program.walk(5000)
    path = record_words(tmp_path, program, pieces_of(ids), 1000)
    with mine(path, workers=1) as found:
        hot = found.blocks(1000)
        assert {block.id: block.executions for block in hot} == Counter(ids.tolist())
        assert all(block.instructions == SIZE * block.executions for block in hot)
        assert all(block.address == program.address(block.id) for block in hot)
        assert [block.instructions for block in hot] == sorted((b.instructions for b in hot), reverse=True)
        assert found.instructions == 5000 * SIZE == sum(count for _, count, _ in found.roots())


def test_processes_find_the_same_as_one(program, tmp_path):
    path = record_words(tmp_path, program, pieces_of(looping(program, 900)), 1000)
    with mine(path, workers=1) as one, mine(path, workers=2) as two:
        assert one.blocks(50) == two.blocks(50) and one.paths(50) == two.paths(50)


def test_planted_loop_is_the_hottest_path(program, tmp_path):
    path = record_words(tmp_path, program, pieces_of(looping(program, 900)), 1000)
    with mine(path, workers=1) as found:
        hottest = found.paths(1)[0]
        assert hottest.ids == (10, 11, 12) and hottest.loops == ()
        # Where a frame ends a round is cut, and the last time round leads out.
        with TraceReader(path) as trace:
            lost = 2 * len(trace)
        assert 900 - lost <= hottest.rounds <= 900
        assert hottest.instructions == hottest.total == hottest.rounds * 3 * SIZE


class Nest:
    """10: nop; 11: jumps to itself; 12: jumps to 10."""

    records = b"".join(
        record(number, BASE + 16 * number, b"\x90" * 14 + bytes([0x74, distance & 0xFF]), [1] * 14 + [2])
        for number, distance in ((10, 0), (11, -16), (12, -48))
    )


def test_loop_around_a_loop_is_a_path_and_shares_add_up(tmp_path):
    ids = np.tile(np.array([10, *[11] * 5, 12], np.uint32), 700)
    with mine(record_words(tmp_path, Nest, pieces_of(ids)), workers=1) as found:
        inner, outer = found.paths(9)
        assert (inner.ids, inner.loops, outer.ids, outer.loops) == ((11,), (), (10, 11, 12), (1,))
        assert inner.instructions == inner.total and inner.rounds > 3.9 * outer.rounds
        assert outer.instructions == outer.rounds * 3 * 15 and outer.total > 2 * outer.instructions
        assert inner.instructions + outer.instructions <= found.instructions
        assert [path.ids for path in found.paths(9, by="total")] == [(10, 11, 12), (11,)]


def test_gap_ends_what_was_on_its_way(tmp_path):
    gap = event(Event.GAP, *split64(100), *split64(1))
    words = [*window_start(), *[10, 11, 12, *gap] * 50, *window_stop()]
    with mine(record_words(tmp_path, Nest, [words]), workers=1) as found:
        assert found.paths(9) == [] and found.instructions == 150 * 15


def test_each_process_has_its_own_counts(program, tmp_path):
    one, other = np.tile(np.uint32([10, 11, 12]), 200), np.tile(np.uint32([20, 21]), 100)
    switch = event(Event.PAGE_TABLE, *split64(0x5000))
    words = [[*window_start(root=0x1000), *one.tolist(), *switch, *other.tolist(), *window_stop()]]
    with mine(record_words(tmp_path, program, words), workers=1) as found:
        assert found.roots() == [(0x1000, 600 * SIZE, 0), (0x5000, 200 * SIZE, 0)]
        assert {block.id for block in found.blocks(9, root=0x5000)} == {20, 21}
        assert [path.ids for path in found.paths(9, root=0x1000)] == [(10, 11, 12)]
        assert [(path.ids, path.root) for path in found.paths(9)] == [
            ((10, 11, 12), 0x1000),
            ((20, 21), 0x5000),
        ]
        assert found.paths(9, ring=3) == found.blocks(9, ring=3) == []


def test_code_of_a_hot_block_is_at_hand(program, tmp_path):
    with mine(record_words(tmp_path, program, pieces_of(program.walk(900))), workers=1) as found:
        block = found.blocks(1)[0]
        table, number = found.known([block.id])[block.id]
        assert table.ids[number] == block.id and table.code(number)[:10] == b"\x90" * 10


@pytest.mark.long
def test_counting_spills_within_its_limit(program, tmp_path):
    with mine(record_words(tmp_path, program, pieces_of(program.walk(900))), workers=1, memory_mb=64) as found:
        rows = 2_000_000
        found.sql.execute(
            "INSERT INTO blocks SELECT 0, hash(i), i, 1, 1 FROM range(?) AS t(i)", [rows]
        )  # about 60 MB, and as much again to group it
        count = found.sql.execute("SELECT count(*) FROM (SELECT DISTINCT root, id FROM blocks)").fetchone()[0]
        assert count >= rows and len(found.roots()) >= rows


def test_a_trace_larger_than_the_memory_it_may_take_is_counted(program, tmp_path):
    """Its blocks, decoded, have 18 bytes each (numbers, ids, addresses, instructions): more than what it may take."""
    path = record_words(
        tmp_path, program, [window_start(), *[program.walk(3500).tolist()] * 5000, window_stop()], 200_000
    )
    with TraceReader(path) as trace:
        info = trace.info
        assert len(trace) > 60 and 18 * info.blocks > LIMIT
    code = f"""
import resource
from pathlib import Path
from qemu_bridge.trace.analysis.mining import mine
import duckdb
def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmPeak")).split()[1]) << 10
duckdb.connect().execute("SELECT 1")
resource.setrlimit(resource.RLIMIT_AS, (peak() + {LIMIT},) * 2)
with mine(Path({str(path)!r}), workers=1, memory_mb=64) as found:
    assert found.instructions == {info.instructions} == sum(count for _, count, _ in found.roots())
    assert len(found.blocks(100)) == 100 and found.paths(10)
"""
    # glibc's arenas take address space that is not used.
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env={**os.environ, "MALLOC_ARENA_MAX": "1"})


def test_bad_requests_are_refused(program, tmp_path):
    path = record_words(tmp_path, program, pieces_of(program.walk(900)))
    with pytest.raises(UsageError, match="64"), mine(path, memory_mb=1):
        pass
    with pytest.raises(UsageError), mine(tmp_path / "none.gbt"):
        pass


def test_damaged_frame_is_an_error_that_says_so(program, tmp_path):
    path = record_words(tmp_path, program, pieces_of(program.walk(3000)), 1000)
    with TraceReader(path) as trace:
        offset = trace.file.offsets[1]
    data = bytearray(path.read_bytes())
    data[offset + 500] ^= 0xFF
    path.write_bytes(data)
    for workers in (1, 2):
        with pytest.raises(TraceError, match="damaged"), mine(path, workers):
            pass


def test_frame_without_loops_has_no_paths(program, tmp_path):
    with TraceReader(record_words(tmp_path, program, [[*window_start(), *range(1, 60), *window_stop()]])) as trace:
        counts = count_frame(trace, 0)
        assert sum(len(found.names) for found in counts.found) == 0 and counts.blocks["executions"].sum() == 59
