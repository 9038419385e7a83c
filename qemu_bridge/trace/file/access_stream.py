"""Loads and stores, encoded: each predicted from what its instruction accessed before (docs/trace-format.md).

`Columns.split` encodes them while it takes a ring's words apart; `decode_accesses` is the way back.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_uint32, c_uint64, c_void_p
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .native import NONE, U16, U32, U64, checked, grown, load, pointer

_SHAPE = np.dtype([("first", "<u4"), ("count", "<u2"), ("capacity", "<u2")])
_SLOT = np.dtype("V48")
_CONTENT_BITS, _GROUP = 16, 256
_STREAM_BYTES, _STREAM_MORE, _SLOTS = 16, 64, 4
"""What `gb_split` wants in each stream of accesses for a word, and more; slots for a word and for a meta."""


class _Predictor(ctypes.Structure):
    _fields_ = (
        *(("shapes", c_void_p), ("slots", c_void_p), ("content", c_void_p)),
        *(("limit", c_uint64), ("slot_count", c_uint64), ("slot_capacity", c_uint64), ("previous", c_uint64)),
    )


class EncoderState(ctypes.Structure):
    """State of the access encoder (tcg_plugin/codec.h)."""

    _fields_ = (
        ("model", _Predictor),
        *(("shapes", c_void_p), ("shape_bytes", c_uint64), ("shape_capacity", c_uint64)),
        *(("metas", c_void_p), ("meta_count", c_uint64), ("meta_capacity", c_uint64)),
        *(("addresses", c_void_p), ("address_bytes", c_uint64), ("address_capacity", c_uint64)),
        *(("value_runs", c_void_p), ("value_run_bytes", c_uint64), ("value_run_capacity", c_uint64)),
        *(("values", c_void_p), ("value_bytes", c_uint64), ("value_capacity", c_uint64)),
        *(("count", c_uint64), ("group_run", c_uint64), ("address_run", c_uint64), ("value_run", c_uint64)),
        *(("block", c_uint32), ("at", c_uint32), ("changed", c_uint32), ("is_open", c_uint32)),
    )


class _AccessStreams(ctypes.Structure):
    _fields_ = (
        *(("shapes", c_void_p), ("shape_bytes", c_uint64), ("metas", c_void_p), ("meta_count", c_uint64)),
        *(
            ("addresses", c_void_p),
            ("address_bytes", c_uint64),
            ("value_runs", c_void_p),
            ("value_run_bytes", c_uint64),
        ),
        *(("values", c_void_p), ("value_bytes", c_uint64)),
    )


@cache
def _library() -> ctypes.CDLL:
    return load(
        "glassbox_codec",
        {
            "gb_end_accesses": (POINTER(EncoderState),),
            "gb_have_capacity": (POINTER(EncoderState), c_uint64),
            "gb_decode_accesses": (
                *(POINTER(_Predictor), POINTER(_AccessStreams), c_void_p, c_uint64, c_uint32, c_uint64),
                *(c_void_p, c_void_p, c_void_p, c_void_p),
            ),
        },
    )


def _call(name: str, *arguments: object) -> int:
    return checked(getattr(_library(), name)(*arguments))


class AccessStreams(NamedTuple):
    """The accesses of one vCPU in one frame, encoded; docs/trace-format.md says how. Bytes, but for metas, which are u16."""

    shapes: npt.NDArray[Any]
    metas: npt.NDArray[Any]
    addresses: npt.NDArray[Any]
    value_runs: npt.NDArray[Any]
    values: npt.NDArray[Any]


class AccessEncoder:
    """Encodes one vCPU's loads and stores while `Columns.split` takes its words apart; positions count as there."""

    _STREAMS: tuple[tuple[str, str, str, type[np.generic]], ...] = (
        ("shapes", "shape_bytes", "shape_capacity", np.uint8),
        ("metas", "meta_count", "meta_capacity", np.uint16),
        ("addresses", "address_bytes", "address_capacity", np.uint8),
        ("value_runs", "value_run_bytes", "value_run_capacity", np.uint8),
        ("values", "value_bytes", "value_capacity", np.uint8),
    )

    def __init__(self) -> None:
        self.state = EncoderState()
        self._state, self._have_capacity = ctypes.byref(self.state), _library().gb_have_capacity
        self._arrays: dict[str, npt.NDArray[Any]] = {name: np.empty(0, dtype) for name, _, _, dtype in self._STREAMS}
        self._model = _Model()
        self._model.reserve(1, 0, self.state.model)
        self.begin_frame(0)

    @property
    def count(self) -> int:
        """Accesses of this frame."""
        return int(self.state.count)

    def reserve(self, limit: int) -> None:
        """Ids below `limit` may come from now on."""
        self._model.reserve(limit, 0, self.state.model)

    def reserve_words(self, words: int) -> None:
        """Reserve space for `words` more words, whatever is in them."""
        state = self.state
        if self._have_capacity(self._state, words):
            return
        need = _STREAM_BYTES * words + _STREAM_MORE
        for name, used, capacity, dtype in self._STREAMS:
            wanted = getattr(state, used) + (need // 4 if dtype is np.uint16 else need)
            if wanted > getattr(state, capacity):
                array = self._arrays[name] = grown(self._arrays[name], wanted)
                setattr(state, name, array.ctypes.data)
                setattr(state, capacity, len(array))
        self._model.reserve(0, state.model.slot_count + _SLOTS * words + 2 * _GROUP, state.model)

    def finish(self) -> AccessStreams:
        """The streams of the frame, valid until the next words come; empty if it had no access."""
        self.reserve_words(0)
        _call("gb_end_accesses", ctypes.byref(self.state))
        state = self.state
        return AccessStreams(*(self._arrays[name][: getattr(state, used)] for name, used, _, _ in self._STREAMS))

    def begin_frame(self, block: int) -> None:
        """Forget everything; `block` is the id of the block that is open already, else 0."""
        state = self.state
        self._model.clear(int(state.model.slot_count) > 0)
        for _, used, _, _ in self._STREAMS:
            setattr(state, used, 0)
        state.count = state.group_run = state.address_run = state.value_run = state.at = state.is_open = 0
        state.model.slot_count = state.model.previous = 0
        state.block, state.changed = block, NONE


class _Model:
    """The arrays of a `gb_access_predictor`."""

    def __init__(self) -> None:
        self.shapes = np.empty(0, _SHAPE)
        self.slots = np.empty(0, _SLOT)
        self.content = np.zeros(1 << _CONTENT_BITS, np.uint64)

    def reserve(self, limit: int, slots: int, c: _Predictor) -> None:
        if limit > len(self.shapes):
            larger = np.zeros(max(limit, 2 * len(self.shapes)), _SHAPE)
            larger[: len(self.shapes)] = self.shapes
            self.shapes = larger
        elif slots <= len(self.slots):
            return
        self.slots = grown(self.slots, slots)
        c.shapes, c.slots, c.content = self.shapes.ctypes.data, self.slots.ctypes.data, self.content.ctypes.data
        c.limit, c.slot_capacity = len(self.shapes), len(self.slots)

    def clear(self, is_used: bool) -> None:
        if is_used:
            self.shapes[:] = 0
            self.content[:] = 0


def decode_accesses(
    streams: AccessStreams, blocks: U32, following: int, limit: int, count: int
) -> tuple[U32, U16, U64, U64]:
    """What was encoded in a frame whose dictionary has `limit` records and whose vCPU ran `blocks`, then `following` or `NONE`.

    Returns positions, metas (docs/trace-format.md), addresses, and values as two words each, zeros where there is none.
    """
    at, meta = np.empty(count, np.uint32), np.empty(count, np.uint16)
    address, value = np.empty(count, np.uint64), np.empty((count, 2), np.uint64)
    if not count and not any(len(stream) for stream in streams):
        return at, meta, address, value
    model, c = _Model(), _Predictor()
    model.reserve(limit + 1, _SLOTS * len(streams.metas), c)
    coded = _AccessStreams()
    for (name, used, _, dtype), stream in zip(AccessEncoder._STREAMS, streams, strict=True):
        setattr(coded, name, pointer(stream, dtype))
        setattr(coded, used, len(stream))
    _call(
        "gb_decode_accesses",
        *(ctypes.byref(c), ctypes.byref(coded), pointer(blocks, np.uint32), len(blocks), following, count),
        *(at.ctypes.data, meta.ctypes.data, address.ctypes.data, value.ctypes.data),
    )
    return at, meta, address, value
