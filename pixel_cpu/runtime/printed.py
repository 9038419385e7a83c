"""What lanes print, kept by lane in the order of time: in memory, and beyond a bound in a file without a name."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

STDOUT, STDERR = 1, 2
KEPT_BYTES = 32 << 20
"""Bytes that stay in memory."""
_PIECE_BYTES = 160
"""What a piece takes beside its text."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a lane wrote to a stream, until it wrote to the other one."""

    lane: int
    stream: int
    data: bytes


class Sink(Protocol):
    """Where output goes: called once for a round and stream, in the order of time."""

    def write(self, stream: int, lanes: NDArray[Any], lengths: NDArray[Any], data: NDArray[np.uint8]) -> None:
        """Take ``lengths[i]`` bytes of ``lanes[i]``, ascending, one after another in `data`, for `STDOUT` or `STDERR`."""


class Printed:
    """A sink that keeps everything: texts by lane and stream, which grow at their ends and are read from any place on.

    More than `kept` bytes go to a file, so that memory stays bounded.
    """

    def __init__(self, kept: int = KEPT_BYTES) -> None:
        self.kept = kept
        self._fresh: dict[int, list[tuple[int, bytearray]]] = {}
        """Pieces of each lane: stream and text."""
        self._stored: dict[int, list[tuple[int, int, int]]] = {}
        """Earlier pieces: stream, place in the file, length."""
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def write(self, stream: int, lanes: NDArray[Any], lengths: NDArray[Any], data: NDArray[np.uint8]) -> None:
        """As `Sink.write`."""
        text, at = data.tobytes(), 0
        for lane, length in zip(lanes.tolist(), lengths.tolist(), strict=True):
            if not length:
                continue
            pieces = self._fresh.setdefault(lane, [])
            if not pieces or pieces[-1][0] != stream:
                pieces.append((stream, bytearray()))
                self._bytes += _PIECE_BYTES
            pieces[-1][1].extend(text[at : at + length])
            at += length
        self._bytes += at
        if self._bytes > self.kept:
            self._store()

    def _store(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()
            weakref.finalize(self, self._file.close)
        self._file.seek(0, 2)
        for lane, pieces in self._fresh.items():
            stored = self._stored.setdefault(lane, [])
            for stream, text in pieces:
                stored.append((stream, self._file.tell(), len(text)))
                self._file.write(text)
        self._fresh.clear()
        self._bytes = 0

    def read(self, lane: int, stream: int, start: int = 0) -> bytes:
        """What a lane has printed to a stream, without the first `start` bytes."""
        found = []
        for own, at, length in self._stored.get(lane, ()):
            if own == stream:
                if start < length:
                    found.append(self._read(at + start, length - start))
                start = max(start - length, 0)
        for own, text in self._fresh.get(lane, ()):
            if own == stream:
                found.append(bytes(text[start:]))
                start = max(start - len(text), 0)
        return b"".join(found)

    def _read(self, at: int, length: int) -> bytes:
        assert self._file
        self._file.seek(at)
        return self._file.read(length)

    def records(self, lane: int | None = None) -> Iterator[Record]:
        """What one lane has printed, or all, by lane and then time."""
        for number in sorted({*self._stored, *self._fresh}) if lane is None else [lane]:
            for stream, at, length in self._stored.get(number, ()):
                yield Record(number, stream, self._read(at, length))
            for stream, text in self._fresh.get(number, ()):
                yield Record(number, stream, bytes(text))

    def drop(self, lane: int) -> None:
        """Forget what a lane has printed; its part of the file stays."""
        self._bytes -= sum(_PIECE_BYTES + len(text) for _, text in self._fresh.pop(lane, ()))
        self._stored.pop(lane, None)

    def close(self) -> None:
        """Forget everything."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._stored, self._fresh, self._bytes = {}, {}, 0


class Part:
    """The sink of some lanes, numbered from 0, whose numbers in `printed` are `lanes`."""

    def __init__(self, printed: Printed, lanes: NDArray[np.int64]) -> None:
        self.printed, self.lanes = printed, lanes

    def write(self, stream: int, lanes: NDArray[Any], lengths: NDArray[Any], data: NDArray[np.uint8]) -> None:
        """As `Sink.write`."""
        self.printed.write(stream, self.lanes[lanes], lengths, data)
