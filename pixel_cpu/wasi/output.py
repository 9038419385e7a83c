"""What lanes write to stdout and stderr, kept in order, in bounded memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol

import numpy as np

from .guest import Array, Index

STDOUT, STDERR = 1, 2
KEPT_BYTES = 32 << 20
"""Bytes that are kept in memory before they go to a temporary file."""

_CHUNK = 4 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """What a lane wrote to a stream, until it wrote to the other one."""

    lane: int
    stream: int
    data: bytes


class Sink(Protocol):
    """Where output goes: called once for a round and stream, in the order of time."""

    def write(self, stream: int, lanes: Index, lengths: Index, data: Array) -> None:
        """Take ``lengths[i]`` bytes of ``lanes[i]``, ascending, one after another in `data` (uint8), for `STDOUT` or `STDERR`."""


_ENTRY = np.dtype([("lane", "<i8"), ("stream", "u1"), ("length", "<i8"), ("at", "<i8")])


class Output:
    """A sink that keeps everything: `of` gives a stream of a lane, `records` all, by lane and then time.

    More than `kept` bytes go to a temporary file without a name, sorted, so that memory stays bounded.
    """

    def __init__(self, kept: int = KEPT_BYTES) -> None:
        self.kept = kept
        self._new: list[tuple[int, Index, Index, Array]] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None
        self._runs: list[Array] = []

    def write(self, stream: int, lanes: Index, lengths: Index, data: Array) -> None:
        """Take what lanes wrote."""
        self._new.append((stream, lanes, lengths, data))
        self._bytes += len(data) + lanes.nbytes + lengths.nbytes
        if self._bytes > self.kept:
            self._sort()

    def _sort(self) -> None:
        """Bring what is new in the order of lanes, and append it to the file."""
        if not self._new:
            return
        entries = np.zeros(sum(len(lanes) for _, lanes, _, _ in self._new), _ENTRY)
        place = 0
        for stream, lanes, lengths, _ in self._new:
            part = entries[place : place + len(lanes)]
            part["lane"], part["stream"], part["length"] = lanes, stream, lengths
            place += len(lanes)
        entries["at"] = np.cumsum(entries["length"]) - entries["length"]
        data = np.concatenate([each[3] for each in self._new])
        self._new, self._bytes = [], 0
        entries = entries[entries["length"] > 0]
        entries = entries[np.argsort(entries["lane"], kind="stable")]
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # closed by `close`
        begin = self._file.seek(0, 2)
        ends = np.cumsum(entries["length"])
        for part in np.split(
            entries, np.searchsorted(ends, np.arange(_CHUNK, int(ends[-1]) if len(ends) else 0, _CHUNK))
        ):
            self._file.write(data[_places(part["at"], part["length"])].tobytes())
        entries["at"] = begin + ends - entries["length"]
        if len(entries):
            # Neighbours of the same lane and stream become one.
            begins = np.ones(len(entries), bool)
            begins[1:] = (entries["lane"][1:] != entries["lane"][:-1]) | (
                entries["stream"][1:] != entries["stream"][:-1]
            )
            total = np.add.reduceat(entries["length"], np.flatnonzero(begins))
            entries = entries[begins]
            entries["length"] = total
        self._runs.append(entries)

    def records(self, lane: int | None = None) -> Iterator[Record]:
        """Records of one lane, or of all, by lane and then time."""
        self._sort()
        if not self._runs:
            return
        assert self._file
        runs = self._runs
        if lane is not None:
            runs = [
                run[np.searchsorted(run["lane"], lane) : np.searchsorted(run["lane"], lane, "right")] for run in runs
            ]
        entries = np.concatenate(runs)
        entries = entries[np.argsort(entries["lane"], kind="stable")]
        for number, stream, length, at in entries.tolist():
            self._file.seek(at)
            yield Record(number, stream, self._file.read(length))

    def of(self, lane: int, stream: int) -> bytes:
        """All that a lane wrote to `STDOUT` or `STDERR`."""
        return b"".join(record.data for record in self.records(lane) if record.stream == stream)

    def close(self) -> None:
        """Forget everything."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._runs, self._new = [], []


def _places(start: Array, length: Array) -> Array:
    ends = np.cumsum(length)
    found: Array = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(start - ends + length, length)
    return found
