"""The C half of reading traces, on NumPy arrays: ``tcg_plugin/codec.h`` says what each function does.

Arrays go in as they are and are never copied; every result below zero becomes a `TraceError`.

>>> columns = Columns(65536)
>>> columns.split(words, accesses)          # a chunk's words, into ids, events and encoded accesses
>>> columns.ids[:columns.id_count]
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_uint32, c_uint64, c_void_p
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .native import checked, load
from .native import pointer as _at

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

NONE = 0xFFFFFFFF
"""No block: what `begun_instructions` and `check_blocks` take where there is none before or after."""

_VARINT_MOST = 10
_SHAPE = np.dtype([("first", "<u4"), ("count", "<u2"), ("room", "<u2")])
_SLOT = np.dtype("V48")
_CONTENT_BITS, _GROUP = 16, 256
_STREAM_BYTES, _STREAM_MORE, _SLOTS = 16, 64, 4
"""What `gb_split` wants in each stream of accesses for a word, and more; slots for a word and for a meta."""
ENDING = np.dtype([("target", "<u8"), ("flow", "<u4"), ("opcode", "<u4")])
FINDING = np.dtype([("index", "<u8"), ("kind", "<u4"), ("event", "<u4")])


class Flow(IntEnum):
    """How a block's last instruction may go on."""

    NEXT = 0
    BRANCH = 1
    JUMP = 2
    ANY = 3
    REPEAT = 4


class Found(IntEnum):
    """What `check_blocks` finds."""

    JUMP = 1
    EXCEPTION = 2
    PAGE_TABLE = 3
    SYSCALL = 4
    SYSRET = 5
    IO = 6
    END = 7


class _Columns(ctypes.Structure):
    _fields_ = (
        *(("ids", c_void_p), ("id_count", c_uint64), ("id_room", c_uint64)),
        *(("event_words", c_void_p), ("event_word_count", c_uint64), ("event_word_room", c_uint64)),
        *(("event_at", c_void_p), ("event_offset", c_void_p), ("event_count", c_uint64), ("event_room", c_uint64)),
        ("base", c_uint64),
    )


class _Encoder(ctypes.Structure):
    _fields_ = (
        *(("successors", c_void_p), ("local", c_void_p), ("order", c_void_p)),
        *(("limit", c_uint64), ("local_count", c_uint64), ("run", c_uint64), ("previous", c_uint32), ("pad", c_uint32)),
    )


class _Records(ctypes.Structure):
    _fields_ = (
        *(("blob", c_void_p), ("bytes", c_uint64)),
        *(("offset", c_void_p), ("instructions", c_void_p), ("count", c_uint64)),
    )


class _Foresight(ctypes.Structure):
    _fields_ = (
        *(("shapes", c_void_p), ("slots", c_void_p), ("content", c_void_p)),
        *(("limit", c_uint64), ("slot_count", c_uint64), ("slot_room", c_uint64), ("previous", c_uint64)),
    )


class _AccessEncoder(ctypes.Structure):
    _fields_ = (
        ("model", _Foresight),
        *(("shapes", c_void_p), ("shape_bytes", c_uint64), ("shape_room", c_uint64)),
        *(("metas", c_void_p), ("meta_count", c_uint64), ("meta_room", c_uint64)),
        *(("addresses", c_void_p), ("address_bytes", c_uint64), ("address_room", c_uint64)),
        *(("value_runs", c_void_p), ("value_run_bytes", c_uint64), ("value_run_room", c_uint64)),
        *(("values", c_void_p), ("value_bytes", c_uint64), ("value_room", c_uint64)),
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


_EVENTS = (c_void_p, c_void_p, c_uint64, c_void_p, c_uint64)
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "gb_split": (c_void_p, c_uint64, POINTER(_Columns), POINTER(_AccessEncoder)),
    "gb_event_offsets": (c_void_p, c_uint64, c_void_p, c_uint64),
    "gb_encode_blocks": (
        *(POINTER(_Encoder), c_void_p, c_uint64, c_void_p, POINTER(c_uint64), c_uint64),
        *(c_void_p, POINTER(c_uint64), c_uint64),
    ),
    "gb_encode_end": (POINTER(_Encoder), c_void_p, POINTER(c_uint64), c_uint64),
    "gb_decode_blocks": (c_void_p, c_uint64, c_void_p, c_uint64, c_void_p, c_uint64, c_void_p, c_uint64),
    "gb_end_accesses": (POINTER(_AccessEncoder),),
    "gb_decode_accesses": (
        *(POINTER(_Foresight), POINTER(_AccessStreams), c_void_p, c_uint64, c_uint32, c_uint64),
        *(c_void_p, c_void_p, c_void_p, c_void_p),
    ),
    "gb_encode_ascending": (POINTER(c_uint32), c_void_p, c_uint64, c_void_p, c_uint64),
    "gb_decode_ascending": (c_void_p, c_uint64, c_void_p, c_uint64, c_uint64),
    "gb_index_records": (c_void_p, c_uint64, c_uint64, c_void_p, c_void_p, c_uint64, POINTER(c_uint32)),
    "gb_begun": (POINTER(_Records), c_void_p, c_uint64, c_uint32, *_EVENTS, c_uint64, c_void_p),
    "gb_addresses": (
        *(POINTER(_Records), c_void_p, c_void_p, c_void_p, c_uint64, c_void_p, c_uint64),
        *(*_EVENTS, c_void_p),
    ),
    "gb_endings": (POINTER(_Records), c_void_p),
    "gb_check": (
        *(POINTER(_Records), c_void_p, c_void_p, c_uint64, c_void_p, c_uint32, c_uint64),
        *(*_EVENTS, c_void_p, c_uint64),
    ),
}


