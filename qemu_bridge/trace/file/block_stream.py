"""Executed blocks, encoded: each predicted by the last two successors of the one before (docs/trace-format.md).

>>> encoder, stream = BlockEncoder(), BlockStream(encoder)
>>> encoder.reserve(301)                    # ids below 301 may come
>>> stream.append(ids)
>>> runs, misses = stream.finish()
>>> encoder.order[decode_blocks(runs, misses, encoder.count, len(ids))]     # the same ids
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_uint32, c_uint64, c_void_p
from functools import cache

import numpy as np

from .native import U8, U32, checked, grown, load, pointer

_VARINT_MOST = 10


class _Encoder(ctypes.Structure):
    _fields_ = (
        *(("successors", c_void_p), ("local", c_void_p), ("order", c_void_p)),
        *(("limit", c_uint64), ("local_count", c_uint64), ("run", c_uint64), ("previous", c_uint32), ("pad", c_uint32)),
    )


@cache
def _library() -> ctypes.CDLL:
    return load(
        "glassbox_codec",
        {
            "gb_encode_blocks": (
                *(POINTER(_Encoder), c_void_p, c_uint64, c_void_p, POINTER(c_uint64), c_uint64),
                *(c_void_p, POINTER(c_uint64), c_uint64),
            ),
            "gb_encode_end": (POINTER(_Encoder), c_void_p, POINTER(c_uint64), c_uint64),
            "gb_decode_blocks": (c_void_p, c_uint64, c_void_p, c_uint64, c_void_p, c_uint64, c_void_p, c_uint64),
            "gb_encode_ascending": (POINTER(c_uint32), c_void_p, c_uint64, c_void_p, c_uint64),
            "gb_decode_ascending": (c_void_p, c_uint64, c_void_p, c_uint64, c_uint64),
        },
    )


def _call(name: str, *arguments: object) -> int:
    return checked(getattr(_library(), name)(*arguments))


class BlockEncoder:
    """Encodes the block streams of one frame after another; all vCPUs of a frame share its dictionary."""

    def __init__(self) -> None:
        self.limit = 0
        self._local = np.zeros(0, np.uint32)
        self._order = np.zeros(0, np.uint32)
        self.count = 0

    def reserve(self, limit: int) -> None:
        """Ids below `limit` may come from now on."""
        if limit > self.limit:
            self.limit = max(limit, 2 * self.limit, 1 << 14)
            self._local = np.concatenate([self._local, np.zeros(self.limit - len(self._local), np.uint32)])
            self._order = np.concatenate([self._order, np.zeros(self.limit - len(self._order), np.uint32)])

    @property
    def order(self) -> U32:
        """Ids of this frame, in the order of its dictionary."""
        return self._order[: self.count]

    def number(self, block_id: int) -> int:
        """The number in this frame's dictionary of `block_id`, which is put there if need be."""
        if not self._local[block_id]:
            self._order[self.count] = block_id
            self.count += 1
            self._local[block_id] = self.count
        return int(self._local[block_id]) - 1

    def begin_frame(self) -> None:
        """Forget the dictionary."""
        self._local[self.order] = 0
        self.count = 0


class BlockStream:
    """One vCPU's block stream in one frame: runs and misses, growing."""

    def __init__(self, encoder: BlockEncoder) -> None:
        self.encoder = encoder
        self._successors = np.zeros(0, np.uint32)
        self._state = _Encoder()
        self._runs, self._misses = np.empty(0, np.uint8), np.empty(0, np.uint32)
        self.begin_frame()

    def begin_frame(self) -> None:
        """Forget everything."""
        self._successors[:] = 0
        self._state.run = self._state.previous = 0
        self._run_bytes, self._miss_count = c_uint64(0), c_uint64(0)

    def append(self, ids: U32) -> None:
        """Encode `ids`, which the encoder has reserved space for; `TraceError` if one of them is no id."""
        encoder, state = self.encoder, self._state
        if len(self._successors) < 2 * encoder.limit:
            larger = np.zeros(2 * encoder.limit, np.uint32)
            larger[: len(self._successors)] = self._successors
            self._successors = larger
        self._runs = grown(self._runs, self._run_bytes.value + _VARINT_MOST * (len(ids) + 2))
        self._misses = grown(self._misses, self._miss_count.value + len(ids))
        state.successors, state.local = self._successors.ctypes.data, encoder._local.ctypes.data
        state.order, state.limit, state.local_count = encoder._order.ctypes.data, encoder.limit, encoder.count
        try:
            _call(
                "gb_encode_blocks",
                *(ctypes.byref(state), pointer(ids, np.uint32), len(ids)),
                *(self._runs.ctypes.data, ctypes.byref(self._run_bytes), len(self._runs)),
                *(self._misses.ctypes.data, ctypes.byref(self._miss_count), len(self._misses)),
            )
        finally:
            encoder.count = int(state.local_count)

    def finish(self) -> tuple[U8, U32]:
        """Runs and misses of the frame, valid until the next `append`."""
        self._runs = grown(self._runs, self._run_bytes.value + _VARINT_MOST)
        _call(
            "gb_encode_end",
            *(ctypes.byref(self._state), self._runs.ctypes.data, ctypes.byref(self._run_bytes), len(self._runs)),
        )
        return self._runs[: self._run_bytes.value], self._misses[: self._miss_count.value]


def decode_blocks(runs: U8, misses: U32, limit: int, count: int) -> U32:
    """The `count` block numbers below `limit` of a stream."""
    out = np.empty(count, np.uint32)
    successors = np.empty(2 * limit, np.uint32)
    _call(
        "gb_decode_blocks",
        *(pointer(runs, np.uint8), len(runs), pointer(misses, np.uint32), len(misses)),
        *(successors.ctypes.data, limit, out.ctypes.data, count),
    )
    return out


def encode_ascending(values: U32, previous: int = 0) -> bytes:
    """Ascending numbers from `previous` on, as varints of their differences."""
    out, before = np.empty(_VARINT_MOST * len(values), np.uint8), c_uint32(previous)
    size = _call(
        "gb_encode_ascending",
        *(ctypes.byref(before), pointer(values, np.uint32), len(values), out.ctypes.data, len(out)),
    )
    return out[:size].tobytes()


def decode_ascending(data: U8, count: int, limit: int) -> U32:
    """The `count` numbers, none above `limit`."""
    out = np.empty(count, np.uint32)
    _call("gb_decode_ascending", pointer(data, np.uint8), len(data), out.ctypes.data, count, limit)
    return out
