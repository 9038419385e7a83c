"""Where panels stand: none is over another, and the picture knows what is left for it."""

from __future__ import annotations

from dataclasses import dataclass

LEFT_WIDTH = 236.0
BAR_HEIGHT = 26.0
LEAST_MIDDLE = 160.0
"""Width that is left for the picture, whatever is open."""
MOST_RIGHT = 0.45
"""Share of the window that the right panel may take."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where panels stand, in logical pixels: `left` and `right` are widths, 0 for closed."""

    width: float
    height: float
    bar: float
    left: float
    right: float

    @property
    def body_height(self) -> float:
        """Between menu and status bar."""
        return max(self.height - 2 * self.bar, 1.0)

    @property
    def shift(self) -> tuple[float, float]:
        """The lens shift, in half pictures, that puts the scene into the middle of what is left."""
        return (self.left - self.right) / max(self.width, 1.0), 0.0

    @property
    def free_aspect(self) -> float:
        """Width / height of what is left for the picture."""
        return self.middle_width / self.body_height

    @property
    def middle_width(self) -> float:
        """What is left for the picture."""
        return max(self.width - self.left - self.right, 1.0)


def lay_out(size: tuple[float, float], scale: float, left: bool, right_width: float | None) -> Layout:
    """The layout of a window of `size`; panels that do not fit stay away, the left one first."""
    width, height = size
    free_width = width - LEAST_MIDDLE * scale
    right = 0.0 if right_width is None else min(right_width * scale, MOST_RIGHT * width, max(free_width, 0.0))
    right = right if right >= 120 * scale else 0.0
    is_left = left and LEFT_WIDTH * scale <= free_width - right and height >= 200 * scale
    return Layout(width, height, BAR_HEIGHT * scale, LEFT_WIDTH * scale if is_left else 0.0, right)
