"""Slices by themselves: rows of lanes, and copies into their memory and out of it."""

import numpy as np
import pytest
from wasm_texts import assemble

import pixel_cpu as px
from pixel_cpu.errors import LaunchError
from pixel_cpu.runtime.wasm_slices import Slice, read, write


def test_rows_are_one_for_all_lanes_or_one_for_each():
    assert Slice([1, 2]).lanes == 2 and Slice(np.arange(3)).lanes is None and Slice(np.zeros((4, 2))).lanes == 4
    assert [row.tolist() for row in Slice(np.arange(3)).rows(2)] == [[0, 1, 2]] * 2
    big = Slice(np.arange(2, dtype=">i4").reshape(1, 2)).rows(1)[0]
    assert big.tobytes() == b"\0\0\0\0\1\0\0\0"
    with pytest.raises(LaunchError, match="rows for 4 lanes, not 3"):
        Slice(np.zeros((4, 2))).rows(3)


def test_what_is_written_is_read():
    instances = px.wasm(assemble('(module (memory (export "memory") 1))')).instances(2)
    rows = [np.array([1, 2], "u2"), np.array([3], "u2")]
    at, counts = np.array([100, 200]), np.array([2, 1])
    write(instances, at, rows)
    assert instances.memory[0, 100:104].tolist() == [1, 0, 2, 0] and instances.memory[1, 200] == 3
    assert [each.tolist() for each in read(instances, at, counts, np.dtype("u2"))] == [[1, 2], [3]]
    with pytest.raises(LaunchError, match="lane 1 is outside its memory"):
        read(instances, np.array([0, 65534]), np.array([2, 2]), np.dtype("u2"))
