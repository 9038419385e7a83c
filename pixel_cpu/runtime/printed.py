"""What lanes print, kept by lane and stream: in memory, and beyond a bound in a file without a name."""

from __future__ import annotations

import tempfile
import weakref
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

KEPT_BYTES = 64 << 20
"""Bytes that stay in memory."""


class Printed:
    """Texts by lane and stream, which grow at their ends and are read from any place on."""

    def __init__(self, kept: int = KEPT_BYTES) -> None:
        self.kept = kept
        self._fresh: dict[tuple[int, int], bytearray] = {}
        self._stored: dict[tuple[int, int], list[tuple[int, int]]] = {}
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def write(self, stream: int, lanes: NDArray[Any], lengths: NDArray[Any], data: NDArray[np.uint8]) -> None:
        """Add ``lengths[i]`` bytes to ``lanes[i]``, which lie one after another in `data`."""
        text, at = data.tobytes(), 0
        for lane, length in zip(lanes.tolist(), lengths.tolist(), strict=True):
            self._fresh.setdefault((lane, stream), bytearray()).extend(text[at : at + length])
            at += length
        self._bytes += at
        if self._bytes > self.kept:
            self._store()

    def _store(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()
            weakref.finalize(self, self._file.close)
        self._file.seek(0, 2)
        for key, text in self._fresh.items():
            self._stored.setdefault(key, []).append((self._file.tell(), len(text)))
            self._file.write(text)
        self._fresh.clear()
        self._bytes = 0

    def read(self, lane: int, stream: int, start: int = 0) -> bytes:
        """What a lane has printed to a stream, without the first `start` bytes."""
        found = []
        for at, length in self._stored.get((lane, stream), ()):
            if start < length:
                assert self._file
                self._file.seek(at + start)
                found.append(self._file.read(length - start))
            start = max(start - length, 0)
        found.append(bytes(self._fresh.get((lane, stream), b"")[start:]))
        return b"".join(found)

    def drop(self, lane: int) -> None:
        """Forget what a lane has printed; its part of the file stays."""
        for stream in (1, 2):
            self._bytes -= len(self._fresh.pop((lane, stream), b""))
            self._stored.pop((lane, stream), None)


class Part:
    """The sink of some lanes, numbered from 0, whose numbers in `printed` are `lanes`."""

    def __init__(self, printed: Printed, lanes: NDArray[np.int64]) -> None:
        self.printed, self.lanes = printed, lanes

    def write(self, stream: int, lanes: NDArray[Any], lengths: NDArray[Any], data: NDArray[np.uint8]) -> None:
        """As `Printed.write`."""
        self.printed.write(stream, self.lanes[lanes], lengths, data)
