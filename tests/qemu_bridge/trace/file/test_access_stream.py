"""Encoded loads and stores: round trips, cost, hostile input."""

import numpy as np
import pytest
from trace_records import decode_all

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.file.access_stream import AccessEncoder, decode_accesses
from qemu_bridge.trace.file.columns import Columns
from qemu_bridge.trace.file.records import NONE


def strided(rounds, value=None):
    """Words of a loop of one block that loads from a table, and stores what it counts."""
    words = []
    for i in range(rounds):
        store = [2 << 30 | 1 << 29 | 3 << 25 | 4 << 16, 0x5000]
        if value is not None:
            store = [store[0] | 1 << 28, 0x5000, i * value, 0]
        words += [3, 2 << 30 | 3 << 25 | 1 << 16, 0x1000 + 8 * i, *store]
    return np.array(words, np.uint32)


@pytest.mark.parametrize("value", [None, 1, 3])
def test_a_loop_whose_accesses_are_predicted_costs_a_few_bytes_in_all(value):
    accesses = AccessEncoder()
    accesses.reserve(10)
    Columns(1 << 16).split(strided(10_000, value), accesses)
    at, _meta, addresses, values = decode_all(accesses, np.full(10_000, 3), 10)
    assert np.array_equal(at, np.repeat(np.arange(1, 10_001), 2))
    assert np.array_equal(addresses[::2], 0x1000 + 8 * np.arange(10_000))
    assert np.array_equal(values[1::2, 0], np.arange(10_000) * (value or 0))
    assert sum(stream.nbytes for stream in accesses.finish()) < 80


def test_a_group_of_any_length_comes_back_and_so_does_what_came_before_the_first_block():
    loads = [[2 << 30 | 2 << 25, 0x100 + 4 * i] for i in range(1000)]
    sizes = (3, 255, 256, 257, 1000, 0, 512)
    words = [word for load in loads[:2] for word in load]
    for size in sizes:
        words += [1, *(word for load in loads[:size] for word in load)]
    accesses = AccessEncoder()
    accesses.reserve(2)
    Columns(1 << 14).split(np.array(words, np.uint32), accesses)
    at, _, addresses, _ = decode_all(accesses, np.ones(len(sizes) - 1), 2, following=1)
    assert np.array_equal(np.bincount(at), [2, *sizes])
    assert np.array_equal(addresses[-512:], 0x100 + 4 * np.arange(512))


def groups_of_all_kinds(valued):
    """Records of blocks that repeat: full groups, each size of value, unaligned and unpredicted addresses."""
    random = np.random.default_rng(11)
    records = []
    for turn in range(60):
        for block, size in ((1, 3), (2, 0), (3, 256), (4, 7), (5, 2 + turn % 3), (3, 512), (1, 3)):
            records.append([block])
            for i in range(size):
                meta = (i * block) % 5 << 9 | i % 2 << 13 | valued << 12 | i % 512
                stray = int(random.integers(1 << 47)) if random.random() < 0.1 else 0
                address = 0x5000 + 24 * i + turn * block ^ stray
                values = [1, 1, 1, 2, 4][meta >> 9 & 7] if valued else 0
                value = (
                    random.integers(1 << 32, size=values).tolist() if random.random() < 0.2 else [turn * block] * values
                )
                records.append([2 << 30 | meta << 16 | address >> 32, address & 0xFFFFFFFF, *value])
    return records


@pytest.mark.parametrize("valued", [0, 1])
def test_the_streams_are_the_same_whether_words_come_together_or_one_record_at_a_time(valued):
    records = groups_of_all_kinds(valued)
    streams = []
    for step in (1, 50, len(records)):
        accesses = AccessEncoder()
        accesses.reserve(10)
        columns = Columns(1 << 10)
        for start in range(0, len(records), step):
            words = [word for record in records[start : start + step] for word in record]
            columns.reserve(len(words))
            columns.split(np.array(words, np.uint32), accesses)
        streams.append([stream.tobytes() for stream in accesses.finish()])
    assert streams[0] == streams[1] == streams[2] and all(streams[0][:3])


def test_streams_of_accesses_that_are_cut_or_longer_or_of_other_blocks_are_refused():
    accesses = AccessEncoder()
    accesses.reserve(10)
    Columns(1 << 12).split(strided(200, 3), accesses)
    good, blocks = accesses.finish(), np.full(200, 3, np.uint32)
    for name, stream in good._asdict().items():
        for bad in (stream[:-1], np.append(stream, stream.dtype.type(0))):
            with pytest.raises(TraceError):
                decode_accesses(good._replace(**{name: bad}), blocks, NONE, 10, accesses.count)
    for arguments in (
        (blocks[:-1], NONE, 10, 400),
        (blocks, NONE, 10, 399),
        (blocks, NONE, 10, 401),
        (blocks, 3, 10, 400),
    ):
        with pytest.raises(TraceError):
            decode_accesses(good, *arguments)
    with pytest.raises(TraceError):
        decode_accesses(good, blocks, NONE, 3, 400)
