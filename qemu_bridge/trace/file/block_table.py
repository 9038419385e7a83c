"""The blocks of a frame's dictionary as columns: addresses, code, how each ends."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tcg_plugin.layout import NO_OFFSET, BlockFlag, BlockHeader

from .native import NONE, U8, U16, U32, U64
from .records import Records, index_records

_HEADER = np.dtype(BlockHeader)


class BlockTable:
    """The blocks of one frame's dictionary, by number: columns, and the code itself.

    `ids` name content for the whole trace (ascending ids do not mean ascending numbers). `addresses` is where a block
    was first seen: user code may have run elsewhere, see `Blocks.addresses`.
    """

    def __init__(self, blob: U8) -> None:
        offset, _, self.instructions = index_records(blob)
        self.records = Records(blob, offset, self.instructions)
        places = offset[:, None] + np.arange(_HEADER.itemsize, dtype=np.uint64)
        headers = blob[places].view(_HEADER)[:, 0] if len(offset) else np.empty(0, _HEADER)
        self.sizes: U32 = headers["size"].astype(np.uint32)
        self.ids: U32 = headers["id"].astype(np.uint32)
        self.addresses: U64 = headers["address"].astype(np.uint64)
        self.offsets: U64 = headers["offset"].astype(np.uint64)
        self.bytes: U16 = headers["bytes"].astype(np.uint16)
        self.rings: U8 = headers["ring"].copy()
        self.modes: U8 = headers["mode"].copy()
        self.flags: U8 = headers["flags"].copy()

    def __len__(self) -> int:
        return len(self.ids)

    def record(self, number: int) -> bytes:
        """The whole record of a block (gb_block and what follows it)."""
        start = int(self.records.offset[number])
        return self.records.blob[start : start + int(self.sizes[number])].tobytes()

    def lengths(self, number: int) -> U8:
        """Bytes of each instruction of a block."""
        start = int(self.records.offset[number]) + _HEADER.itemsize
        return self.records.blob[start : start + int(self.instructions[number])]

    def code(self, number: int) -> bytes:
        """The bytes of a block."""
        start = int(self.records.offset[number]) + _HEADER.itemsize + int(self.instructions[number])
        return self.records.blob[start : start + int(self.bytes[number])].tobytes()

    @cached_property
    def endings(self) -> npt.NDArray[Any]:
        """How each block ends, as `records.ENDING`."""
        return self.records.endings()

    @cached_property
    def pages(self) -> tuple[U32, U32]:
        """Pages of RAM that hold user code or early kernel code, ascending, and for each block the index of its page there (~0: none)."""
        movable = ((self.rings == 3) | (self.flags & BlockFlag.MOVABLE != 0)) & (self.offsets != NO_OFFSET)
        own = (self.offsets >> np.uint64(12)).astype(np.uint32)
        pages, inverse = np.unique(own[movable], return_inverse=True)
        slots = np.full(len(self), NONE, np.uint32)
        slots[movable] = inverse
        return pages, slots
