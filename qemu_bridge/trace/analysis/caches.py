"""A model of set-associative caches with LRU replacement, over streams of addresses from a trace, a kernel or anything else.

>>> caches = Caches(l1=Cache(32 << 10, 8), l2=Cache(1 << 20, 16))
>>> model = CacheModel(caches)
>>> model.refer(addresses, sizes, stores)          # for each: 0 in L1, 1 in L2, 2 in memory
array([2, 0, 0, ...], dtype=uint8)
>>> counts = count_stream(caches, addresses, sizes, kinds, instructions)   # the same, and strides, by instruction
>>> counts.misses[:, 0, Kind.LOAD], counts.foreseen

There is a first level of data, one of instructions, and below them up to two levels of both. A reference touches every line
that it overlaps; it misses a level if one of these lines is not there, and then the whole of it goes to the level below, as in
Valgrind's cachegrind. Stores bring lines in as loads do. No level knows what another holds, and nothing is written back.

A miss is not a time: there is no prefetcher in the model, no latency and no overlap. `CacheCounts` says how
many addresses a stride predictor foresees, not what that would save.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_uint64, c_void_p
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from ...wire.records import Record
from ..file.block_table import BlockTable
from ..file.native import U8, U16, U32, U64, checked, load, pointer

MOST_BYTES = 1 << 30
"""Of one cache."""
_NO_LINE = (1 << 64) - 1
_LEVELS, _DISTANCES = 3, 6
_LINES = range(4, 13)
_COUNTS = np.dtype([("references", "<u8", 3), ("misses", "<u8", (_LEVELS, 3))])
_ROW = np.dtype(
    [
        *(("counts", _COUNTS), ("foreseen", "<u8"), ("moves", "<u8"), ("next_line", "<u8")),
        *(("distances", "<u8", _DISTANCES), ("stride", "<i8"), ("last", "<u8", (2, 3))),
    ]
)

DISTANCES = ("same", "line up", "line down", "page up", "page down", "farther")
"""Classes of strides: 0; up or down by less than a line; by less than a page (4 KiB); any other."""


class Kind(IntEnum):
    """What a reference is."""

    LOAD = 0
    STORE = 1
    FETCH = 2
    """Of an instruction."""


class Cache(Record, frozen=True):
    """One cache: its size in bytes, and how many lines a set holds."""

    size_bytes: int
    ways: int

    def sets(self, line_bytes: int) -> int:
        """Sets of lines of `line_bytes`."""
        return self.size_bytes // (self.ways * line_bytes)


class Caches(Record, frozen=True):
    """The caches of one processor.

    Attributes:
        l1: first level, of data.
        l1i: first level, of instructions; None: like `l1`.
        l2: second level, of both; None: there is none.
        ll: last level, of both; None: there is none.
        line_bytes: bytes of a line, in all of them.
    """

    l1: Cache = Cache(32 << 10, 8)
    l1i: Cache | None = None
    l2: Cache | None = None
    ll: Cache | None = None
    line_bytes: int = 64

    def levels(self) -> tuple[tuple[str, Cache], ...]:
        """(name, cache) of each level of data, from the first on."""
        levels = (("l1", self.l1), ("l2", self.l2), ("ll", self.ll))
        return tuple((name, level) for name, level in levels if level is not None)

    def validate(self) -> None:
        """Raise `UsageError` for a size that no cache has."""
        if self.line_bytes not in [1 << bits for bits in _LINES]:
            raise UsageError(f"lines of {self.line_bytes} bytes are unsupported; give a power of two from 16 to 4096")
        first = () if self.l1i is None else (("l1i", self.l1i),)
        for name, level in (*first, *self.levels()):
            if not 0 < level.size_bytes <= MOST_BYTES or level.ways < 1:
                raise UsageError(
                    f"{name} has {level.size_bytes} bytes and {level.ways} ways; give up to 1 GiB, and 1 or more"
                )
            sets = level.sets(self.line_bytes)
            if sets * level.ways * self.line_bytes != level.size_bytes or sets & (sets - 1) or not sets:
                raise UsageError(
                    f"{name} of {level.size_bytes} bytes with {level.ways} ways of {self.line_bytes} bytes has no power of two of"
                    f" sets; give a size that is {level.ways * self.line_bytes} bytes times a power of two"
                )


class _Cache(ctypes.Structure):
    _fields_ = (("lines", c_void_p), ("sets", c_uint64), ("ways", c_uint64))


class _Caches(ctypes.Structure):
    _fields_ = (
        *(("instructions", _Cache), ("levels", _Cache * _LEVELS)),
        *(("level_count", c_uint64), ("line_bits", c_uint64), ("fetched", c_uint64)),
    )


class _Blocks(ctypes.Structure):
    _fields_ = (*((name, c_void_p) for name in ("number", "begun", "address", "space")), ("count", c_uint64))


class _Accesses(ctypes.Structure):
    _fields_ = (
        *((name, c_void_p) for name in ("block", "instruction", "address", "size", "is_store")),
        ("count", c_uint64),
    )


@cache
def _library() -> ctypes.CDLL:
    return load(
        "glassbox_mining",
        {
            "gb_cache_stream": (POINTER(_Caches), *[c_void_p] * 3, c_uint64, *[c_void_p] * 3, c_uint64),
            "gb_cache_blocks": (
                *(POINTER(_Caches), c_void_p, POINTER(_Blocks), POINTER(_Accesses)),
                *(c_void_p, c_uint64, c_void_p, c_void_p, c_uint64),
            ),
        },
    )


class CacheCounts:
    """What was counted, a row for each instruction (or space); columns are views.

    Attributes:
        references: shape (n, 3), by `Kind`.
        misses: shape (n, levels, 3), by level and `Kind`.
    """

    def __init__(self, rows: npt.NDArray[Any], levels: int) -> None:
        """`rows` is of the module's own dtypes."""
        self.rows, self.level_count = rows, levels
        counts = rows["counts"] if rows.dtype == _ROW else rows
        self.references: U64 = counts["references"]
        self.misses: U64 = counts["misses"][:, :levels]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def foreseen(self) -> U64:
        """Loads and stores that were at the address of the one before plus the stride before: those that a stride predictor foresees.

        Loads and stores of an instruction are predicted apart. The first two of each cannot be foreseen.
        """
        return self._column("foreseen")

    @property
    def moves(self) -> U64:
        """Loads and stores to another line than the one before, of the same instruction."""
        return self._column("moves")

    @property
    def next_line(self) -> U64:
        """Of the moves, those to the line behind: sequential ones."""
        return self._column("next_line")

    @property
    def distances(self) -> U64:
        """Shape (n, 6): strides by the classes of `DISTANCES`."""
        return self._column("distances")

    @property
    def strides(self) -> npt.NDArray[np.int64]:
        """The stride that was foreseen last, in bytes; of no meaning where none was."""
        found: npt.NDArray[np.int64] = self.rows["stride"]
        return found

    def _column(self, name: str) -> U64:
        found: U64 = self.rows[name]
        return found


