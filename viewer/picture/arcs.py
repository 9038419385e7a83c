"""Where the arcs of what machines send each other are in a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..render.scene import Scene
from ..sources.flows import Arc
from ..view.arcs import arc_in_picture, arc_points
from ..view.camera import Camera
from ..view.labels import Box, touches

_ALONG = (0.5, 0.38, 0.62, 0.26, 0.74)
"""Places along an arc where its words may stand, by the share of the way: the first that is free."""
_MOST_STEPS = 4


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


@dataclass(frozen=True, slots=True)
class PlacedWords:
    """Words of an arc: those `lines` in the box, `left` and `top` of which are pixels."""

    arc: PlacedArc
    lines: tuple[str, ...]
    box: Box


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
    ways_back = {(arc.receiver, arc.sender): float(place.path[:, 1].min()) for arc, place in placed}
    return [
        replace(place, is_below=back is not None and back < float(place.path[:, 1].min()))
        for arc, place in placed
        for back in [ways_back.get((arc.sender, arc.receiver))]
    ]


def place_words(
    arcs: Sequence[PlacedArc],
    width_of: Callable[[str], float],
    line: float,
    area: Box,
    taken: Sequence[Box] = (),
) -> list[PlacedWords]:
    """Where the words of `arcs` stand, so that none is over another nor over what is `taken`, inside `area`.

    `width_of` tells how wide a text is and `line` how high. The strongest, which come last, choose first. Where there is no room for all
    lines there is one for the first, or else for none: the arc itself still says that there is something.
    """
    # The heads of arrows say who receives: they stay free.
    heads = [(*(arc.path[-1] - line / 2).tolist(), *(arc.path[-1] + line / 2).tolist()) for arc in arcs]
    standing, found, gap = [*taken, *heads], [], line / 5
    for arc in reversed(arcs):
        for lines in dict.fromkeys((arc.words, arc.words[:1])):
            size = max(map(width_of, lines)), line * len(lines)
            box = next((each for each in _places(arc, size, line, area) if not touches(each, standing, gap)), None)
            if box is not None:
                standing.append(box)
                found.append(PlacedWords(arc, lines, box))
                break
    return found


def _places(arc: PlacedArc, size: tuple[float, float], line: float, area: Box) -> Iterator[Box]:
    """Boxes beside the line of `arc`: on its own side, on the other one, and then higher and higher, where nothing is drawn."""
    width, height = size
    if width > area[2] - area[0] or height > area[3] - area[1]:
        return
    own = 1 if arc.is_below else -1
    for side, step in ((own, 0), (-own, 0), *((-1, step) for step in range(1, _MOST_STEPS)), (1, 1)):
        for share in _ALONG:
            x, y = arc.path[round(share * (len(arc.path) - 1))].tolist()
            middle = y + side * (line / 2 + height / 2 + step * (height + line / 4))
            left = max(min(x - width / 2, area[2] - width), area[0])
            top = max(min(middle - height / 2, area[3] - height), area[1])
            yield left, top, left + width, top + height
