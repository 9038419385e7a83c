"""Serves the imports of the module ``glassbox``; ``examples/gpu-run/glassbox`` has them for Rust and C.

>>> host = Glassbox(arrays={0: samples, 1: np.zeros(1000, "f4")}, shared=16)
>>> Rounds(program.instances(1000), "run", host=host).run()
>>> host.arrays[1], host.shared[0], host.records[0]

Lane, number of lanes, sin and cos are none of its business: they are operations of the launch.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backends.launch import Array
from ..errors import UsageError
from ..runtime.rounds import Reply, Request

PREFIX = "glassbox."
_CALLS = ("barrier", "time", "size", "read", "write", "atomic", "compare_exchange", "set_pixel", "record")
SERVED = frozenset(PREFIX + name for name in _CALLS)
"""What a host of lanes is asked for."""
DEFAULT_RECORDS = 1 << 16
MOST_TEXT = 1024
"""Bytes of a record's text that are kept."""
OUTSIDE = -1
"""What a call gives whose array, place or pointer is not there."""


@dataclass(frozen=True)
class Record:
    """What a lane printed: a text, or a value with the words that stand for it. `number` counts the records of a run."""

    number: int
    lane: int
    text: str
    value: int | float | None = None


def _unsigned(bits: int) -> int:
    return bits & 0xFFFFFFFFFFFFFFFF


_VALUES: dict[int, Callable[[int], int | float | None]] = {
    0: lambda bits: None,
    1: lambda bits: bits,
    2: _unsigned,
    3: lambda bits: float(np.int64(bits).view(np.float64)),
}
"""What the 64 bits of a record are, by its kind."""

_CHANGES: dict[int, Callable[[int, int], int]] = {
    0: lambda old, given: old + given,
    1: min,
    2: max,
    3: lambda old, given: old & given,
    4: lambda old, given: old | given,
    5: lambda old, given: old ^ given,
    6: lambda old, given: given,
}
"""Atomic operations by their number: add, min, max, and, or, xor, exchange."""


