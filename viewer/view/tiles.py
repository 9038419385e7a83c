"""Which parts of an idle picture have to be drawn again when some pages changed.

A guest that idles still writes a handful of pages, over and over. Each shows in a few hundred pixels, so of the picture
only the tiles of `TILE` pixels that those pages fall on are drawn, each for as many passes as it takes to fade over to
the new state. What a page *is* may cast shadows and hide others, so that a change of the page map is drawn as a whole.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .camera import Camera

TILE = 32
_MARGIN = 2.0
"""Pixels around a page that it may colour too: the offset of a pass, the line around it."""
_MOST_SHARE = 0.6
_MOST_RECTANGLES = 96

Rectangle = tuple[int, int, int, int]
"""x, y, width, height in pixels."""

_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float64)


class Tiles:
    """How many passes each tile of a picture still wants."""

    def __init__(self) -> None:
        self._left = np.zeros((0, 0), np.int16)
        self._size = (0, 0)

    @property
    def is_done(self) -> bool:
        """Whether no tile wants a pass."""
        return not self._left.any()

    def clear(self, size: tuple[int, int]) -> None:
        """The picture, of `size` (width, height) pixels, is drawn again as a whole: no tile wants more."""
        self._size = size
        self._left = np.zeros((-(-size[1] // TILE), -(-size[0] // TILE)), np.int16)

    def mark_all(self, passes: int) -> None:
        """Everything wants `passes` more."""
        self._left[:] = passes

    def mark(
        self, places: npt.NDArray[np.float64], edge: float, camera: Camera, shift: tuple[float, float], passes: int
    ) -> None:
        """What shows cubes with `edge`, whose low corners are `places` of shape (n, 3), wants `passes` more.

        Lengths are in edges of the Hilbert cube, `shift` is the renderer's.
        """
        if len(places) and self._left.size:
            self._left[_cover(places, edge, camera, shift, self._size)] = passes

    def take(self) -> list[Rectangle] | None:
        """The parts to draw now, one pass of them counted as drawn; None for all of the picture."""
        wanted = self._left > 0
        self._left[wanted] -= 1
        if wanted.mean() > _MOST_SHARE:
            return None
        found = _rectangles(wanted)
        width, height = self._size
        if len(found) > _MOST_RECTANGLES:
            return None
        return [(x, y, min(w, width - x), min(h, height - y)) for x, y, w, h in found]


def _cover(
    places: npt.NDArray[np.float64], edge: float, camera: Camera, shift: tuple[float, float], size: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Which tiles of a picture of `size` show any of the cubes: `bool` of shape (rows, columns)."""
    width, height = size
    corners = (places[:, None, :] + edge * _CORNERS).reshape(-1, 3)
    x, y, depth = camera.project(corners, width / height).reshape(-1, 8, 3).transpose(2, 0, 1)
    rows, columns = -(-height // TILE), -(-width // TILE)
    is_before = depth > 1e-6
    if (is_before.any(axis=1) & ~is_before.all(axis=1)).any():
        return np.ones((rows, columns), np.bool_)  # the eye is inside them
    across, down = (x + shift[0] + 1) / 2 * width, (1 - y - shift[1]) / 2 * height
    bounds = [across.min(1) - _MARGIN, down.min(1) - _MARGIN, across.max(1) + _MARGIN, down.max(1) + _MARGIN]
    left, top, right, bottom = (
        np.clip(np.floor(bound / TILE), -1, limit).astype(np.int64)
        for bound, limit in zip(bounds, (columns, rows, columns, rows), strict=True)
    )
    inside = is_before.all(axis=1) & (right >= 0) & (bottom >= 0) & (left < columns) & (top < rows)
    # Add up corners of rectangles, so that any number of them costs one sweep over the tiles.
    counts = np.zeros((rows + 1, columns + 1), np.int32)
    left, top = np.maximum(left, 0)[inside], np.maximum(top, 0)[inside]
    right, bottom = np.minimum(right + 1, columns)[inside], np.minimum(bottom + 1, rows)[inside]
    for row, column, step in ((top, left, 1), (bottom, right, 1), (top, right, -1), (bottom, left, -1)):
        np.add.at(counts, (row, column), step)
    return np.asarray(counts.cumsum(axis=0).cumsum(axis=1)[:rows, :columns] > 0)


def _rectangles(wanted: npt.NDArray[np.bool_]) -> list[Rectangle]:
    """Rectangles of whole tiles, in pixels, that cover just the `wanted` ones: runs in a row, joined with like runs below."""
    open_runs: dict[tuple[int, int], int] = {}
    found: list[Rectangle] = []
    for row in range(len(wanted) + 1):
        runs = _runs(wanted[row]) if row < len(wanted) else set()
        for run in [run for run in open_runs if run not in runs]:
            top = open_runs.pop(run)
            found.append((run[0] * TILE, top * TILE, (run[1] - run[0]) * TILE, (row - top) * TILE))
        for run in runs:
            open_runs.setdefault(run, row)
    return found


def _runs(row: npt.NDArray[np.bool_]) -> set[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
    return set(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
