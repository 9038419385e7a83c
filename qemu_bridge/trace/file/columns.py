"""A ring's words, split into ids, events and encoded accesses: ``gb_split`` of ``tcg_plugin/codec.h``.

>>> columns = Columns(65536)
>>> columns.split(words, accesses)          # a chunk's words
>>> columns.ids[:columns.id_count]
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_uint64, c_void_p
from functools import cache

import numpy as np
import numpy.typing as npt

from .access_stream import AccessEncoder, EncoderState
from .format import CHUNK
from .native import U32, checked, grown, load, pointer

_MOST_CHUNKS = 64
"""Taken in one call."""


class _Columns(ctypes.Structure):
    _fields_ = (
        *(("ids", c_void_p), ("id_count", c_uint64), ("id_capacity", c_uint64)),
        *(("event_words", c_void_p), ("event_word_count", c_uint64), ("event_word_capacity", c_uint64)),
        *(("event_at", c_void_p), ("event_offset", c_void_p), ("event_count", c_uint64), ("event_capacity", c_uint64)),
        ("base", c_uint64),
    )


class Published(ctypes.Structure):
    """Chunks of one vCPU's ring: `next` up to `head` are published; `tail` is raised with `next` (tcg_plugin/codec.h)."""

    _fields_ = (
        *(("chunks", c_void_p), ("chunk_bytes", c_uint64), ("chunk_count", c_uint64)),
        *(("next", c_uint64), ("head", c_uint64), ("tail", c_void_p), ("vcpu", c_uint64)),
    )


@cache
def _library() -> ctypes.CDLL:
    return load(
        "glassbox_codec",
        {
            "gb_split": (c_void_p, c_uint64, POINTER(_Columns), POINTER(EncoderState)),
            "gb_split_chunks": (
                *(POINTER(Published), c_uint64, c_uint64, c_uint64, POINTER(_Columns), POINTER(EncoderState)),
                *(c_void_p, c_uint64),
            ),
            "gb_event_offsets": (c_void_p, c_uint64, c_void_p, c_uint64),
        },
    )


def _call(name: str, *arguments: object) -> int:
    return checked(getattr(_library(), name)(*arguments))


class Columns:
    """Arrays that a ring's words are split into, of `capacity` items of each kind. Positions count from `base`."""

    _ARRAYS = ("ids", "event_words", "event_at", "event_offset")

    def __init__(self, capacity: int) -> None:
        self._c = _Columns()
        self.capacity = 0
        self.ids = self.event_words = self.event_at = self.event_offset = np.empty(0, np.uint32)
        self._taken = np.zeros(_MOST_CHUNKS, CHUNK)
        self.reserve(capacity)

    def reserve(self, words: int) -> None:
        """Reserve space for `words` more words, whatever is in them."""
        c = self._c
        used = max(c.id_count, c.event_count, c.event_word_count)
        if used + words <= self.capacity:
            return
        self.capacity = max(used + words, 2 * self.capacity)
        for name in self._ARRAYS:
            array = grown(getattr(self, name), self.capacity)
            setattr(self, name, array)
            setattr(c, name, array.ctypes.data)
        for name in ("id_capacity", "event_word_capacity", "event_capacity"):
            setattr(c, name, self.capacity)

    @property
    def base(self) -> int:
        """Position of the first of `ids`."""
        return int(self._c.base)

    @base.setter
    def base(self, value: int) -> None:
        self._c.base = value

    def drop(self, ids: int, events: int, words: int) -> None:
        """Forget so many items of each kind, from the beginning; the rest moves there."""
        c = self._c
        for names, count, gone in (
            (("ids",), c.id_count, ids),
            (("event_at", "event_offset"), c.event_count, events),
            (("event_words",), c.event_word_count, words),
        ):
            if gone:
                for name in names:
                    array = getattr(self, name)
                    array[: count - gone] = array[gone:count].copy()
        c.id_count -= ids
        c.event_count -= events
        c.event_word_count -= words
        self.event_offset[: c.event_count] -= np.uint32(words)

    def rebase(self, blocks: int) -> None:
        """Positions count from a later beginning: `blocks` less each."""
        self.event_at[: self.event_count] -= np.uint32(blocks)

    def split(self, words: U32, accesses: AccessEncoder) -> None:
        """Append what is in `words`, accesses to their encoder; `TraceError` if they are damaged or do not fit."""
        accesses.reserve_words(len(words))
        _call("gb_split", pointer(words, np.uint32), len(words), ctypes.byref(self._c), ctypes.byref(accesses.state))

    def split_chunks(
        self, chunks: Published, accesses: AccessEncoder, *, first_block: int, most_ids: int, most_accesses: int
    ) -> npt.NDArray[np.void]:
        """Split and free chunks, at least one, until one ends a window or so many ids or accesses wait; their rows of `CHUNK`, valid until the next call.

        `first_block` is the number of the first of `ids`. `TraceError` if a chunk is damaged; it is freed as well.
        """
        words = chunks.chunk_bytes // 4
        self.reserve(words)
        accesses.reserve_words(words)
        count = _call(
            "gb_split_chunks",
            *(ctypes.byref(chunks), first_block, most_ids, most_accesses),
            *(ctypes.byref(self._c), ctypes.byref(accesses.state), self._taken.ctypes.data, len(self._taken)),
        )
        return self._taken[:count]

    @property
    def id_count(self) -> int:
        """Ids taken so far."""
        return int(self._c.id_count)

    @property
    def event_count(self) -> int:
        """Events taken so far."""
        return int(self._c.event_count)

    @property
    def event_word_count(self) -> int:
        """Words of them."""
        return int(self._c.event_word_count)


def event_offsets(words: U32) -> U32:
    """Where in `words` each event begins."""
    out = np.empty(len(words), np.uint32)
    return out[: _call("gb_event_offsets", pointer(words, np.uint32), len(words), out.ctypes.data, len(out))]
