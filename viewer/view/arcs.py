"""The way of an arc: from above one box to above another, bent upwards, to each direction a lane of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .camera import Camera

COLOUR = (130, 255, 200)
POINTS = 25
_LANE = 0.1
_RISE, _RISE_WITH_WAY = 0.2, 0.16

Vector = npt.NDArray[np.float64]
Box = tuple[Vector, Vector]


def arc_points(sender: Box, receiver: Box) -> npt.NDArray[np.float64]:
    """Places along the arc from the top of the box `sender` to that of `receiver`: of shape (POINTS, 3), in units of length."""
    start, end = _top(sender), _top(receiver)
    way = end - start
    # To the right of who walks it, so that the way back is beside it.
    aside = np.array([-way[2], 0.0, way[0]]) / max(float(np.hypot(way[0], way[2])), 1e-9) * _LANE
    rise = np.array([0.0, _RISE + _RISE_WITH_WAY * float(np.linalg.norm(way)), 0.0])
    share = np.linspace(0, 1, POINTS)[:, None]
    return np.asarray(start + way * share + aside + 4 * share * (1 - share) * rise)


def _top(box: Box) -> Vector:
    low, high = box
    return np.array([(low[0] + high[0]) / 2, high[1], (low[2] + high[2]) / 2])


def arc_in_picture(
    points: npt.NDArray[np.float64], camera: Camera, size: tuple[float, float], shift: tuple[float, float]
) -> npt.NDArray[np.float64] | None:
    """Where `arc_points` appear in a picture of `size`: pixels of shape (POINTS, 2); None where some are behind the eye."""
    x, y, depth = camera.project(points, size[0] / size[1]).T
    if depth.min() <= 1e-3:
        return None
    return np.stack([(x + shift[0] + 1) / 2 * size[0], (1 - y - shift[1]) / 2 * size[1]], axis=-1)


def arrow_head(path: npt.NDArray[np.float64], length: float) -> npt.NDArray[np.float64]:
    """The triangle at the end of a `path` in a picture, `length` pixels long: of shape (3, 2)."""
    way = path[-1] - path[-3]
    way = way / max(float(np.linalg.norm(way)), 1e-9) * length
    aside = np.array([-way[1], way[0]]) * 0.45
    return np.stack([path[-1], path[-1] - way + aside, path[-1] - way - aside])
