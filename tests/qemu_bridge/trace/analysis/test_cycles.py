"""Cyclic paths, against streams with planted loops and against the same done slowly, with lists."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.analysis import cycles
from qemu_bridge.trace.analysis.cycles import DEPTH, LOOPED, SLOTS, CycleFinder, count_blocks
from qemu_bridge.trace.file.records import ENDING, Flow

ALL = 64
MARK = int(LOOPED)


def table(jumps=None, count=ALL):
    """Blocks 0 to count - 1 by ascending address, of which `jumps` may jump anywhere; ids are a thousand more."""
    endings = np.zeros(count, ENDING)
    endings["flow"] = Flow.NEXT
    endings["flow"][np.arange(count) if jumps is None else list(jumps)] = Flow.REPEAT

    class Table(SimpleNamespace):
        def __len__(self):
            return count

    number = np.arange(count)
    return Table(
        ids=(number + 1000).astype(np.uint32),
        addresses=(number * 16).astype(np.uint64),
        rings=(3 * (number >= 32)).astype(np.uint8),
        endings=endings,
    )


def rows(found):
    """{symbols: (rounds, own, total)}, ids as numbers."""
    parts = np.split(found.symbols, np.cumsum(found.lengths)[:-1]) if len(found.names) else []
    words = [tuple((int(symbol) & ~MARK) - 1000 | int(symbol) & MARK for symbol in part) for part in parts]
    return dict(
        zip(words, zip(*(a.tolist() for a in (found.rounds, found.own, found.total)), strict=True), strict=True)
    )


def found(ids, jumps=None, begun=None):
    ids = np.array(ids, np.uint32)
    finder = CycleFinder(table(jumps))
    assert finder.find(ids, np.ones(len(ids), np.uint16) if begun is None else begun) == len(ids)
    return rows(finder.take(1000))


def turned(path):
    """The rotation that begins at the least address."""
    key = [((symbol & ~MARK) << 1 | symbol >> 31) for symbol in path]
    start = min(range(len(path)), key=lambda i: key[i:] + key[:i])
    return tuple(path[start:] + path[:start])


def slowly(ids, jumps, begun):
    """What `CycleFinder` says it does."""
    stack, result, now, previous = [], {}, 0, None
    for block, here in zip(ids, begun, strict=True):
        looped = 0
        heads = [index for index, (symbol, _, _) in enumerate(stack) if symbol & ~MARK == block]
        if previous is not None and previous in jumps and block <= previous and heads:
            part = stack[heads[-1] :]
            path = turned([block, *(symbol for symbol, _, _ in part[1:])])
            rounds, own, total = result.get(path, (0, 0, 0))
            result[path] = rounds + 1, own + sum(one for _, one, _ in part), total + now - part[0][2]
            del stack[heads[-1] :]
            looped = MARK
        stack.append((block | looped, here, now))
        now, previous = now + here, block
    return result


def test_planted_loop_is_found_with_all_its_rounds():
    assert found([1, *[10, 11, 12] * 5, 60]) == {(10, 11, 12): (4, 12, 12)}


def test_block_that_jumps_to_itself_is_a_loop_of_one_block():
    assert found([3] * 100 + [2]) == {(3,): (99, 99, 99)}


def test_loop_through_a_function_at_a_lower_address_is_one_path():
    # 20 calls 5, which returns to 21, which jumps back to 20.
    assert found([19, *[20, 5, 6, 21] * 9, 30, 1], {21}) == {(5, 6, 21, 20): (8, 32, 32)}


def test_loop_around_a_loop_is_one_path_however_often_the_inner_one_goes_round():
    ids = [1]
    for rounds in (5, 2, 9, 3):
        ids += [10, *[11, 12] * rounds, 13]
    inner = 5 + 2 + 9 + 3 - 4
    # The fourth time round the outer one does not go back.
    assert found([*ids, 60], {12, 13}) == {
        (11, 12): (inner, 2 * inner, 2 * inner),
        (10, 11 | MARK, 12, 13): (3, 12, 12 + 2 * (inner - 2)),
    }


def test_nest_of_three_is_three_paths_and_no_instruction_counts_twice():
    inner = [12, 13] * 4
    middle = [11, *inner, 14] * 3
    ids = [10, *middle, 15] * 5 + [60]
    paths = found(ids)
    assert set(paths) == {(12, 13), (11, 12 | MARK, 13, 14), (10, 11 | MARK, 12 | MARK, 13, 14, 15)}
    assert sum(own for _, own, _ in paths.values()) + len([10, 11, 12, 13, 14, 15, 60]) == len(ids)
    assert paths[10, 11 | MARK, 12 | MARK, 13, 14, 15][2] == 4 * (len(middle) + 2)


def test_both_ways_through_a_loop_are_paths():
    ids = [10, 11, 13, 10, 12, 13, 10, 12, 13, 10, 11, 13, 10]
    assert found(ids) == {(10, 11, 13): (2, 6, 6), (10, 12, 13): (2, 6, 6)}


def test_path_has_one_name_wherever_it_is_entered():
    assert set(found([10, 12, 11, 13] * 6, {13, 12})) == set(found([11, 13, 10, 12] * 6, {13, 12})) != set()


def test_stream_without_loops_has_no_paths():
    assert found(range(50)) == found([]) == found([1]) == {}


def test_jump_to_another_place_in_a_page_closes_no_loop():
    stream = np.array([10, 11, 10, 11, 10], np.uint32)
    for target, rounds in ((160, {(10, 11): (2, 4, 4)}), (161, {})):
        blocks = table(())
        blocks.endings["flow"][11], blocks.endings["target"][11] = Flow.BRANCH, target
        finder = CycleFinder(blocks)
        finder.find(stream, np.ones(5, np.uint16))
        assert rows(finder.take(9)) == rounds
    # A call goes back, and is no loop.
    blocks.endings[11] = (160, Flow.JUMP, 0xE8)
    finder = CycleFinder(blocks)
    finder.find(stream, np.ones(5, np.uint16))
    assert rows(finder.take(9)) == {}


def test_nothing_joins_across_a_break():
    finder = CycleFinder(table())
    one = np.ones(3, np.uint16)
    for _ in range(4):
        finder.find(np.array([10, 11, 12], np.uint32), one)
        finder.break_off()
    assert rows(finder.take(9)) == {}


def test_roots_and_rings_are_kept_apart():
    finder = CycleFinder(table())
    for root, ids in ((0, [1, 2, 1]), (1, [2, 1, 2, 40, 2])):
        finder.find(np.array(ids, np.uint32), np.ones(len(ids), np.uint16), root)
    rows_found = finder.take(9)
    assert sorted(
        zip(rows_found.roots.tolist(), rows_found.rings.tolist(), rows_found.rounds.tolist(), strict=True)
    ) == [
        (0, 0, 1),
        (1, 0, 1),
        (1, 3, 1),
    ]


@settings(max_examples=400)
@given(
    st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 40]), max_size=200),
    st.sets(st.sampled_from([0, 1, 2, 3, 4, 5, 40])),
    st.lists(st.integers(1, 199), max_size=3),
)
def test_paths_are_those_of_the_plain_way_wherever_the_stream_is_cut(ids, jumps, cuts):
    begun = [1 + i % 7 for i in range(len(ids))]
    finder = CycleFinder(table(jumps))
    stream, counts = np.array(ids, np.uint32), np.array(begun, np.uint16)
    for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), len(ids)], strict=True):
        finder.find(stream[low:high], counts[low:high])
    paths = rows(finder.take(1000))
    assert paths == slowly(ids, jumps, begun)
    assert sum(own for _, own, _ in paths.values()) <= sum(begun)


def test_path_longer_than_the_stack_is_not_found_and_one_as_long_is():
    for length, rounds in ((DEPTH, 2), (DEPTH + 1, 0)):
        ids = np.tile(np.arange(length, dtype=np.uint32), 3)
        finder = CycleFinder(table({length - 1}, length))
        finder.find(ids, np.ones(len(ids), np.uint16))
        assert finder.take(9).rounds.sum() == rounds


def test_full_table_asks_to_be_taken_and_goes_on_where_it_was():
    # Every pair is another path: more of them than the table holds.
    count = 230
    ids = np.array([x for i in range(count) for j in range(i + 1, count) for x in (i, j)], np.uint32)
    finder, begun, taken, at = CycleFinder(table(None, count)), np.ones(len(ids), np.uint16), Counter(), 0
    while at < len(ids):
        at += finder.find(ids[at:], begun[at:])
        taken.update({path: own for path, (_, own, _) in rows(finder.take(SLOTS)).items()})
    assert taken == {path: own for path, (_, own, _) in slowly(ids.tolist(), set(range(count)), begun.tolist()).items()}
    assert len(taken) > SLOTS // 4 * 3


def test_only_the_hottest_are_taken():
    ids = np.array([x for i in range(1, 40) for x in [0, i] * (i + 1)] + [0], np.uint32)
    finder = CycleFinder(table())
    finder.find(ids, np.ones(len(ids), np.uint16))
    assert set(rows(finder.take(3))) == {(0, 39), (0, 38), (0, 37)}


def test_numbers_that_are_in_no_dictionary_are_refused():
    with pytest.raises(TraceError, match="range"):
        CycleFinder(table()).find(np.array([64], np.uint32), np.ones(1, np.uint16))
    with pytest.raises(TraceError, match="range"):
        count_blocks(np.array([2], np.uint32), np.ones(1, np.uint16), *np.zeros((2, 2), np.uint64))


def test_sizes_are_those_of_the_header():
    header = (files("tcg_plugin") / "cycles.h").read_text()
    assert f"GB_DEPTH = {DEPTH}," in header and f"GB_PATH_SLOTS = 1 << {SLOTS.bit_length() - 1}," in header
    # cycles.c asserts these of the structures.
    assert (cycles._BLOCK.itemsize, cycles._ENTRY.itemsize, cycles._PATH.itemsize) == (24, 32, 48)
