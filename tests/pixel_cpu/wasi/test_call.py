"""Errors of single lanes, and the pieces of memory that lanes name."""

import numpy as np

from pixel_cpu.wasi.abi import Errno
from pixel_cpu.wasi.call import MOST_BYTES, MOST_PARTS, Call
from pixel_cpu.wasi.guest import Guest


def make(lanes=3, size=1 << 16):
    return Call(np.arange(lanes), Guest(np.zeros((lanes, size), np.uint8), np.arange(lanes), np.full(lanes, size)))


def test_a_row_keeps_its_first_error():
    call = make()
    at = call.keep(call.rows, np.array([True, False, True]), Errno.BADF)
    at = call.in_memory(at, np.array([0, 2**32 - 1, 65533]), 4)
    assert at.tolist() == [0] and call.errors.tolist() == [0, Errno.BADF, Errno.FAULT]


def test_pieces_are_those_of_each_lane_in_order():
    call = make()
    call.guest.memory[:, :16].view("<u4")[:] = [100, 5, 200, 6]
    at, parts = call.parts(call.rows, np.array([0, 8, 0]), np.array([2, 1, 0]))
    assert at.tolist() == [0, 1, 2] and parts.at.tolist() == [0, 0, 1] and parts.start.tolist() == [100, 200, 200]


def test_what_a_lane_names_is_bounded():
    call = make(2, 1 << 21)
    call.guest.memory[:, :8192].view("<u4").reshape(2, -1, 2)[:] = [0, 1 << 20]
    at, parts = call.parts(call.rows, np.zeros(2, int), np.array([MOST_PARTS, MOST_PARTS + 1]))
    assert (
        at.tolist() == [0] and parts.totals(2).tolist() == [MOST_BYTES, 0] and call.errors.tolist() == [0, Errno.INVAL]
    )
