"""The descriptors of every lane, as one table."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from .guest import Array, Index

MOST_DESCRIPTORS = 256
"""Descriptors that a lane may have, unless the caller says otherwise."""


class Kind(IntEnum):
    """What a descriptor is of."""

    FREE = 0
    STDIN = 1
    STDOUT = 2
    STDERR = 3
    PREOPEN = 4
    DIRECTORY = 5
    FILE = 6


ROW = np.dtype(
    [("kind", "u1"), ("access", "u1"), ("flags", "<u2"), ("preopen", "<i4"), ("file", "<i4"), ("position", "<i8")]
)
"""`file` is a number of `Files`, -1 for none yet; `preopen` the number of the preopen it came from."""

CAN_READ, CAN_WRITE = 1, 2


class Descriptors:
    """For each lane and number the descriptor. `most` bounds the numbers."""

    def __init__(self, lanes: int, preopens: int, most: int = MOST_DESCRIPTORS) -> None:
        self.most = max(most, 3 + preopens)
        self.table = np.zeros((lanes, 3 + preopens), ROW)
        self.table["file"] = -1
        self.table["kind"][:, :3] = [Kind.STDIN, Kind.STDOUT, Kind.STDERR]
        self.table["kind"][:, 3:] = Kind.PREOPEN
        self.table["preopen"][:, 3:] = np.arange(preopens)
        # Numbers that were ever taken; a closed one among them is taken again before a new one.
        self.taken = np.full(lanes, 3 + preopens, np.int64)

    def kinds(self, lanes: Index, numbers: Array) -> Array:
        """The kind of each lane's descriptor; `Kind.FREE` for numbers that it does not have."""
        inside = numbers < self.table.shape[1]
        return np.where(inside, self.table["kind"][lanes, np.where(inside, numbers, 0)], Kind.FREE)

    def get(self, lanes: Index, numbers: Array) -> Array:
        """Copies of the rows."""
        found: Array = self.table[lanes, numbers]
        return found

    def add(self, lanes: Index, rows: Array) -> Index:
        """Give each lane a new descriptor; its number, -1 where a lane has as many as it may.

        As in wasmtime the highest number that was closed comes first, then the one above all.
        """
        columns = self.table.shape[1]
        free = (self.table["kind"][lanes] == Kind.FREE) & (np.arange(columns) < self.taken[lanes][:, None])
        highest = columns - 1 - np.argmax(free[:, ::-1], axis=1)
        numbers = np.where(free.any(axis=1), highest, self.taken[lanes])
        numbers[numbers >= self.most] = -1
        if len(numbers) and numbers.max() >= columns:
            more = np.zeros((len(self.table), min(self.most, max(columns * 2, int(numbers.max()) + 1)) - columns), ROW)
            more["file"] = -1
            self.table = np.concatenate([self.table, more], axis=1)
        got = numbers >= 0
        self.table[lanes[got], numbers[got]] = rows[got]
        self.taken[lanes[got]] = np.maximum(self.taken[lanes[got]], numbers[got] + 1)
        return numbers

    def free(self, lanes: Index, numbers: Array) -> None:
        """Take descriptors away."""
        empty = np.zeros(1, ROW)
        empty["file"] = -1
        self.table[lanes, numbers] = empty
