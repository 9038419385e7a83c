"""Bounded reads in pieces: what is not there is named, and what is too much is refused before anything is read."""

import pytest

from qemu_bridge.errors import AddressError, UsageError
from qemu_bridge.introspection.memory_reads import check_ranges, read_ranges
from qemu_bridge.wire.operations import MAX_READ_BYTES, MAX_READ_RANGES


def read(address, size):
    if address >= 0x1000:
        raise AddressError(f"{address:#x} is outside guest RAM; read below 0x1000")
    return bytes(size)


def test_a_piece_that_is_not_there_is_none_and_named_without_advice():
    pieces, skipped = read_ranges([(0, 4), (0x1000, 8), (16, 0)], read)
    assert [None if piece is None else bytes(piece) for piece in pieces] == [bytes(4), None, b""]
    assert skipped == ["8 bytes at 0x1000: 0x1000 is outside guest RAM"]


@pytest.mark.parametrize(
    "ranges",
    [
        [(0, 1)] * (MAX_READ_RANGES + 1),
        [(-1, 1)],
        [(1 << 64, 1)],
        [(0, -1)],
        [(0, MAX_READ_BYTES + 1)],
        [(0, MAX_READ_BYTES), (0, 1)],
    ],
)
def test_more_than_a_call_may_read_is_refused_with_advice(ranges):
    with pytest.raises(UsageError, match="; "):
        check_ranges(ranges)


def test_as_much_as_a_call_may_read_is_accepted():
    check_ranges([(0, MAX_READ_BYTES)])
    check_ranges([((1 << 64) - 1, 0)] * MAX_READ_RANGES)