class Glassbox:
    """The host of a run.

    `arrays` are what lanes read and write by number, used in place: of one dimension they are all lanes', of two a row each. `shared` is an array
    of i64 for atomic operations, or how many there shall be. `picture`, of shape (height, width, 4) and u1, is where pixels are set.
    The last `records` are kept; `dropped` counts those before them. Calls of a round are served in order of lane.
    """

    def __init__(
        self,
        *,
        arrays: Mapping[int, Array] | None = None,
        shared: int | NDArray[np.int64] = 0,
        picture: NDArray[np.uint8] | None = None,
        records: int = DEFAULT_RECORDS,
    ) -> None:
        """Raises `UsageError` for arrays that are not contiguous, or have another shape or type."""
        self.arrays = dict(arrays or {})
        for number, array in self.arrays.items():
            if array.ndim not in (1, 2) or not array.flags.c_contiguous:
                raise UsageError(
                    f"array {number} has shape {array.shape}; give a contiguous one of one or two dimensions"
                )
        self.shared = np.zeros(shared, np.int64) if isinstance(shared, int) else shared
        if self.shared.dtype != np.int64 or self.shared.ndim != 1:
            raise UsageError(
                f"the shared array is {self.shared.dtype} {self.shared.shape}; give one dimension of int64"
            )
        if picture is not None and (picture.ndim != 3 or picture.shape[2] != 4 or picture.dtype != np.uint8):
            raise UsageError(f"the picture is {picture.dtype} {picture.shape}; give uint8 of (height, width, 4)")
        self.picture = picture
        self.records: deque[Record] = deque(maxlen=records)
        self.dropped = 0
        self._begun = time.monotonic_ns()
        self._calls: dict[str, Callable[..., Any]] = {name: getattr(self, f"_{name}") for name in _CALLS}

    def serve(self, request: Request) -> Reply:
        """Serve one call for all lanes that wait in it. `UsageError` for a function that the module ``glassbox`` does not have."""
        name = request.name.removeprefix(PREFIX)
        if name == request.name or name not in self._calls:
            raise UsageError(f"the module imports {request.name}; glassbox has {', '.join(self._calls)}")
        if name == "barrier":
            return self._barrier(request)
        found = self._calls[name](request, *(operand.tolist() for operand in request.operands))
        return Reply(() if found is None else (np.asarray(found),))

    def _barrier(self, request: Request) -> Reply:
        is_complete = len(request.lanes) == request.left
        return Reply(again=np.full(len(request.lanes), not is_complete))

    def _time(self, request: Request) -> Array:
        return np.full(len(request.lanes), time.monotonic_ns() - self._begun, np.int64)

    def _row(self, number: int, lane: int) -> NDArray[np.uint8] | None:
        """The bytes of an array that a lane sees."""
        array = self.arrays.get(number)
        if array is None or (array.ndim == 2 and lane >= len(array)):
            return None
        return (array[lane] if array.ndim == 2 else array).view(np.uint8)

    def _size(self, request: Request, numbers: list[int]) -> list[int]:
        rows = [self._row(number, lane) for number, lane in zip(numbers, request.lanes.tolist(), strict=True)]
        return [OUTSIDE if row is None else len(row) for row in rows]

    def _copy(self, request: Request, operands: tuple[list[int], ...], *, is_read: bool) -> list[int]:
        found = []
        rows = zip(request.lanes.tolist(), request.sizes.tolist(), *operands, strict=True)
        for lane, size, number, offset, pointer, count in rows:
            row, at, length = self._row(number, lane), pointer & 0xFFFFFFFF, count & 0xFFFFFFFF
            if row is None or not 0 <= offset <= len(row) or at + length > size:
                found.append(OUTSIDE)
                continue
            length = min(length, len(row) - offset)
            part, own = row[offset : offset + length], request.memory[lane, at : at + length]
            if is_read:
                own[:] = part
            else:
                part[:] = own
            found.append(length)
        return found

    def _read(self, request: Request, *operands: list[int]) -> list[int]:
        return self._copy(request, operands, is_read=True)

    def _write(self, request: Request, *operands: list[int]) -> list[int]:
        return self._copy(request, operands, is_read=False)

    def _atomic(self, request: Request, kinds: list[int], places: list[int], values: list[int]) -> list[int]:
        found = []
        for kind, place, value in zip(kinds, places, values, strict=True):
            old = 0
            if 0 <= place < len(self.shared) and kind in _CHANGES:
                old = int(self.shared[place])
                self.shared[place] = np.uint64(_unsigned(_CHANGES[kind](old, value))).astype(np.int64)
            found.append(old)
        return found

    def _compare_exchange(self, request: Request, places: list[int], wanted: list[int], values: list[int]) -> list[int]:
        found = []
        for place, want, value in zip(places, wanted, values, strict=True):
            old = int(self.shared[place]) if 0 <= place < len(self.shared) else 0
            if old == want and 0 <= place < len(self.shared):
                self.shared[place] = value
            found.append(old)
        return found

    def _set_pixel(self, request: Request, xs: list[int], ys: list[int], colours: list[int]) -> None:
        if self.picture is None:
            return
        height, width = self.picture.shape[:2]
        x, y = np.array(xs), np.array(ys)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        colour = np.array(colours, np.int64).astype("<u4").view(np.uint8).reshape(-1, 4)
        self.picture[y[inside], x[inside]] = colour[inside]

    def _record(
        self, request: Request, kinds: list[int], pointers: list[int], counts: list[int], bits: list[int]
    ) -> None:
        rows = zip(request.lanes.tolist(), request.sizes.tolist(), kinds, pointers, counts, bits, strict=True)
        for lane, size, kind, pointer, count, value in rows:
            at = min(pointer & 0xFFFFFFFF, size)
            end = min(at + min(count & 0xFFFFFFFF, MOST_TEXT), size)
            text = request.memory[lane, at:end].tobytes().decode(errors="replace")
            number = self.dropped + len(self.records)
            self.dropped += len(self.records) == self.records.maxlen
            self.records.append(Record(number, lane, text, _VALUES.get(kind, _unsigned)(value)))
