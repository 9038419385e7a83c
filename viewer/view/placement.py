"""Where the boxes of several machines stand in one picture: side by side, and behind each other as an eye sees them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .camera import Camera

GAP = 0.3
"""Between neighbours, in units of length."""
_IN_A_ROW = 4
_CORNERS = np.array([[n & 1, n >> 1 & 1, n >> 2] for n in range(8)], np.float64)

Places = npt.NDArray[np.float64]


def place_boxes(sizes: Places) -> Places:
    """The lower corners of boxes of these `sizes`, both of shape (n, 3): up to four in a row along x, more in rows below it."""
    columns = max(_IN_A_ROW, math.ceil(math.sqrt(2 * len(sizes))))
    corners = np.zeros((len(sizes), 3))
    height = 0.0
    for first in reversed(range(0, len(sizes), columns)):
        row = slice(first, first + columns)
        widths = sizes[row, 0] + GAP
        corners[row, 0], corners[row, 1] = np.cumsum(widths) - widths, height
        height += float(sizes[row, 1].max()) + GAP
    return corners


def far_to_near(corners: Places, eye: npt.NDArray[np.float64]) -> list[int]:
    """In which order boxes that `place_boxes` placed are painted, so that each covers those behind it."""

    def steps(along: int) -> npt.NDArray[np.int64]:
        # Planes between neighbours part the boxes: what is more planes away from the eye is farther.
        known = np.unique(corners[:, along])
        own = np.searchsorted(known, eye[along], "right") - 1
        return np.asarray(np.abs(np.searchsorted(known, corners[:, along]) - own), np.int64)

    return [int(number) for number in np.lexsort((-steps(0), -steps(1)))]


def outline_in_picture(
    camera: Camera,
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
    size: tuple[int, int],
    shift: tuple[float, float],
) -> tuple[float, float, float, float] | None:
    """Left, top, right and bottom, in pixels, of what a box covers of a picture of `size`; None where the eye is beside or in it."""
    x, y, depth = camera.project(low + _CORNERS * (high - low), size[0] / size[1]).T
    if depth.min() <= 1e-3:
        return None
    across, down = (x + shift[0] + 1) / 2 * size[0], (1 - y - shift[1]) / 2 * size[1]
    return float(across.min()), float(down.min()), float(across.max()), float(down.max())
