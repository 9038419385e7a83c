"""One frame counted, as columns: every block once for each root, paths only inside what follows from what came."""

from collections import Counter

import numpy as np
import pytest
from trace_producer import Event, event, split64, window_start, window_stop
from trace_program import LENGTHS, Program, pieces_of, record_words

from qemu_bridge.trace.analysis.frame_counts import count_frame, symbol_columns
from qemu_bridge.trace.file.reader import TraceReader

SIZE = len(LENGTHS)


@pytest.fixture(scope="module")
def program():
    return Program(jumps={12: 10})


def counts(folder, program, words):
    with TraceReader(record_words(folder, program, words)) as trace:
        return count_frame(trace, 0)


def test_blocks_are_counted_by_root(program, tmp_path):
    switch = event(Event.PAGE_TABLE, *split64(0x5000))
    found = counts(tmp_path, program, [[*window_start(), 1, 2, 1, *switch, 2, 2, *window_stop()]])
    rows = zip(*(found.blocks[name].tolist() for name in ("root", "id", "executions", "instructions")), strict=True)
    assert sorted(rows) == [(0x1000, 1, 2, 2 * SIZE), (0x1000, 2, 1, SIZE), (0x5000, 2, 2, 2 * SIZE)]
    assert sorted(found.known["id"].tolist()) == [1, 2] and set(found.known["size"].tolist()) == {SIZE}


def test_each_vcpu_is_counted(program, tmp_path):
    walks = [program.walk(300), program.walk(200)]
    with TraceReader(record_words(tmp_path, program, [pieces_of(ids) for ids in walks], 1 << 20, vcpus=2)) as trace:
        found = count_frame(trace, 0).blocks
    for vcpu, ids in enumerate(walks):
        own = found["vcpu"] == vcpu
        assert dict(zip(found["id"][own].tolist(), found["executions"][own].tolist(), strict=True)) == Counter(
            ids.tolist()
        )


def test_a_gap_breaks_a_path(program, tmp_path):
    gap = event(Event.GAP, *split64(100), *split64(1))
    loop = [10, 11, 12]
    whole = counts(tmp_path / "whole", program, [[*window_start(), *loop, *loop, *loop, *window_stop()]])
    broken = counts(tmp_path / "broken", program, [[*window_start(), *loop, *gap, *loop, *loop, *window_stop()]])
    assert whole.paths["rounds"].tolist() == [2] and broken.paths["rounds"].tolist() == [1]


def test_symbols_are_a_row_each_and_known_paths_are_left_out(program, tmp_path):
    found = counts(tmp_path, program, [[*window_start(), *[10, 11, 12] * 5, *window_stop()]]).found[0]
    columns = symbol_columns(found, np.zeros(0, np.uint64))
    assert columns["symbol"].tolist() == [10, 11, 12] and columns["place"].tolist() == [0, 1, 2]
    assert len(symbol_columns(found, found.names)["symbol"]) == 0


def test_a_frame_without_blocks_has_no_rows(program, tmp_path):
    found = counts(tmp_path, program, [[*window_start(), *window_stop()]])
    assert not found.blocks and not found.found
