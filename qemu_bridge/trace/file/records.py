"""The dictionary's records of blocks, and what they say of executed blocks: instructions, addresses, continuity.

>>> records = Records(blob, offsets, instructions)
>>> begun_instructions(records, blocks, NONE, events)      # 4711
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_uint32, c_uint64, c_void_p
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .native import NONE, U8, U16, U32, U64, checked, load, pointer

__all__ = [
    "ENDING",
    "FINDING",
    "NONE",
    "EventList",
    "Flow",
    "Found",
    "Records",
    "begun_instructions",
    "block_addresses",
    "check_blocks",
    "index_records",
]

ENDING = np.dtype([("target", "<u8"), ("flow", "<u4"), ("opcode", "<u4")])
FINDING = np.dtype([("index", "<u8"), ("kind", "<u4"), ("event", "<u4")])


class Flow(IntEnum):
    """How a block's last instruction may continue."""

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


class _Records(ctypes.Structure):
    _fields_ = (
        *(("blob", c_void_p), ("bytes", c_uint64)),
        *(("offset", c_void_p), ("instructions", c_void_p), ("count", c_uint64)),
    )


_EVENTS = (c_void_p, c_void_p, c_uint64, c_void_p, c_uint64)


@cache
def _library() -> ctypes.CDLL:
    return load(
        "glassbox_codec",
        {
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
        },
    )


def _call(name: str, *arguments: object) -> int:
    return checked(getattr(_library(), name)(*arguments))


def index_records(blob: U8, base: int = 0) -> tuple[U64, U32, U16]:
    """Of the records in `blob`, in order: offsets (from `base`), ids, instructions; `TraceError` for a damaged one."""
    capacity, largest = len(blob) // 40 + 1, c_uint32(0)
    offset, instructions = np.empty(capacity, np.uint64), np.empty(capacity, np.uint16)
    found = _call(
        "gb_index_records",
        *(pointer(blob, np.uint8), len(blob), 0, offset.ctypes.data, instructions.ctypes.data, capacity),
        ctypes.byref(largest),
    )
    offset = offset[:found]
    ids = blob[offset[:, None] + np.arange(4, 8, dtype=np.uint64)].view("<u4")[:, 0]
    return offset + np.uint64(base), ids, instructions[:found]


class Records:
    """Dictionary records by number: `blob` of whole records, the offset of each (~0: none has this number), instructions."""

    def __init__(self, blob: U8, offset: U64, instructions: U16) -> None:
        # The C side reads records where they are, as structures of 64-bit words.
        if blob.ctypes.data % 8:
            blob = blob.copy()
        self.blob, self.offset = blob, np.ascontiguousarray(offset, np.uint64)
        self.instructions = np.ascontiguousarray(instructions, np.uint16)
        self._c = _Records(
            *(self.blob.ctypes.data, len(self.blob)),
            *(self.offset.ctypes.data, self.instructions.ctypes.data, len(self.offset)),
        )

    @property
    def pointer(self) -> object:
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
            *(pointer(self.at, np.uint32), pointer(self.offset, np.uint32), len(self.at)),
            *(pointer(self.words, np.uint32), len(self.words)),
        )


def begun_instructions(
    records: Records, blocks: U32, following: int, events: EventList, base: int = 0, out: U16 | None = None
) -> int:
    """Sum of the instructions begun in `blocks` (positions from `base` on), given the one after them or `NONE`.

    `out` gets the number for each block.
    """
    target = None if out is None else pointer(out, np.uint16)
    return _call(
        "gb_begun",
        *(records.pointer, pointer(blocks, np.uint32), len(blocks), following, *events.arguments(), base, target),
    )


def block_addresses(records: Records, slots: U32, pages: U32, homes: U64, blocks: U32, events: EventList) -> U64:
    """Linear address at which each block ran; `homes` is brought up to date (see gb_addresses)."""
    out = np.empty(len(blocks), np.uint64)
    _call(
        "gb_addresses",
        *(records.pointer, pointer(slots, np.uint32), pointer(pages, np.uint32), pointer(homes, np.uint64), len(pages)),
        *(pointer(blocks, np.uint32), len(blocks), *events.arguments(), out.ctypes.data),
    )
    return out


def check_blocks(
    records: Records,
    endings: npt.NDArray[Any],
    blocks: U32,
    addresses: U64,
    before: tuple[int, int],
    events: EventList,
    capacity: int = 1000,
) -> tuple[int, npt.NDArray[Any]]:
    """How many blocks do not follow from the one before, and the first `capacity` of these as `FINDING`.

    `before` is the block before the first and its address, (`NONE`, 0) if there is none.
    """
    found = np.empty(capacity, FINDING)
    count = _call(
        "gb_check",
        *(
            records.pointer,
            pointer(endings, ENDING),
            pointer(blocks, np.uint32),
            len(blocks),
            pointer(addresses, np.uint64),
        ),
        *(*before, *events.arguments(), found.ctypes.data, capacity),
    )
    return count, found[: min(count, capacity)]