@cache
def _library() -> ctypes.CDLL:
    return load("glassbox_codec", _SIGNATURES)


def _call(name: str, *arguments: object) -> int:
    return checked(getattr(_library(), name)(*arguments))


class Columns:
    """Room for what a ring's words are taken apart into: `room` items of each kind. Positions count from `base`."""

    _ARRAYS: tuple[tuple[str, type[np.generic]], ...] = (
        ("ids", np.uint32),
        ("event_words", np.uint32),
        ("event_at", np.uint32),
        ("event_offset", np.uint32),
    )

    def __init__(self, room: int) -> None:
        self._c = _Columns()
        self.room = 0
        self.ids = self.event_words = self.event_at = self.event_offset = np.empty(0, np.uint32)
        self.reserve(room)

    def reserve(self, words: int) -> None:
        """Make room for `words` more words, whatever is in them."""
        c = self._c
        used = max(c.id_count, c.event_count, c.event_word_count)
        if used + words <= self.room:
            return
        self.room = max(used + words, 2 * self.room)
        for name, dtype in self._ARRAYS:
            grown = np.empty(self.room, dtype)
            before = getattr(self, name)
            grown[: len(before)] = before
            setattr(self, name, grown)
            setattr(c, name, grown.ctypes.data)
        for name in ("id_room", "event_word_room", "event_room"):
            setattr(c, name, self.room)

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
        """Append what is in `words`, accesses to their encoder; `TraceError` if they are damaged or more than the room."""
        accesses.reserve_words(len(words))
        _call("gb_split", _at(words, np.uint32), len(words), ctypes.byref(self._c), ctypes.byref(accesses.state))

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
        """Encode `ids`, which the encoder has reserved room for; `TraceError` if one of them is no id."""
        encoder, state = self.encoder, self._state
        if len(self._successors) < 2 * encoder.limit:
            grown = np.zeros(2 * encoder.limit, np.uint32)
            grown[: len(self._successors)] = self._successors
            self._successors = grown
        self._runs = _grow(self._runs, self._run_bytes.value + _VARINT_MOST * (len(ids) + 2))
        self._misses = _grow(self._misses, self._miss_count.value + len(ids))
        state.successors, state.local = self._successors.ctypes.data, encoder._local.ctypes.data
        state.order, state.limit, state.local_count = encoder._order.ctypes.data, encoder.limit, encoder.count
        try:
            _call(
                "gb_encode_blocks",
                *(ctypes.byref(state), _at(ids, np.uint32), len(ids)),
                *(self._runs.ctypes.data, ctypes.byref(self._run_bytes), len(self._runs)),
                *(self._misses.ctypes.data, ctypes.byref(self._miss_count), len(self._misses)),
            )
        finally:
            encoder.count = int(state.local_count)

    def finish(self) -> tuple[U8, U32]:
        """Runs and misses of the frame, valid until the next `append`."""
        self._runs = _grow(self._runs, self._run_bytes.value + _VARINT_MOST)
        _call(
            "gb_encode_end",
            *(ctypes.byref(self._state), self._runs.ctypes.data, ctypes.byref(self._run_bytes), len(self._runs)),
        )
        return self._runs[: self._run_bytes.value], self._misses[: self._miss_count.value]


