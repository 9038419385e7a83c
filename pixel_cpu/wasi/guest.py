"""The memory of many lanes, read and written at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Index = NDArray[np.int64]

_SHORT = 256
"""Bytes up to which a byte-wise index is quicker than a copy for each lane."""


class Guest:
    """The memory of the lanes that wait in a call. Everywhere `at` are numbers of rows of the request, not of lanes."""

    def __init__(self, memory: Array, lanes: Index, sizes: Index) -> None:
        self.memory, self.lanes, self.sizes = memory, lanes, sizes

    def holds(self, at: Index, start: Array, length: Array | int) -> NDArray[np.bool_]:
        """Whether `length` bytes from `start` on lie in the memory that each lane has now."""
        held: NDArray[np.bool_] = start + length <= self.sizes[at]
        return held

    def _rows(self, at: Index) -> Index | slice:
        lanes = self.lanes[at]
        if len(lanes) and lanes[-1] - lanes[0] + 1 == len(lanes):
            return slice(int(lanes[0]), int(lanes[-1]) + 1)
        return lanes

    def read(self, at: Index, start: Array, length: int) -> Array:
        """A copy of `length` bytes of each lane, a row each."""
        if not len(at):
            return np.zeros((0, length), np.uint8)
        if (start == start[0]).all():
            first = int(start[0])
            return np.array(self.memory[self._rows(at), first : first + length], order="C")
        if length <= _SHORT:
            found: Array = self.memory[self.lanes[at][:, None], start[:, None] + np.arange(length)]
            return found
        rows = np.empty((len(at), length), np.uint8)
        for row, lane, first in zip(rows, self.lanes[at].tolist(), start.tolist(), strict=True):
            row[:] = self.memory[lane, first : first + length]
        return rows

    def write(self, at: Index, start: Array, rows: Array) -> None:
        """Write a row of bytes to each lane; a single row goes to all of them."""
        length = rows.shape[1]
        if not len(at) or not length:
            return
        if (start == start[0]).all():
            first = int(start[0])
            self.memory[self._rows(at), first : first + length] = rows
        elif length <= _SHORT:
            self.memory[self.lanes[at][:, None], start[:, None] + np.arange(length)] = rows
        else:
            for row, lane, first in zip(
                np.broadcast_to(rows, (len(at), length)), self.lanes[at].tolist(), start.tolist(), strict=True
            ):
                self.memory[lane, first : first + length] = row

    def write_numbers(self, at: Index, start: Array, values: Any, kind: str) -> None:  # noqa: ANN401  # numbers
        """Write a number of type `kind` (``"<u4"``) to each lane."""
        numbers = np.broadcast_to(np.asarray(values), (len(at),)).astype(kind)
        self.write_records(at, start, numbers)

    def write_records(self, at: Index, start: Array, records: Array) -> None:
        """Write a record to each lane; a single one goes to all of them."""
        if len(at):
            self.write(at, start, records.view(np.uint8).reshape(len(records), -1))

    def texts(self, at: Index, start: Array, length: Array) -> list[bytes]:
        """The bytes of each lane, of its own length."""
        if len(at) > 1 and (length == length[0]).all():
            width = int(length[0])
            joined = self.read(at, start, width).tobytes()
            return (
                [joined[place : place + width] for place in range(0, width * len(at), width)]
                if width
                else [b""] * len(at)
            )
        return [
            self.memory[lane, first : first + size].tobytes()
            for lane, first, size in zip(self.lanes[at].tolist(), start.tolist(), length.tolist(), strict=True)
        ]

    def gather(self, parts: Parts) -> Array:
        """The bytes of all parts, one after another."""
        total = int(parts.length.sum())
        if not total:
            return np.zeros(0, np.uint8)
        if (parts.length == parts.length[0]).all() and (parts.start == parts.start[0]).all() and parts.is_one_each:
            return self.read(parts.at, parts.start, int(parts.length[0])).reshape(-1)
        if total > _SHORT * len(parts.at):
            return np.concatenate(
                [
                    self.memory[lane, first : first + size]
                    for lane, first, size in zip(
                        self.lanes[parts.at].tolist(), parts.start.tolist(), parts.length.tolist(), strict=True
                    )
                ]
            )
        found: Array = self.memory[parts.spread(self.lanes[parts.at]), parts.places()]
        return found

    def scatter(self, parts: Parts, content: Array) -> None:
        """Write bytes to all parts, one after another."""
        places = np.cumsum(parts.length) - parts.length
        if len(content) > _SHORT * len(parts.at):
            for lane, first, size, place in zip(
                self.lanes[parts.at].tolist(), parts.start.tolist(), parts.length.tolist(), places.tolist(), strict=True
            ):
                self.memory[lane, first : first + size] = content[place : place + size]
        elif len(content):
            self.memory[parts.spread(self.lanes[parts.at]), parts.places()] = content


@dataclass(frozen=True)
class Parts:
    """Pieces of memory: `length` bytes from `start` on in row `at`, ascending by row."""

    at: Index
    start: Array
    length: Array

    @property
    def is_one_each(self) -> bool:
        """Whether no row has two pieces."""
        return bool((self.at[1:] != self.at[:-1]).all())

    def totals(self, rows: int) -> Index:
        """Bytes of each of the request's `rows`."""
        found = np.zeros(rows, np.int64)
        np.add.at(found, self.at, self.length)
        return found

    def of(self, at: Index, rows: int) -> Parts:
        """The pieces of the rows in `at`."""
        if len(at) == rows:
            return self
        wanted = np.zeros(rows, bool)
        wanted[at] = True
        kept = wanted[self.at]
        return Parts(self.at[kept], self.start[kept], self.length[kept])

    def limited(self, limits: Array) -> Parts:
        """The pieces, cut where those of a row exceed its element of `limits` (an element for each row of the request)."""
        ends = np.cumsum(self.length)
        firsts = np.concatenate([[True], self.at[1:] != self.at[:-1]]) if len(self.at) else np.zeros(0, bool)
        begin = (ends - self.length)[firsts]
        before = ends - self.length - np.repeat(begin, np.diff(np.append(np.flatnonzero(firsts), len(self.at))))
        length = np.clip(limits[self.at] - before, 0, self.length)
        kept = length > 0
        return Parts(self.at[kept], self.start[kept], length[kept])

    def spread(self, values: Array) -> Array:
        """A value of each piece, once for each of its bytes."""
        return np.repeat(values, self.length)

    def places(self) -> Index:
        """The address of each byte."""
        ends = np.cumsum(self.length)
        found: Index = np.arange(int(ends[-1])) + np.repeat(self.start - ends + self.length, self.length)
        return found


def groups(*keys: Array) -> list[Index]:
    """The places whose keys are all equal, ascending in each group."""
    if not len(keys[0]):
        return []
    if all((key == key[0]).all() for key in keys):
        return [np.arange(len(keys[0]))]
    order = np.lexsort(keys)
    differs = np.zeros(len(order) - 1, bool)
    for key in keys:
        ordered = key[order]
        differs |= ordered[1:] != ordered[:-1]
    return np.split(order, np.flatnonzero(differs) + 1)
