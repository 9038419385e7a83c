"""One call of the host, by all lanes that wait in it."""

from __future__ import annotations

import numpy as np

from .abi import Errno
from .guest import Array, Guest, Index, Parts

MOST_PARTS = 1024
"""Pieces of memory that one read or write may name."""
MOST_BYTES = 1 << 20
"""Bytes that a lane reads or writes in one call; it calls again for the rest, as after any short read or write."""


class Call:
    """The lanes of a request, what they gave, and the error of each so far.

    `rows` are all rows of the request; methods take and give rows that have no error yet.
    """

    def __init__(self, lanes: Index, guest: Guest) -> None:
        self.lanes, self.guest = lanes, guest
        self.errors: Array = np.zeros(len(lanes), np.int32)
        self.rows: Index = np.arange(len(lanes))
        self.until: Array | None = None
        self.ended: Array | None = None

    def keep(self, at: Index, held: Array, error: int) -> Index:
        """The rows that hold; the others get `error`."""
        if held.all():
            return at
        self.errors[at[~held]] = error
        return at[held]

    def fail(self, at: Index | int, error: int) -> None:
        """Give rows an error."""
        self.errors[at] = error

    def in_memory(self, at: Index, start: Array, length: Array | int) -> Index:
        """The rows whose memory holds ``length[at]`` bytes from ``start[at]`` on; EFAULT for the others."""
        size = length if isinstance(length, int) else length[at]
        return self.keep(at, self.guest.holds(at, start[at], size), Errno.FAULT)

    def put(self, at: Index, start: Array, values: Array | int, kind: str) -> None:
        """Write numbers to ``start[at]``."""
        self.guest.write_numbers(at, start[at], values, kind)

    def parts(self, at: Index, vectors: Array, counts: Array) -> tuple[Index, Parts]:
        """The pieces of memory that arrays of (address, length) name, each lane's cut at `MOST_BYTES`.

        EINVAL for more than `MOST_PARTS`, EFAULT for what is not in memory.
        """
        at = self.keep(at, counts[at] <= MOST_PARTS, Errno.INVAL)
        at = self.in_memory(at, vectors, counts * 8)
        found = []
        for count in np.unique(counts[at]).tolist():
            rows = at[counts[at] == count]
            pairs = self.guest.read(rows, vectors[rows], count * 8).view("<u4").astype(np.int64)
            found.append((np.repeat(rows, count), pairs[:, 0::2].reshape(-1), pairs[:, 1::2].reshape(-1)))
        if not found:
            return at, Parts(at, at, at)
        rows, start, length = (np.concatenate([each[place] for each in found]) for place in range(3))
        if len(found) > 1:
            order = np.argsort(rows, kind="stable")
            rows, start, length = rows[order], start[order], length[order]
        outside = ~self.guest.holds(rows, start, length)
        if outside.any():
            self.errors[rows[outside]] = Errno.FAULT
            at = at[self.errors[at] == 0]
        total = len(self.lanes)
        parts = Parts(rows, start, length).of(at, total).limited(np.full(total, MOST_BYTES))
        return at, parts
