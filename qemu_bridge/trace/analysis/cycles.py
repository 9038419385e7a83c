"""Cyclic paths: what blocks ran from a loop's head until a jump went back to it, with the loops inside left out.

Hot loops span several blocks, so a loop is found as a path and not as a block (as Dynamo does: Bala, Duesterwald and
Banerjia, PLDI 2000). ``tcg_plugin/cycles.h`` says how: a jump back to a block that is on the stack ends a round of a path that
begins there, and the round leaves the stack. So a loop around it sees the inner loop as a mark on the block where
that one begins, and each instruction belongs to one path, the innermost.

>>> ids = np.array([7, 1, 2, 3, 1, 2, 3, 1, 2, 3, 9], np.uint32)      # 7, then 1 2 3 three times
>>> finder = CycleFinder(table)
>>> finder.find(ids, begun)
>>> finder.take(10).symbols, finder.take(10).rounds
(array([1, 2, 3], dtype=uint32), array([2], dtype=uint64))

The last time through a loop leads out of it and not back, so it belongs to what is around: a round is counted at its end.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..file.block_table import BlockTable
from ..file.native import U8, U16, U32, U64, checked, load, pointer
from ..file.records import Flow

LOOPED = np.uint32(1 << 31)
"""In a path's symbol: loops that begin at this block ran before it."""
DEPTH = 4096
"""Blocks that the stack holds: no path is longer, loops inside not counted."""
SLOTS = 1 << 15
SYMBOLS = 1 << 22

_CALL = 0xE8
_NONE, _ANY = 0xFFFF, 0xFFFE
_BLOCK = np.dtype([("word", "<u8"), ("place", "<u4"), ("last", "<u4"), ("back", "<u2"), ("low", "<u2"), ("pad", "<u4")])
_PATH = np.dtype(
    [
        *(("key", "<u8"), ("rounds", "<u8"), ("own", "<u8"), ("total", "<u8")),
        *(("root", "<u4"), ("first", "<u4"), ("length", "<u4"), ("pad", "<u4")),
    ]
)
_ENTRY = np.dtype("V32")


class _Cycles(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("blocks", "stack", "powers", "paths", "symbols")),
        *((name, c_uint64) for name in ("limit", "symbol_capacity", "symbol_count", "path_count")),
        *((name, c_uint64) for name in ("hash", "own", "now", "top", "base", "previous")),
    )


@cache
def _library() -> ctypes.CDLL:
    return load(
        "glassbox_mining",
        {
            **dict.fromkeys(("gb_cycles_begin", "gb_cycles_break", "gb_cycles_clear"), (POINTER(_Cycles),)),
            "gb_cycles_find": (POINTER(_Cycles), c_void_p, c_void_p, c_uint64, c_uint32),
            "gb_cycles_name": (POINTER(_Cycles), c_void_p, c_uint64, *[c_void_p] * 3, c_uint64, c_void_p, c_void_p),
            "gb_count_blocks": (c_void_p, c_void_p, c_uint64, c_uint64, c_void_p, c_void_p),
        },
    )


@dataclass(frozen=True, slots=True)
class Cycles:
    """Cyclic paths, a row each; symbols of all of them, one path after another.

    Attributes:
        names: a hash of the symbols, the same in all frames.
        roots: the `root` that was passed to `find`.
        rings: the highest of the blocks'.
        rounds: how often the path was gone through.
        own: instructions that began in it and in no loop inside it.
        total: instructions with those of the loops inside.
        lengths: symbols.
        symbols: ids of blocks, with `LOOPED`; a path begins at its least address, if that is in it once.
    """

    names: U64
    roots: U32
    rings: U8
    rounds: U64
    own: U64
    total: U64
    lengths: U32
    symbols: U32


