"""Arguments and environment: lists of texts, one for each lane or one for all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .call import Call
from .guest import Array, Index, Parts


class Lists:
    """Lists of texts, laid out as lanes want them: each text with its NUL, one after another."""

    def __init__(self, lists: Sequence[Sequence[bytes]]) -> None:
        """`lists` are one for all lanes, or one for each."""
        self.is_shared = len(lists) == 1
        self.counts = np.array([len(each) for each in lists], np.int64)
        lengths = np.array([len(text) + 1 for each in lists for text in each], np.int64)
        self.blob = np.frombuffer(b"".join(text + b"\0" for each in lists for text in each), np.uint8)
        ends = np.concatenate([[0], np.cumsum(lengths)])
        self._first = np.concatenate([[0], np.cumsum(self.counts)])
        self._starts = ends[self._first[:-1]]
        self.sizes = ends[self._first[1:]] - self._starts
        self._offsets = ends[:-1] - np.repeat(self._starts, self.counts)

    def of(self, lanes: Index) -> Index:
        """The number of each lane's list."""
        return np.zeros(len(lanes), np.int64) if self.is_shared else lanes

    def sizes_get(self, call: Call, count_at: Array, size_at: Array) -> None:
        """Write how many texts there are, and their bytes."""
        at = call.in_memory(call.in_memory(call.rows, count_at, 4), size_at, 4)
        number = self.of(call.lanes[at])
        call.put(at, count_at, self.counts[number], "<u4")
        call.put(at, size_at, self.sizes[number], "<u4")

    def get(self, call: Call, pointers_at: Array, texts_at: Array) -> None:
        """Write the texts and a pointer to each."""
        number = self.of(call.lanes)
        at = call.in_memory(call.rows, pointers_at, self.counts[number] * 4)
        at = call.in_memory(at, texts_at, self.sizes[number])
        if not len(at):
            return
        number = number[at]
        if self.is_shared:
            call.guest.write(at, texts_at[at], self.blob[None, :])
            pointers = (texts_at[at][:, None] + self._offsets[None, :]).astype("<u4")
            call.guest.write_records(at, pointers_at[at], pointers)
            return
        texts = Parts(at, self._starts[number], self.sizes[number])
        call.guest.scatter(Parts(at, texts_at[at], self.sizes[number]), self.blob[texts.places()])
        counts = self.counts[number]
        offsets = self._offsets[Parts(at, self._first[number], counts).places()]
        pointers = (np.repeat(texts_at[at], counts) + offsets).astype("<u4")
        call.guest.scatter(Parts(at, pointers_at[at], counts * 4), pointers.view(np.uint8))


class Inputs:
    """Bytes, one piece for each lane or one for all."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """`pieces` are one for all lanes, or one for each."""
        self.is_shared = len(pieces) == 1
        self.sizes = np.array([len(piece) for piece in pieces], np.int64)
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.blob = np.frombuffer(b"".join(pieces), np.uint8)

    def of(self, lanes: Index) -> Index:
        """The number of each lane's piece."""
        return np.zeros(len(lanes), np.int64) if self.is_shared else lanes
