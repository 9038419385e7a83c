"""Encoded block streams: round trips, cost, hostile input."""

import numpy as np
import pytest
from trace_program import Program

from qemu_bridge.errors import TraceError
from qemu_bridge.trace.file.block_stream import (
    BlockEncoder,
    BlockStream,
    decode_ascending,
    decode_blocks,
    encode_ascending,
)


def encode(parts, limit):
    encoder = BlockEncoder()
    encoder.reserve(limit)
    stream = BlockStream(encoder)
    for part in parts:
        stream.append(part)
    runs, misses = stream.finish()
    return runs, misses, encoder


@pytest.mark.parametrize("bias", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("split", [1, 7, 5000])
def test_a_block_stream_comes_back_however_it_was_cut_into_chunks(bias, split):
    ids = Program().walk(5000, bias)
    runs, misses, encoder = encode([ids[start : start + split] for start in range(0, len(ids), split)], 301)
    numbers = decode_blocks(runs, misses, encoder.count, len(ids))
    assert np.array_equal(encoder.order[numbers], ids)


def test_a_loop_costs_nothing():
    ids = np.tile(np.arange(1, 20, dtype=np.uint32), 10000)
    runs, misses, _ = encode([ids], 20)
    assert len(runs) + 4 * len(misses) < 150


def test_an_id_out_of_range_is_refused():
    for bad in (0, 1 << 20):
        with pytest.raises(TraceError):
            encode([np.array([1, bad], np.uint32)], 5)


def test_random_and_mutated_streams_are_refused_or_decode_to_blocks_in_range():
    random, program = np.random.default_rng(1), Program()
    runs, misses, encoder = encode([program.walk(3000)], 301)
    refused = 0
    for _ in range(3000):
        bad_runs, bad_misses = runs.copy(), misses.copy()
        for array in (bad_runs, bad_misses):
            for place in random.integers(0, len(array), random.integers(0, 3)):
                array[place] = random.integers(0, 256 if array.dtype == np.uint8 else 1 << 32)
        bad_runs = bad_runs[: random.integers(0, len(runs) + 1)] if random.random() < 0.3 else bad_runs
        try:
            numbers = decode_blocks(bad_runs, bad_misses, encoder.count, int(random.integers(0, 4000)))
        except TraceError:
            refused += 1
        else:
            assert not len(numbers) or numbers.max() < encoder.count
    assert refused > 1000


def test_ascending_numbers_come_back():
    numbers = np.sort(np.random.default_rng(3).integers(0, 2001, 5000)).astype(np.uint32)
    coded = np.frombuffer(encode_ascending(numbers), np.uint8)
    assert np.array_equal(decode_ascending(coded, len(numbers), 2001), numbers)
    with pytest.raises(TraceError):
        decode_ascending(coded, len(numbers), int(numbers[-1]) - 1)
