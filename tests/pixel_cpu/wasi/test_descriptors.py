"""Numbers of descriptors are given as wasmtime gives them."""

import numpy as np

from pixel_cpu.wasi.descriptors import ROW, Descriptors, Kind


def test_numbers_that_were_closed_come_first_the_highest_of_them():
    table = Descriptors(2, 1, most=7)
    lanes, rows = np.arange(2), np.zeros(2, ROW)
    rows["kind"] = Kind.FILE
    assert [table.add(lanes, rows).tolist() for _ in range(3)] == [[4, 4], [5, 5], [6, 6]]
    assert table.add(lanes, rows).tolist() == [-1, -1]
    table.free(np.array([0, 0, 1]), np.array([4, 6, 0]))
    assert table.add(lanes, rows).tolist() == [6, 0] and table.add(lanes, rows).tolist() == [4, -1]
    assert table.kinds(np.array([0, 0, 1]), np.array([1, 99, 2**32 - 1])).tolist() == [
        Kind.STDOUT,
        Kind.FREE,
        Kind.FREE,
    ]


def test_a_lane_has_its_preopens_whatever_the_bound():
    assert Descriptors(1, 10, most=4).kinds(np.zeros(10, int), np.arange(3, 13)).tolist() == [Kind.PREOPEN] * 10
