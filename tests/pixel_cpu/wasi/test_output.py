"""Output is kept by lane and then time, in memory or in a temporary file."""

import numpy as np
import pytest

from pixel_cpu.wasi.output import STDERR, STDOUT, Output, Record


def write(output, stream, *texts):
    lanes = np.array([lane for lane, _ in texts], np.int64)
    lengths = np.array([len(text) for _, text in texts], np.int64)
    output.write(stream, lanes, lengths, np.frombuffer(b"".join(text for _, text in texts), np.uint8))


@pytest.mark.parametrize("kept", [1, 1 << 20])
def test_output_comes_back_by_lane_and_time(kept):
    output = Output(kept)
    write(output, STDOUT, (0, b"a"), (2, b"bb"))
    write(output, STDERR, (0, b"E"), (1, b""))
    write(output, STDOUT, (0, b"ccc"), (1, b"d"), (2, b"e"))
    assert [(each.lane, each.stream, each.data) for each in output.records(0)] == [
        (0, 1, b"a"),
        (0, 2, b"E"),
        (0, 1, b"ccc"),
    ]
    assert output.of(2, STDOUT) == b"bbe" and output.of(0, STDERR) == b"E" and output.of(1, STDERR) == b""
    assert [each.lane for each in output.records()] == sorted(each.lane for each in output.records())
    write(output, STDOUT, (0, b"!"))
    assert output.of(0, STDOUT) == b"accc!"
    output.close()


def test_nothing_written_is_nothing_read():
    output = Output()
    assert list(output.records()) == [] and output.of(3, STDOUT) == b""
    output.close()


def test_what_exceeds_the_bound_leaves_memory():
    output, lanes = Output(100_000), np.arange(1000)
    for turn in range(50):
        output.write(STDOUT, lanes, np.full(1000, 10), np.full(10_000, 48 + turn % 10, np.uint8))
        assert sum(each[3].nbytes for each in output._new) <= 100_000
    assert output.of(999, STDOUT) == b"".join(b"%d" % (turn % 10) * 10 for turn in range(50))
    assert next(output.records(5)) == Record(5, STDOUT, next(output.records(5)).data)
    output.close()
