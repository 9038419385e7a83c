"""The first divergence of two traces, whatever their ids and frames."""

import itertools

import numpy as np
import pytest
from trace_producer import record
from trace_program import BASE, LENGTHS, Program, pieces_of, record_words

from qemu_bridge.trace.analysis.diff import diff_traces
from qemu_bridge.trace.file.reader import TraceReader


def renumbered(program, shift):
    """The same code under other ids."""
    other = Program(program.count)
    other.records = b"".join(
        record(number + shift, program.address(number), program.code(number), LENGTHS)
        for number in range(1, program.count + 1)
    )
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


def cut(program, pieces, tmp_path, name, walk):
    """The same run of a program whose blocks of eleven instructions are cut after `pieces` of them, as QEMU may do."""
    edges = [0, *itertools.accumulate(pieces)]
    places = [0, *itertools.accumulate(LENGTHS)]
    parts = list(itertools.pairwise(edges))
    other = Program(program.count)
    other.records = b"".join(
        record(
            (block - 1) * len(parts) + part + 1,
            program.address(block) + places[first],
            program.code(block)[places[first] : places[last]],
            LENGTHS[first:last],
        )
        for block in range(1, program.count + 1)
        for part, (first, last) in enumerate(parts)
    )
    ids = [(block - 1) * len(parts) + part + 1 for block in walk.tolist() for part in range(len(parts))]
    return record_words(tmp_path / name, other, pieces_of(np.array(ids, np.uint32)), 777)


@pytest.mark.parametrize("place", [None, 0, 1, 1999, 2000, 2999])
@pytest.mark.parametrize("pieces", [(3, 8), (1, 1, 9), (11,)])
def test_blocks_that_are_only_cut_elsewhere_are_the_same_instructions(pieces, place, tmp_path):
    program = Program()
    ids = program.walk(3000)
    changed = ids.copy()
    if place is not None:
        changed[place] = ids[place] % program.count + 1
    left = record_words(tmp_path / "left", program, pieces_of(ids), 1000)
    right = cut(program, pieces, tmp_path, "right", changed)
    with TraceReader(left) as one, TraceReader(right) as other:
        found, back = diff_traces(one, other), diff_traces(other, one)
    assert found.is_same is back.is_same is (place is None)
    agreed = 3000 if place is None else place
    assert found.same_blocks == agreed and back.same_blocks == agreed * len(pieces)
    assert found.same_instructions == back.same_instructions == agreed * len(LENGTHS)
    if place is None:
        assert found.only_left == found.only_right == 0
    else:
        assert found.left.startswith(hex(program.address(int(ids[place]))))
        assert found.right.startswith(hex(program.address(int(changed[place]))))


def test_a_divergence_within_a_block_is_told_to_the_instruction(tmp_path):
    """The same block but for its last instruction."""
    paths = []
    for name, last in (("left", 2), ("right", 3)):
        program = Program(2)
        code = b"\x90" * 10 + b"\x0f\x84" + last.to_bytes(4, "little")
        program.records = record(1, BASE, code, LENGTHS)
        paths.append(record_words(tmp_path / name, program, pieces_of(np.ones(50, np.uint32))))
    with TraceReader(paths[0]) as one, TraceReader(paths[1]) as other:
        found = diff_traces(one, other)
    assert not found.is_same and found.same_instructions == 10 and found.same_blocks == 0
    assert found.left == found.right == f"{BASE + 10:#x}, 1 instructions" and found.common == 10