def _grow(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    if len(array) >= size:
        return array
    grown = np.empty(max(size, len(array) * 3 // 2), array.dtype)
    grown[: len(array)] = array
    return grown


def decode_blocks(runs: U8, misses: U32, limit: int, count: int) -> U32:
    """The `count` block numbers below `limit` of a stream."""
    out = np.empty(count, np.uint32)
    successors = np.empty(2 * limit, np.uint32)
    _call(
        "gb_decode_blocks",
        *(_at(runs, np.uint8), len(runs), _at(misses, np.uint32), len(misses)),
        *(successors.ctypes.data, limit, out.ctypes.data, count),
    )
    return out


def event_offsets(words: U32) -> U32:
    """Where in `words` each event begins."""
    out = np.empty(len(words), np.uint32)
    return out[: _call("gb_event_offsets", _at(words, np.uint32), len(words), out.ctypes.data, len(out))]


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
        ("shapes", "shape_bytes", "shape_room", np.uint8),
        ("metas", "meta_count", "meta_room", np.uint16),
        ("addresses", "address_bytes", "address_room", np.uint8),
        ("value_runs", "value_run_bytes", "value_run_room", np.uint8),
        ("values", "value_bytes", "value_room", np.uint8),
    )

    def __init__(self) -> None:
        self.state = _AccessEncoder()
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
        """Make room for `words` more words, whatever is in them."""
        state = self.state
        need = _STREAM_BYTES * words + _STREAM_MORE
        for name, used, room, dtype in self._STREAMS:
            wanted = getattr(state, used) + (need // 4 if dtype is np.uint16 else need)
            if wanted > getattr(state, room):
                array = self._arrays[name] = _grow(self._arrays[name], wanted)
                setattr(state, name, array.ctypes.data)
                setattr(state, room, len(array))
        self._model.reserve(0, state.model.slot_count + _SLOTS * words + 2 * _GROUP, state.model)

    def finish(self) -> AccessStreams:
        """The streams of the frame, valid until the next words come; empty if it had no access."""
        self.reserve_words(0)
        _call("gb_end_accesses", ctypes.byref(self.state))
        state = self.state
        return AccessStreams(*(self._arrays[name][: getattr(state, used)] for name, used, _, _ in self._STREAMS))

    def begin_frame(self, block: int) -> None:
        """Forget everything; `block` is the id that the frame begins with, if it is there already, else 0."""
        state = self.state
        self._model.clear(int(state.model.slot_count) > 0)
        for _, used, _, _ in self._STREAMS:
            setattr(state, used, 0)
        state.count = state.group_run = state.address_run = state.value_run = state.at = state.is_open = 0
        state.model.slot_count = state.model.previous = 0
        state.block, state.changed = block, NONE


class _Model:
    """The arrays of a `gb_foresight`."""

    def __init__(self) -> None:
        self.shapes = np.empty(0, _SHAPE)
        self.slots = np.empty(0, _SLOT)
        self.content = np.zeros(1 << _CONTENT_BITS, np.uint64)

    def reserve(self, limit: int, slots: int, c: _Foresight) -> None:
        if limit > len(self.shapes):
            grown = np.zeros(max(limit, 2 * len(self.shapes)), _SHAPE)
            grown[: len(self.shapes)] = self.shapes
            self.shapes = grown
        elif slots <= len(self.slots):
            return
        self.slots = _grow(self.slots, slots)
        c.shapes, c.slots, c.content = self.shapes.ctypes.data, self.slots.ctypes.data, self.content.ctypes.data
        c.limit, c.slot_room = len(self.shapes), len(self.slots)

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
    model, c = _Model(), _Foresight()
    model.reserve(limit + 1, _SLOTS * len(streams.metas), c)
    coded = _AccessStreams()
    for (name, used, _, dtype), stream in zip(AccessEncoder._STREAMS, streams, strict=True):
        setattr(coded, name, _at(stream, dtype))
        setattr(coded, used, len(stream))
    _call(
        "gb_decode_accesses",
        *(ctypes.byref(c), ctypes.byref(coded), _at(blocks, np.uint32), len(blocks), following, count),
        *(at.ctypes.data, meta.ctypes.data, address.ctypes.data, value.ctypes.data),
    )
    return at, meta, address, value


def encode_ascending(values: U32, previous: int = 0) -> bytes:
    """Ascending numbers from `previous` on, as varints of their differences."""
    out, before = np.empty(_VARINT_MOST * len(values), np.uint8), c_uint32(previous)
    size = _call(
        "gb_encode_ascending",
        *(ctypes.byref(before), _at(values, np.uint32), len(values), out.ctypes.data, len(out)),
    )
    return out[:size].tobytes()


def decode_ascending(data: U8, count: int, limit: int) -> U32:
    """The `count` numbers, none above `limit`."""
    out = np.empty(count, np.uint32)
    _call("gb_decode_ascending", _at(data, np.uint8), len(data), out.ctypes.data, count, limit)
    return out


def index_records(blob: U8, base: int = 0) -> tuple[U64, U32, U16]:
    """Of the records in `blob`, in order: offsets (from `base`), ids, instructions; `TraceError` for a damaged one."""
    room, largest = len(blob) // 40 + 1, c_uint32(0)
    offset, instructions = np.empty(room, np.uint64), np.empty(room, np.uint16)
    found = _call(
        "gb_index_records",
        *(_at(blob, np.uint8), len(blob), 0, offset.ctypes.data, instructions.ctypes.data, room),
        ctypes.byref(largest),
    )
    offset = offset[:found]
    ids = blob[offset[:, None] + np.arange(4, 8, dtype=np.uint64)].view("<u4")[:, 0]
    return offset + np.uint64(base), ids, instructions[:found]


class Records:
    """Dictionary records by number: `blob` of whole records, the offset of each (~0: none has this number), instructions."""

    def __init__(self, blob: U8, offset: U64, instructions: U16) -> None:
        # The C side reads records where they lie, as structures of 64-bit words.
        if blob.ctypes.data % 8:
            blob = blob.copy()
        self.blob, self.offset = blob, np.ascontiguousarray(offset, np.uint64)
        self.instructions = np.ascontiguousarray(instructions, np.uint16)
        self._c = _Records(
            *(self.blob.ctypes.data, len(self.blob)),
            *(self.offset.ctypes.data, self.instructions.ctypes.data, len(self.offset)),
        )

    @property
    def pointer(self) -> Any:  # noqa: ANN401  # a ctypes reference has no public type
        """For the C side."""
        return ctypes.byref(self._c)

    def endings(self) -> npt.NDArray[Any]:
        """How each record ends: `ENDING`, with `Flow` in the field ``flow``."""
        out = np.empty(len(self.offset), ENDING)
        _call("gb_endings", self.pointer, out.ctypes.data)
        return out


class EventList:
    """Events of one vCPU in one frame: positions (blocks before them), offsets into `words`, and these."""

    def __init__(self, at: U32, offset: U32, words: U32) -> None:
        self.at, self.offset, self.words = at, offset, words

    def arguments(self) -> tuple[int, int, int, int, int]:
        """For the C side."""
        return (
            *(_at(self.at, np.uint32), _at(self.offset, np.uint32), len(self.at)),
            *(_at(self.words, np.uint32), len(self.words)),
        )


def begun_instructions(
    records: Records, blocks: U32, following: int, events: EventList, base: int = 0, out: U16 | None = None
) -> int:
    """Sum of the instructions begun in `blocks` (positions from `base` on), given the one after them or `NONE`.

    `out` gets the number for each block.
    """
    target = None if out is None else _at(out, np.uint16)
    return _call(
        "gb_begun",
        *(records.pointer, _at(blocks, np.uint32), len(blocks), following, *events.arguments(), base, target),
    )


def block_addresses(records: Records, slots: U32, pages: U32, homes: U64, blocks: U32, events: EventList) -> U64:
    """Linear address at which each block ran; `homes` is brought up to date (see gb_addresses)."""
    out = np.empty(len(blocks), np.uint64)
    _call(
        "gb_addresses",
        *(records.pointer, _at(slots, np.uint32), _at(pages, np.uint32), _at(homes, np.uint64), len(pages)),
        *(_at(blocks, np.uint32), len(blocks), *events.arguments(), out.ctypes.data),
    )
    return out


def check_blocks(
    records: Records,
    endings: npt.NDArray[Any],
    blocks: U32,
    addresses: U64,
    before: tuple[int, int],
    events: EventList,
    room: int = 1000,
) -> tuple[int, npt.NDArray[Any]]:
    """How many blocks do not follow from the one before, and the first `room` of these as `FINDING`.

    `before` is the block before the first and its address, (`NONE`, 0) if there is none.
    """
    found = np.empty(room, FINDING)
    count = _call(
        "gb_check",
        *(records.pointer, _at(endings, ENDING), _at(blocks, np.uint32), len(blocks), _at(addresses, np.uint64)),
        *(*before, *events.arguments(), found.ctypes.data, room),
    )
    return count, found[: min(count, room)]
