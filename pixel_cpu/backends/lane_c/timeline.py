"""What the threads of a launch did when, as runtime.c records it."""

from __future__ import annotations

import ctypes
import time

import numpy as np

from ..launch import Counters, Sample, Span, Timeline
from .group import GROUP_END, NO_LINE

COUNTS = (
    "instructions",
    "slots",
    "loads",
    "stores",
    "bytes_loaded",
    "bytes_stored",
    "branches",
    "divergent",
    "barriers",
)
"""What a launch counts, in the order of ``gb_launch.counts``."""
CAPACITY = 16_384
"""Rows of a launch; more are counted and dropped."""
ROW = np.dtype(
    [
        ("begin", "u8"),
        ("end", "u8"),
        ("first", "u8"),
        ("last", "u8"),
        ("counts", "u8", len(COUNTS)),
        ("traps", "u8"),
        ("thread", "i4"),
        ("processor", "i4"),
        ("line", "i4"),
        ("unused", "i4"),
    ]
)
"""Mirrors ``gb_row`` of runtime.c."""
_NO_PHASE = -2
_ENDS = {GROUP_END: "its end", NO_LINE: "a barrier"}


class TimelineRecord(ctypes.Structure):
    """Mirrors ``gb_timeline`` of runtime.c."""

    _fields_ = (
        ("rows", ctypes.c_void_p),
        ("capacity", ctypes.c_uint64),
        ("used", ctypes.c_uint64),
        ("counts", ctypes.c_void_p),
        ("traps", ctypes.c_void_p),
    )


class Recorder:
    """Rows for one launch. Threads write them at `address`."""

    def __init__(self, launch: int, counts_offset: int, traps_offset: int) -> None:
        """`launch` is the address of the launch's record; the offsets say where its counts and traps are."""
        self._rows = np.zeros(CAPACITY, ROW)
        self._record = TimelineRecord(
            self._rows.ctypes.data, CAPACITY, 0, launch + counts_offset, launch + traps_offset
        )
        self.address = ctypes.addressof(self._record)
        self._begin_ns = time.monotonic_ns()

    def timeline(self, kernel: str, lanes_a_unit: int, lanes: int, is_flat: bool) -> Timeline:
        """What was recorded. Units are groups of `lanes_a_unit` lanes, or where `is_flat` chunks of so many."""
        end_ns = time.monotonic_ns()
        used = int(self._record.used)
        rows = np.sort(self._rows[:used], order="end")
        spans, samples = [], []
        for row in rows:
            first, last, line = int(row["first"]), int(row["last"]), int(row["line"])
            ran = (first * lanes_a_unit, min(last * lanes_a_unit, lanes))
            name = f"lanes {ran[0]}-{ran[1] - 1}" if is_flat else _groups(first, last)
            if line != _NO_PHASE:
                name = f"group {first} to {_ENDS.get(line, f'the barrier of line {line}')}"
            times = int(row["begin"]), int(row["end"])
            spans.append(Span(f"thread {row['thread']}", name, *times, ran, int(row["processor"])))
            if line == _NO_PHASE:
                counters = Counters(**dict(zip(COUNTS, map(int, row["counts"]), strict=True)))
                samples.append(Sample(int(row["end"]), counters, int(row["traps"])))
        return Timeline(kernel, self._begin_ns, end_ns, tuple(spans), tuple(samples), max(used - CAPACITY, 0))


def _groups(first: int, last: int) -> str:
    return f"group {first}" if last == first + 1 else f"groups {first}-{last - 1}"
