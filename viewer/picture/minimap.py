"""The flat map: every page of RAM a pixel, along the Hilbert curve in two dimensions, coloured as the picture is.

The curve is D. Hilbert's (*Math. Ann.* 38, 1891), from (0, 0) to the right end of the first row. Four aligned
runs of 4^k pages are a square, so what is close in RAM is close on the map too. Where RAM fills half of the
square or less, the rest is cut off.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..render.page_colours import page_colours
from ..render.scene import Scene

Numbers = npt.NDArray[np.int64]
EMPTY = (10, 12, 18, 255)


def map_order(page_count: int) -> int:
    """Order of the curve for so many pages: its square is 2^order pixels a side."""
    order = 0
    while 1 << 2 * order < page_count:
        order += 1
    return order


def map_size(page_count: int) -> tuple[int, int]:
    """(width, height) in pixels of the map of so many pages; at least one each."""
    order = map_order(page_count)
    # Aligned runs are squares: their corners bound the map.
    step = max(order - 4, 0)
    blocks = np.arange(-(-max(page_count, 1) >> 2 * step), dtype=np.int64)
    x, y = to_xy(blocks, order - step)
    return (int(x.max()) + 1) << step, (int(y.max()) + 1) << step


def to_xy(index: npt.ArrayLike, order: int) -> tuple[Numbers, Numbers]:
    """(column, row) of curve indices below 4^order."""
    rest = np.asarray(index, np.int64).copy()
    x, y = np.zeros_like(rest), np.zeros_like(rest)
    for level in range(order):
        side = 1 << level
        right = rest >> 1 & 1
        down = (rest ^ right) & 1
        x, y = _turn(x, y, right, down, side)
        x, y = x + side * right, y + side * down
        rest >>= 2
    return x, y


def to_index(x: npt.ArrayLike, y: npt.ArrayLike, order: int) -> Numbers:
    """Curve indices of columns and rows, each below 2^order."""
    column, row = np.asarray(x, np.int64).copy(), np.asarray(y, np.int64).copy()
    index = np.zeros_like(column)
    for level in reversed(range(order)):
        side = 1 << level
        right, down = column >> level & 1, row >> level & 1
        index += side * side * (3 * right ^ down)
        column, row = _turn(column & (side - 1), row & (side - 1), right, down, side)
    return index


def _turn(x: Numbers, y: Numbers, right: Numbers, down: Numbers, side: int) -> tuple[Numbers, Numbers]:
    # In the upper quarters the curve runs with its axes exchanged, and in the right one backwards as well.
    is_upper, is_back = down == 0, (down == 0) & (right == 1)
    x, y = np.where(is_back, side - 1 - x, x), np.where(is_back, side - 1 - y, y)
    return np.where(is_upper, y, x), np.where(is_upper, x, y)


def page_to_xy(page: int, page_count: int) -> tuple[int, int]:
    """(column, row) of a page on the map."""
    x, y = to_xy(page, map_order(page_count))
    return int(x), int(y)


def xy_to_page(x: int, y: int, page_count: int) -> int | None:
    """The page at a pixel of the map; None outside it or where there is no RAM."""
    order = map_order(page_count)
    if not (0 <= x < 1 << order and 0 <= y < 1 << order):
        return None
    page = int(to_index(x, y, order))
    return page if page < page_count else None


class Minimap:
    """The map of one scene; `draw` gives the picture, which is redrawn only when the scene's picture changed."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.size = map_size(scene.page_count)
        x, y = to_xy(np.arange(scene.page_count), map_order(scene.page_count))
        self._places = y * self.size[0] + x
        self._image = np.zeros((*self.size[::-1], 4), np.uint8)
        self._revision = -1

    def places(self, pages: Numbers) -> Numbers:
        """Where `pages` are in the flat picture: row times width plus column."""
        return self._places[pages]

    def draw(self) -> npt.NDArray[np.uint8]:
        """The map: RGBA, `uint8` of shape (height, width, 4), opaque; hidden pages and no RAM are dark."""
        if self._revision != self._scene.revision:
            self._revision = self._scene.revision
            colours = page_colours(self._scene)
            colours[colours[:, 3] == 0] = EMPTY
            flat = self._image.reshape(-1, 4)
            flat[:] = EMPTY
            flat[self._places] = colours
        return self._image