class CacheModel:
    """The caches of one processor and what they hold; empty at first."""

    def __init__(self, caches: Caches) -> None:
        """`UsageError` for a size that no cache has."""
        caches.validate()
        self.caches, self.level_count = caches, len(caches.levels())
        self._lines: list[U64] = []
        levels = [self._make(level) for _, level in caches.levels()]
        self._state = _Caches(
            self._make(caches.l1i or caches.l1),
            (_Cache * _LEVELS)(*levels),
            self.level_count,
            caches.line_bytes.bit_length() - 1,
            _NO_LINE,
        )

    def _make(self, level: Cache) -> _Cache:
        lines = np.full(level.size_bytes // self.caches.line_bytes, _NO_LINE, np.uint64)
        self._lines.append(lines)
        return _Cache(lines.ctypes.data, level.sets(self.caches.line_bytes), level.ways)

    def refer(self, addresses: npt.ArrayLike, sizes: npt.ArrayLike, kinds: npt.ArrayLike) -> U8:
        """Put references through the caches, in order; returns how many levels each missed.

        `addresses` has the first byte of each, `sizes` the bytes, or one size for all, `kinds` the `Kind`, or whether it is
        a store. `UsageError` for arrays of different lengths, `TraceError` for an unknown kind.
        """
        stream = _Stream(addresses, sizes, kinds)
        depths = np.empty(len(stream.addresses), np.uint8)
        self._run(stream, depths.ctypes.data, None, None, 0)
        return depths

    def count_into(
        self, rows: npt.NDArray[Any], row: U32, addresses: npt.ArrayLike, sizes: npt.ArrayLike, kinds: npt.ArrayLike
    ) -> None:
        """The same, and count reference i for `rows[row[i]]`; `rows` is of `empty_rows`."""
        stream = _Stream(addresses, sizes, kinds)
        if len(row) != len(stream.addresses):
            raise UsageError(f"{len(row)} rows for {len(stream.addresses)} references; give one for each")
        self._run(stream, None, pointer(rows, _ROW), pointer(row, np.uint32), len(rows))

    def _run(self, stream: _Stream, depths: int | None, rows: int | None, row: int | None, row_count: int) -> None:
        checked(
            _library().gb_cache_stream(
                *(ctypes.byref(self._state), stream.addresses.ctypes.data, stream.sizes.ctypes.data),
                *(stream.kinds.ctypes.data, len(stream.addresses), depths, rows, row, row_count),
            )
        )

    def run_blocks(
        self,
        table: BlockTable,
        blocks: tuple[U32, U16, U64, U32],
        accesses: tuple[U32, U16, U64, U8, npt.NDArray[np.bool_]],
        rows: npt.NDArray[Any],
        first_row: U32,
        spaces: npt.NDArray[Any],
    ) -> None:
        """Put executed blocks through the caches: each instruction that began is fetched, then loads and stores.

        Args:
            table: the frame's dictionary.
            blocks: numbers in `table`, instructions begun, linear addresses, and which address space, below 2**19; equal user
                addresses of different spaces are different.
            accesses: loads and stores: index of the block, instruction of it, address, size, whether it is a store.
            rows: of `empty_rows`: instruction i of the block with number n counts for ``rows[first_row[n] + i]``.
            first_row: for each number in `table`.
            spaces: of `empty_counts`, one for each address space.
        """
        numbers, begun, addresses, space = blocks
        block, instruction, address, size, is_store = accesses
        c_blocks = _Blocks(
            *(pointer(numbers, np.uint32), pointer(begun, np.uint16), pointer(addresses, np.uint64)),
            *(pointer(space, np.uint32), len(numbers)),
        )
        c_accesses = _Accesses(
            *(pointer(block, np.uint32), pointer(instruction, np.uint16), pointer(address, np.uint64)),
            *(pointer(size, np.uint8), pointer(is_store, np.bool_), len(block)),
        )
        checked(
            _library().gb_cache_blocks(
                *(ctypes.byref(self._state), table.records.pointer, ctypes.byref(c_blocks), ctypes.byref(c_accesses)),
                *(pointer(rows, _ROW), len(rows), pointer(first_row, np.uint32), pointer(spaces, _COUNTS), len(spaces)),
            )
        )


class _Stream:
    """References as arrays for the C side."""

    def __init__(self, addresses: npt.ArrayLike, sizes: npt.ArrayLike, kinds: npt.ArrayLike) -> None:
        self.addresses: U64 = np.ascontiguousarray(addresses, np.uint64)
        count = len(self.addresses)
        self.sizes: U32 = _one_for_each(sizes, count, "sizes", np.uint32)
        self.kinds: U8 = _one_for_each(kinds, count, "kinds", np.uint8)


def _one_for_each(values: npt.ArrayLike, count: int, name: str, dtype: type[np.generic]) -> npt.NDArray[Any]:
    array = np.asarray(values)
    if array.ndim and len(array) != count:
        raise UsageError(f"{len(array)} {name} for {count} addresses; give one for each, or one for all")
    return np.ascontiguousarray(np.broadcast_to(array, count), dtype)


def empty_rows(count: int) -> npt.NDArray[Any]:
    """Rows for `count` instructions, of which `CacheCounts` makes columns."""
    return np.zeros(count, _ROW)


def empty_counts(count: int) -> npt.NDArray[Any]:
    """Counts for `count` address spaces; they have no strides."""
    return np.zeros(count, _COUNTS)


def count_stream(
    caches: Caches, addresses: npt.ArrayLike, sizes: npt.ArrayLike, kinds: npt.ArrayLike, instructions: U32
) -> CacheCounts:
    """Put references through empty caches and count them by instruction.

    `instructions` has a number for each reference, from 0 on, and the result a row for each number up to the largest. The other
    arguments are those of `CacheModel.refer`.
    """
    model = CacheModel(caches)
    rows = empty_rows(int(instructions.max()) + 1 if len(instructions) else 0)
    model.count_into(rows, np.ascontiguousarray(instructions, np.uint32), addresses, sizes, kinds)
    return CacheCounts(rows, model.level_count)
