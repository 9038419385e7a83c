"""What lanes print: by lane and stream, in memory and in a file."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pixel_cpu.runtime.printed import STDERR, STDOUT, Part, Printed, Record


def put(sink, stream, texts):
    """Let lanes print at once."""
    lanes = sorted(texts)
    data = b"".join(texts[lane] for lane in lanes)
    lengths = np.array([len(texts[lane]) for lane in lanes])
    sink.write(stream, np.array(lanes), lengths, np.frombuffer(data, np.uint8))


@pytest.mark.parametrize("kept", [0, 50, 1 << 20])
def test_texts_come_back_whole_and_from_any_place(kept):
    dice = random.Random(5)
    printed = Printed(kept)
    wanted = {}
    for _ in range(40):
        stream = dice.choice((1, 2))
        texts = {lane: dice.randbytes(dice.randrange(9)) for lane in dice.sample(range(6), 3)}
        put(printed, stream, texts)
        for lane, text in texts.items():
            wanted[lane, stream] = wanted.get((lane, stream), b"") + text
    for (lane, stream), text in wanted.items():
        for start in (0, 1, len(text) // 2, len(text), len(text) + 3):
            assert printed.read(lane, stream, start) == text[start:]


def test_a_lane_that_is_dropped_begins_anew():
    printed = Printed(0)
    put(printed, 1, {0: b"old", 1: b"other"})
    printed.drop(0)
    put(printed, 1, {0: b"new"})
    assert (printed.read(0, 1), printed.read(1, 1), printed.read(7, 1)) == (b"new", b"other", b"")


def test_a_part_has_numbers_of_its_own():
    printed = Printed()
    put(Part(printed, np.array([5, 9, 11])), 2, {0: b"a", 2: b"bc"})
    assert (printed.read(5, 2), printed.read(9, 2), printed.read(11, 2), printed.read(0, 2)) == (b"a", b"", b"bc", b"")


@pytest.mark.parametrize("kept", [1, 1 << 20])
def test_output_comes_back_by_lane_and_time(kept):
    output = Printed(kept)
    put(output, STDOUT, {0: b"a", 2: b"bb"})
    put(output, STDERR, {0: b"E", 1: b""})
    put(output, STDOUT, {0: b"ccc", 1: b"d", 2: b"e"})
    assert [(each.lane, each.stream, each.data) for each in output.records(0)] == [
        (0, 1, b"a"),
        (0, 2, b"E"),
        (0, 1, b"ccc"),
    ]
    assert output.read(2, STDOUT) == b"bbe" and output.read(0, STDERR) == b"E" and output.read(1, STDERR) == b""
    assert [each.lane for each in output.records()] == sorted(each.lane for each in output.records())
    put(output, STDOUT, {0: b"!"})
    assert output.read(0, STDOUT) == b"accc!"
    output.close()


def test_nothing_written_is_nothing_read():
    output = Printed()
    assert list(output.records()) == [] and output.read(3, STDOUT) == b""
    output.close()


def test_what_exceeds_the_bound_leaves_memory():
    output, lanes = Printed(100_000), np.arange(1000)
    for turn in range(50):
        output.write(STDOUT, lanes, np.full(1000, 10), np.full(10_000, 48 + turn % 10, np.uint8))
        assert sum(len(text) for pieces in output._fresh.values() for _, text in pieces) <= 100_000
    assert output.read(999, STDOUT) == b"".join(b"%d" % (turn % 10) * 10 for turn in range(50))
    assert next(output.records(5)) == Record(5, STDOUT, next(output.records(5)).data)
    output.close()
