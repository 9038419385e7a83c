"""A small cube beside the picture: where address 0 is, how the curve goes on from there, and how much memory a step is.

It is turned as the picture is. The curve visits one eighth of the cube after the other; the guide joins their middles.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from .camera import Camera
from .curve import to_xyz

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class CurveGuide:
    """Places are from -1 to 1, y up.

    Attributes:
        edges: of the box that RAM fills.
        path: from address 0 through the middles of the eighths that RAM fills.
        step_bytes: how much memory an eighth is.
    """

    edges: tuple[tuple[Point, Point], ...]
    path: tuple[Point, ...]
    step_bytes: int


def curve_guide(camera: Camera, extent: tuple[float, float, float], ram_bytes: int, page_order: int) -> CurveGuide:
    """The guide for RAM that fills the box `extent`, in edges of a cube of 2^`page_order` pages a side, seen by `camera`."""
    step_bytes = 4096 << 3 * page_order >> 3
    right, up, _ = camera.axes()
    middle = np.array(extent) / 2
    size = float(np.linalg.norm(extent)) / 2

    def place(point: tuple[float, ...]) -> Point:
        way = (np.array(point) - middle) / size
        return float(way @ right), float(way @ up)

    corners = list(itertools.product(*((0.0, edge) for edge in extent)))
    edges = tuple(
        (place(one), place(other))
        for one, other in itertools.combinations(corners, 2)
        if sum(a != b for a, b in zip(one, other, strict=True)) == 1
    )
    eighths = (to_xyz(np.arange(-(-ram_bytes // step_bytes)), 1) + 0.5) / 2
    path = ((0.0, 0.0, 0.0), *map(tuple, eighths.tolist()))
    return CurveGuide(edges, tuple(place(point) for point in path), step_bytes)
