"""Pages of shared memory that were written."""

import numpy as np
import pytest

import pixel_cpu as px
from pixel_cpu.runtime.touched import PAGE_BYTES, touched_pages

ROW = 8 * PAGE_BYTES


@pytest.fixture
def device():
    with px.Device("cpu", isolated=False) as found:
        yield found


def test_pages_are_told_that_were_written(device):
    array = device.zeros(4 * ROW, "u1")
    array[PAGE_BYTES + 5] = array[3 * PAGE_BYTES] = array[4 * PAGE_BYTES] = 1
    place = device._pool.find(array)
    found = touched_pages(place[0].descriptor, ROW, 3 * ROW)
    assert not found.any()
    assert np.flatnonzero(touched_pages(place[0].descriptor, 0, 4 * ROW)).tolist() == [1, 3, 4]


def test_rows_are_cleared_where_one_of_them_was_written(device):
    array = device.zeros(4 * ROW, "u1")
    rows = array.reshape(4, ROW)
    rows[:, 100], rows[:3, ROW - 1] = 1, 2
    assert device.clear(array, 4) and not array.any()
    rows[:2, 100] = 1
    assert device.clear(array[: 2 * ROW], 2) and not array.any()
    rows[3, 2 * PAGE_BYTES] = rows[:, 7] = 3  # one more page, in one row
    assert device.clear(array, 4) and not array.any()


def test_memory_of_which_each_row_has_other_pages_is_made_anew(device):
    array = device.zeros(8 * ROW, "u1")
    array.reshape(8, ROW)[np.arange(8), np.arange(8) * PAGE_BYTES] = 1
    assert not device.clear(array, 8) and array.sum() == 8
    short = device.zeros(10, "u4")
    short[:] = 7
    assert device.clear(short, 10) and not short.any()
