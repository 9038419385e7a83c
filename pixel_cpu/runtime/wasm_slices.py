"""Slices as arguments and results of exported functions: copied in by the module's own allocator, and out again.

A function that takes a slice has two operands for it, a pointer and the number of its elements, as Rust's ``extern "C"``
functions and wasm-bindgen's, and C's, have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.launch import Array
from ..errors import LaunchError
from ..frontends.wasm.module import PAGE_BYTES

if TYPE_CHECKING:
    from .wasm_instances import Instances


@dataclass(frozen=True, eq=False)
class Slice:
    """An argument that is a slice: a pointer and a number of elements for the function.

    `data` of one dimension is the same in all lanes; of two, or a list of arrays of one type, it has a row for each lane. With `is_output` the call's results end
    with what the slice holds after it.

    >>> program.call("scale", px.Slice(np.ones((1000, 8), "f4"), is_output=True), 2.5)
    """

    data: Any
    is_output: bool = False

    @property
    def lanes(self) -> int | None:
        """For how many lanes it has rows; None where it is the same in all."""
        return len(self.data) if isinstance(self.data, (list, tuple)) or np.ndim(self.data) == 2 else None

    def rows(self, lanes: int) -> list[Array]:
        """The elements of each lane. `LaunchError` for anything but numbers, and another number of lanes."""
        if self.lanes is None:
            rows = [np.asarray(self.data)] * lanes
        elif self.lanes != lanes:
            raise LaunchError(f"a slice has rows for {self.lanes} lanes, not {lanes}")
        else:
            rows = [np.asarray(each) for each in self.data]
        for row in rows:
            if row.ndim != 1 or row.dtype != rows[0].dtype or row.dtype.kind not in "iufb":
                raise LaunchError(
                    "a slice is an array of numbers of one or two dimensions, or a list of arrays of one type"
                )
        return [np.ascontiguousarray(row.astype(row.dtype.newbyteorder("<"), copy=False)) for row in rows]


def write(instances: Instances, pointers: Array, rows: Sequence[Array]) -> None:
    """Copy a row into each lane's memory."""
    memory = instances.memory
    if all(row is rows[0] for row in rows) and (pointers == pointers[0]).all():
        memory[:, pointers[0] : pointers[0] + rows[0].nbytes] = rows[0].view(np.uint8)
        return
    for lane, row in enumerate(rows):
        memory[lane, pointers[lane] : pointers[lane] + row.nbytes] = row.view(np.uint8)


def read(instances: Instances, pointers: Array, counts: Array, dtype: np.dtype[Any]) -> Array | list[Array]:
    """What lanes have there, a row each; a list of arrays where they have different numbers of elements. `LaunchError` outside the memory."""
    ends = pointers + counts * dtype.itemsize
    wrong = ends > instances.pages.astype(np.int64) * PAGE_BYTES
    if wrong.any():
        lane = int(np.argmax(wrong))
        raise LaunchError(
            f"the result of lane {lane} is outside its memory: {counts[lane]} elements at {pointers[lane]:#x}"
        )
    memory = instances.memory
    if (counts == counts[0]).all() and (pointers == pointers[0]).all():
        return np.ascontiguousarray(memory[:, pointers[0] : ends[0]]).view(dtype)
    rows = [memory[lane, pointers[lane] : ends[lane]].copy().view(dtype) for lane in range(len(pointers))]
    return np.stack(rows) if (counts == counts[0]).all() else rows
