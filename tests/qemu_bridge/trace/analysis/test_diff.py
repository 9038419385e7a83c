"""The first divergence of two traces, whatever their ids and frames."""

import numpy as np
import pytest
from trace_producer import record
from trace_program import BASE, LENGTHS, SIZE, Program, pieces_of, record_words

from qemu_bridge.trace.analysis.diff import diff_traces
from qemu_bridge.trace.file.reader import TraceReader


def renumbered(program, shift):
    """The same code under other ids."""
    other = Program(program.count)
    records = []
    for index, target in enumerate(program.targets.tolist()):
        code = b"\x90" * 10 + b"\x0f\x84" + ((target - index - 1) * SIZE).to_bytes(4, "little", signed=True)
        records.append(record(index + 1 + shift, BASE + index * SIZE, code, LENGTHS))
    other.records = b"".join(records)
    return other


@pytest.mark.parametrize("place", [None, 0, 1, 1999, 2000, 3999])
def test_two_traces_part_where_they_part(tmp_path, place):
    program = Program()
    ids = program.walk(4000)
    changed = ids.copy()
    if place is not None:
        changed[place] = ids[place] % program.count + 1
    left = record_words(tmp_path / "left", program, pieces_of(ids), 1000)
    right = record_words(tmp_path / "right", renumbered(program, 500), pieces_of(changed + np.uint32(500)), 700)
    with TraceReader(left) as one, TraceReader(right) as other:
        found = diff_traces(one, other)
    assert found.is_same is (place is None)
    assert found.same_blocks == (4000 if place is None else place)
    assert found.same_instructions == found.same_blocks * len(LENGTHS)
    if place is not None:
        assert found.left.startswith(hex(program.address(int(ids[place]))))
        assert found.right.startswith(hex(program.address(int(changed[place]))))


def test_one_that_ends_sooner_is_told(tmp_path):
    program = Program()
    ids = program.walk(1000)
    paths = [record_words(tmp_path / str(n), program, pieces_of(ids[:n])) for n in (1000, 400)]
    with TraceReader(paths[0]) as one, TraceReader(paths[1]) as other:
        found = diff_traces(one, other)
    assert not found.is_same and found.same_blocks == 400 and found.right == "the end" and found.only_right == 0
