"""Where the arcs of what machines send each other are in a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..render.scene import Scene
from ..sources.flows import Arc
from ..view.arcs import arc_in_picture, arc_points
from ..view.camera import Camera


@dataclass(frozen=True, slots=True)
class PlacedArc:
    """An arc in a picture.

    Attributes:
        path: pixels from sender to receiver, of shape (n, 2).
        words: what is written at its top, a line each.
        is_below: whether they are written under the line, as those of the way back stand over it.
        strength: how much of it is still to be seen, 1 for all.
        width: of its line, in pixels of a picture 720 high; what is more is wider.
    """

    path: npt.NDArray[np.float64]
    words: tuple[str, ...]
    strength: float
    width: float
    is_below: bool = False

    @property
    def top(self) -> tuple[float, float]:
        """Its highest pixel."""
        x, y = self.path[int(self.path[:, 1].argmin())].tolist()
        return x, y


def place_arcs(
    scenes: Sequence[Scene],
    arcs: Sequence[Arc],
    camera: Camera,
    size: tuple[float, float],
    shift: tuple[float, float],
) -> list[PlacedArc]:
    """Where `arcs` between the machines of `scenes` are in a picture of `size`; those partly behind the eye are left out."""
    boxes = {scene.name: scene.ram_box() for scene in scenes}
    placed = []
    for arc in arcs:
        if arc.sender in boxes and arc.receiver in boxes:
            path = arc_in_picture(arc_points(boxes[arc.sender], boxes[arc.receiver]), camera, size, shift)
            if path is not None:
                width = 1.2 + 0.45 * math.log10(max(arc.bytes, 1))
                placed.append((arc, PlacedArc(path, arc.words, arc.strength, width)))
    ways_back = {(arc.receiver, arc.sender): place for arc, place in placed}
    return [
        replace(place, is_below=back is not None and back.top[1] < place.top[1])
        for arc, place in placed
        for back in [ways_back.get((arc.sender, arc.receiver))]
    ]
