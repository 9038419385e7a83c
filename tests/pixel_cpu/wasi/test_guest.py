"""Memory of many lanes is read and written at once."""

import numpy as np
import pytest

from pixel_cpu.wasi.guest import Guest, Parts, groups

LANES, BYTES = 6, 2000


@pytest.fixture(params=["whole", "some", "strided"])
def guest(request):
    rng = np.random.default_rng(1)
    memory = rng.integers(0, 256, (LANES, BYTES), np.uint8)
    lanes = np.arange(LANES) if request.param == "whole" else np.array([0, 2, 3, 5])
    if request.param == "strided":
        memory = np.asfortranarray(memory)
    return Guest(memory, lanes, np.full(len(lanes), BYTES))


@pytest.mark.parametrize("length", [1, 8, 300])
@pytest.mark.parametrize("is_equal", [True, False])
def test_rows_are_read_and_written(guest, length, is_equal):
    at = np.arange(len(guest.lanes))[1:]
    start = np.full(len(at), 40) if is_equal else at * 100 + 7
    rows = guest.read(at, start, length)
    for row, lane, first in zip(rows, guest.lanes[at], start, strict=True):
        assert (row == guest.memory[lane, first : first + length]).all()
    guest.write(at, start, rows[::-1] ^ 255)
    assert (guest.read(at, start, length) == rows[::-1] ^ 255).all()
    guest.write(at, start, rows[:1])
    assert (guest.read(at, start, length) == rows[:1]).all()


@pytest.mark.parametrize("scale", [1, 100])
def test_pieces_of_any_length_are_gathered_and_scattered(guest, scale):
    last = len(guest.lanes) - 1
    at, start = np.array([0, 0, 1, last]), np.array([5, 700, 9, 100])
    parts = Parts(at, start, np.array([3, 0, 4, 2]) * scale)
    expected = np.concatenate(
        [guest.memory[guest.lanes[a], s : s + n] for a, s, n in zip(at, start, parts.length, strict=True)]
    )
    assert (guest.gather(parts) == expected).all()
    guest.scatter(parts, expected[::-1].copy())
    assert (guest.gather(parts) == expected[::-1]).all()


def test_pieces_are_cut_at_a_limit_for_each_row():
    parts = Parts(np.array([0, 0, 1, 3, 3]), np.array([0, 10, 20, 30, 40]), np.array([4, 4, 4, 2, 8]))
    cut = parts.limited(np.array([6, 0, 9, 5]))
    assert cut.at.tolist() == [0, 0, 3, 3] and cut.length.tolist() == [4, 2, 2, 3]
    assert parts.totals(4).tolist() == [8, 4, 0, 10]


def test_bounds_are_those_that_a_lane_has_now():
    guest = Guest(np.zeros((2, 100), np.uint8), np.arange(2), np.array([50, 100]))
    at = np.arange(2)
    assert guest.holds(at, np.array([46, 46]), 4).tolist() == [True, True]
    assert guest.holds(at, np.array([47, 47]), 4).tolist() == [False, True]
    assert guest.holds(at, np.array([2**32 - 1] * 2), 2**32 - 1).tolist() == [False, False]


def test_groups_hold_equal_keys_in_order():
    found = groups(np.array([3, 1, 3, 1, 2]), np.array([0, 0, 0, 1, 0]))
    assert sorted(map(list, found)) == [[0, 2], [1], [3], [4]]
    assert groups(np.zeros(0, int)) == [] and [list(each) for each in groups(np.array([7, 7]))] == [[0, 1]]