class CycleFinder:
    """Finds cyclic paths in streams of the blocks of one dictionary, and holds what it found until `take`."""

    def __init__(self, table: BlockTable) -> None:
        """`table` is the frame's dictionary, whose numbers `find` takes."""
        self._table = table
        self._blocks = _blocks_of(table)
        self._paths = np.empty(SLOTS, _PATH)
        self._arrays = (np.empty(DEPTH, _ENTRY), np.empty(DEPTH + 1, np.uint64))
        self._symbols = np.empty(SYMBOLS, np.uint32)
        self._state = _Cycles(
            *(self._blocks.ctypes.data, self._arrays[0].ctypes.data, self._arrays[1].ctypes.data),
            *(self._paths.ctypes.data, self._symbols.ctypes.data, len(table), SYMBOLS),
        )
        _library().gb_cycles_begin(ctypes.byref(self._state))

    def find(self, numbers: U32, begun: U16, root: int = 0) -> int:
        """Continue with blocks and the instructions begun in each; returns how many were taken: fewer if `take` is due."""
        state = ctypes.byref(self._state)
        arguments = (pointer(numbers, np.uint32), pointer(begun, np.uint16), len(numbers), root)
        return checked(_library().gb_cycles_find(state, *arguments))

    def break_off(self) -> None:
        """The next blocks do not follow from the last ones: begin with an empty stack."""
        _library().gb_cycles_break(ctypes.byref(self._state))

    def take(self, most: int) -> Cycles:
        """The `most` paths with the most instructions of their own, and as many with the most in all; forget all others."""
        slots = np.flatnonzero(self._paths["length"]).astype(np.uint32)
        if len(slots) > most:
            slots = np.union1d(*(_most(slots, self._paths[name][slots], most) for name in ("own", "total")))
        found = self._paths[slots]
        out = np.empty(int(found["length"].sum()), np.uint32)
        names, rings = np.empty(len(slots), np.uint64), np.empty(len(slots), np.uint8)
        checked(
            _library().gb_cycles_name(
                *(ctypes.byref(self._state), slots.ctypes.data, len(slots)),
                *(pointer(self._table.ids, np.uint32), pointer(self._table.rings, np.uint8)),
                *(out.ctypes.data, len(out), names.ctypes.data, rings.ctypes.data),
            )
        )
        _library().gb_cycles_clear(ctypes.byref(self._state))
        columns = {name: found[name].copy() for name in ("rounds", "own", "total")}
        return Cycles(names, found["root"].copy(), rings, **columns, lengths=found["length"].copy(), symbols=out)


def _most(slots: U32, weights: U64, most: int) -> U32:
    return slots[np.argpartition(weights, len(slots) - most)[len(slots) - most :]]


def _blocks_of(table: BlockTable) -> npt.NDArray[Any]:
    """What the C side knows of each block. A call closes no loop, and neither does a return: functions are where they like."""
    blocks = np.zeros(len(table), _BLOCK)
    words = table.ids.astype(np.uint64) + np.uint64(1)
    # The finalizer of MurmurHash3 (Appleby, public domain).
    for multiplier in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        words = (words ^ (words >> np.uint64(33))) * np.uint64(multiplier)
    blocks["word"] = words ^ (words >> np.uint64(33))
    blocks["place"][np.lexsort((table.ids, table.addresses))] = np.arange(len(table), dtype=np.uint32)
    flow, opcode = table.endings["flow"], table.endings["opcode"]
    jumps = (flow == Flow.BRANCH) | ((flow == Flow.JUMP) & (opcode != _CALL))
    blocks["back"] = np.where(jumps, table.endings["target"] & np.uint64(0xFFF), np.uint64(_NONE))
    blocks["back"][flow == Flow.REPEAT] = _ANY
    blocks["low"] = table.addresses & np.uint64(0xFFF)
    return blocks


def count_blocks(numbers: U32, begun: U16, executions: U64, instructions: U64) -> None:
    """Add to `executions` and `instructions`, by number, what `numbers` executed."""
    checked(
        _library().gb_count_blocks(
            *(pointer(numbers, np.uint32), pointer(begun, np.uint16), len(numbers), len(executions)),
            *(pointer(executions, np.uint64), pointer(instructions, np.uint64)),
        )
    )
