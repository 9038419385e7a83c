"""Launches of compiled kernels."""

import ctypes
import itertools

from pixel_cpu.backends.lane_c.kernel import LaunchRecord, runtime


def test_the_record_has_no_holes():
    """``gb_launch`` of prelude.h packs as C does, and the mirror says the same."""
    ends = [
        (getattr(LaunchRecord, name).offset, getattr(LaunchRecord, name).size) for name, *_ in LaunchRecord._fields_
    ]
    assert all(first + size == second for (first, size), (second, _) in itertools.pairwise(ends))
    assert sum(ends[-1]) == ctypes.sizeof(LaunchRecord)


def test_the_runtime_has_a_thread_for_each_processor():
    assert runtime().gb_threads() >= 1
