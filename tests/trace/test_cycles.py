"""Cyclic paths, against streams with planted loops and against what a repetition is."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qemu_bridge.trace.cycles import CycleFinder, CycleRuns

_COUNT = 64
_PLACES = np.arange(_COUNT, dtype=np.int32)
_JUMPS = np.ones(_COUNT, np.bool_)


def _found(ids, jumps=_JUMPS) -> CycleRuns:
    return CycleFinder(_PLACES, jumps).find(np.array(ids, np.uint32))


def _rows(runs: CycleRuns) -> list[tuple[int, int, int]]:
    return sorted(zip(runs.start.tolist(), runs.blocks.tolist(), runs.rounds.tolist(), strict=True))


def test_planted_loop_is_found_with_all_its_rounds():
    assert _rows(_found([50, *[10, 11, 12] * 5, 60, 5])) == [(1, 3, 5)]


def test_block_that_jumps_to_itself_is_a_loop_of_one_block():
    assert _rows(_found([3] * 100 + [2])) == [(0, 1, 100)]


def test_loop_through_a_function_at_a_lower_address_is_one_path():
    # 20 calls 5, which returns to 21, which jumps back to 20.
    jumps = _JUMPS.copy()
    jumps[[20, 6]] = False
    assert _rows(_found([19, *[20, 5, 6, 21] * 9, 30, 1], jumps)) == [(1, 4, 9)]


def test_nest_of_loops_repeats_as_groups_of_laps():
    # An inner loop of two different laps inside an outer one.
    outer = [10, 11, 13, 11, 12, 13, 15]
    runs = _found([*outer * 6, 40, 0])
    assert (7, 6) in {(blocks, rounds) for _, blocks, rounds in _rows(runs)}


def test_path_has_one_key_wherever_it_is_entered():
    jumps = _JUMPS
    one = _found([*[10, 12, 11, 12] * 6, 40, 0], jumps)
    other = _found([*[11, 12, 10, 12] * 6, 40, 0], jumps)
    assert set(one.key.tolist()) == set(other.key.tolist()) != set()


def test_other_order_of_the_same_laps_is_another_path():
    def laps(*heads: int) -> list[int]:
        return [block for head in heads for block in (5, head)]

    one = _found([*laps(*[10, 11, 12, 13] * 5), 40, 0])
    other = _found([*laps(*[10, 12, 11, 13] * 5), 40, 0])
    assert len(one.key) == len(other.key) == 1
    assert one.key[0] != other.key[0]


def test_stream_without_loops_has_no_cycles():
    assert _rows(_found(range(50))) == []
    assert _rows(_found([])) == _rows(_found([1])) == []


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 3, 40]), max_size=200))
def test_every_run_is_a_repetition_and_no_block_is_in_two(ids):
    runs = _rows(_found(ids))
    end = 0
    for start, blocks, rounds in runs:
        assert start >= end and rounds >= 2 and blocks >= 1
        path = ids[start : start + blocks]
        end = start + blocks * rounds
        assert ids[start:end] == path * rounds
