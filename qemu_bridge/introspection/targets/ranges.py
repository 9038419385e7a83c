"""Sets of bytes of guest RAM: sorted, disjoint half-open ranges of file offsets, an `int64` array of shape (n, 2).

Read as one flat array such a set is an ascending list of edges, and a byte is inside when the number of edges at or
below it is odd. So union, intersection and difference are one sweep over all edges, without a loop.

>>> combine("-", to_ranges([0], [100]), to_ranges([10], [20])).tolist()
[[0, 10], [20, 100]]
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ...memory.addresses import PAGE_SHIFT, PAGE_SIZE, RamLayout

Ranges = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int64]

NOTHING: Ranges = np.zeros((0, 2), np.int64)


def to_ranges(starts: npt.ArrayLike, ends: npt.ArrayLike) -> Ranges:
    """The set of all bytes between each of `starts` and its end; ranges may overlap and come in any order."""
    start, end = np.asarray(starts, np.int64), np.asarray(ends, np.int64)
    start, end = start[start < end], end[start < end]
    if not len(start):
        return NOTHING
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(end[order])
    is_new = np.concatenate([[True], start[1:] > reach[:-1]])
    return np.column_stack([start[is_new], reach[np.append(is_new[1:], True)]])


def pages_to_ranges(pages: Numbers) -> Ranges:
    """The bytes of the pages with these numbers."""
    return to_ranges(pages << PAGE_SHIFT, (pages << PAGE_SHIFT) + PAGE_SIZE)


def mask_to_ranges(mask: npt.NDArray[np.bool_]) -> Ranges:
    """The bytes of the pages that `mask`, an entry a page, is True for."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2).astype(np.int64) << PAGE_SHIFT


def physical_to_ranges(layout: RamLayout, starts: Numbers, sizes: Numbers) -> Ranges:
    """The bytes of guest-physical ranges, as far as there is RAM."""
    parts = [NOTHING]
    for region in layout.regions:
        shift = region.offset - region.start
        first = np.maximum(starts, region.start)
        last = np.minimum(starts + sizes, region.start + region.size)
        parts.append(to_ranges(first + shift, last + shift))
    return unite(parts)


def combine(operator: str, left: Ranges, right: Ranges) -> Ranges:
    """Union (``+``), intersection (``&``) or difference (``-``) of two sets."""
    edges = np.union1d(left.ravel(), right.ravel())
    in_left, in_right = contains(left, edges), contains(right, edges)
    if operator == "+":
        kept = in_left | in_right
    else:
        kept = in_left & (in_right if operator == "&" else ~in_right)
    changes = np.flatnonzero(np.diff(kept.astype(np.int8), prepend=0))
    return edges[changes].reshape(-1, 2)


def unite(sets: Iterable[Ranges]) -> Ranges:
    """The union of any number of sets."""
    every = np.concatenate([NOTHING, *sets])
    return to_ranges(every[:, 0], every[:, 1])


def contains(ranges: Ranges, offsets: Numbers) -> npt.NDArray[np.bool_]:
    """Which of the bytes at `offsets` are in the set."""
    return (np.searchsorted(ranges.ravel(), offsets, side="right") & 1).astype(np.bool_)


def cut(ranges: Ranges, edges: Numbers) -> Ranges:
    """The same bytes, with a new range beginning at each of `edges` that is inside."""
    every = np.union1d(ranges.ravel(), edges)
    inside = np.flatnonzero(contains(ranges, every))
    return np.column_stack([every[inside], every[inside + 1]]) if len(inside) else NOTHING


def total(ranges: Ranges) -> int:
    """Bytes in the set."""
    return int((ranges[:, 1] - ranges[:, 0]).sum())
