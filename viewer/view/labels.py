"""Labels on large regions: which runs of pages get a name, and where it stands in a picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from qemu_bridge.wire.page_map import PageMap
from qemu_bridge.wire.records import PageClass

from . import palette
from .class_masks import undimmed_classes
from .curve import to_xyz
from .look import Look

if TYPE_CHECKING:
    from .camera import Camera

MAX_REGIONS = 48
MAX_LABELS = 16
_MAX_OF_CLASS = 6
_MAX_GAP = 8
"""Pages of others that do not end a region."""
_MOST_STEPS = 3


@dataclass(frozen=True, slots=True)
class Region:
    """A run of pages of one class and owner.

    Attributes:
        page_class: what the pages are.
        text: its name.
        first: its first page.
        count: pages of it, without those of others in between.
        centre: the middle of its densest part, in pages along x, y, z.
    """

    page_class: PageClass
    text: str
    first: int
    count: int
    centre: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Label:
    """A name for a place in the picture; `is_block` when the place is large enough to carry it itself.

    `size` is that of what they name, by which they give way to each other.
    """

    text: str
    colour: palette.Rgb
    x: float
    y: float
    is_block: bool
    size: int = 0


Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def arrange(wanted: Sequence[Box], area: Box, gap: float, taken: Sequence[Box] = ()) -> list[Box | None]:
    """Where boxes stand so that all keep `gap` from each other and from what is `taken`, inside `area`.

    Those named first choose first. One whose place is not free moves up or down, by no more than `_MOST_STEPS` of its own
    height; None for one that finds no place.
    """
    standing = list(taken)
    places: list[Box | None] = []
    for box in wanted:
        place = next((moved for moved in _moves(box, area, gap) if not _touches(moved, standing, gap)), None)
        places.append(place)
        if place is not None:
            standing.append(place)
    return places


def _moves(box: Box, area: Box, gap: float) -> Iterator[Box]:
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    left = max(min(left, area[2] - width), area[0])
    if width > area[2] - area[0]:
        return
    for step in range(2 * _MOST_STEPS + 1):
        # As wanted, one up, one down, two up, …
        moved = top + (-1 if step % 2 else 1) * ((step + 1) // 2) * (height + gap)
        if area[1] <= moved and moved + height <= area[3]:
            yield (left, moved, left + width, moved + height)


def _touches(box: Box, others: Sequence[Box], gap: float) -> bool:
    return any(
        box[0] < other[2] + gap and other[0] < box[2] + gap and box[1] < other[3] + gap and other[1] < box[3] + gap
        for other in others
    )


def find_regions(page_map: PageMap, page_order: int) -> list[Region]:
    """The regions that catch the eye, at most `MAX_REGIONS`, of a class and owner only the largest.

    They are in the order in which they deserve a name: the largest of each class, heaps and stacks before the rest.
    """
    entries = page_map.entries
    bodies = [c for c, material in palette.MATERIALS.items() if material.is_body]
    pages = np.flatnonzero(np.isin(entries["page_class"], bodies)).astype(np.int64)
    if not len(pages):
        return []
    kinds = entries["page_class"][pages].astype(np.int64) << 32 | entries["owner_id"][pages]
    order = np.argsort(kinds, kind="stable")
    pages, kinds = pages[order], kinds[order]
    starts = np.flatnonzero((np.diff(kinds, prepend=-1) != 0) | (np.diff(pages, prepend=-9) > _MAX_GAP))
    counts = np.diff(np.append(starts, len(pages)))
    # Of each kind the largest run, of each class the largest few of those: there may be hundreds of kernel stacks.
    by_size = np.argsort(-counts, kind="stable")
    _, largest = np.unique(kinds[starts[by_size]], return_index=True)
    regions: list[Region] = []
    taken: Counter[int] = Counter()
    for run in by_size[np.sort(largest)].tolist():
        kind = int(kinds[starts[run]])
        taken[kind >> 32] += 1
        if taken[kind >> 32] <= _MAX_OF_CLASS:
            regions.append(_region(page_map, kind, pages[starts[run] : starts[run] + counts[run]], page_order))
    return sorted(regions, key=_priority(regions))[:MAX_REGIONS]


def _priority(regions: list[Region]) -> Callable[[Region], tuple[bool, bool, int]]:
    # The largest of each class before the second of any, and of those first what is small but looked for.
    first = {region.page_class: region for region in reversed(regions)}
    return lambda region: (
        first[region.page_class] is not region,
        palette.MATERIALS[region.page_class].emission < 0.4,
        -region.count,
    )


def _region(page_map: PageMap, kind: int, pages: npt.NDArray[np.int64], page_order: int) -> Region:
    page_class = PageClass(kind >> 32)
    owner = page_map.owners.get(kind & 0xFFFFFFFF)
    text = page_class.label
    if owner is not None and owner.pid and page_class.name.startswith("PROCESS_"):
        text = f"{text.removeprefix('process ')} of {owner.name} ({owner.pid})"
    # The middle of the run, and what of it is about that: the mean of a bent run may be outside it.
    middle = len(pages) // 2
    part = pages[max(middle - 32, 0) : middle + 32]
    x, y, z = (to_xyz(part, page_order).astype(np.float64) + 0.5).mean(axis=0).tolist()
    return Region(page_class, text, int(pages[0]), len(pages), (x, y, z))


def place_labels(
    regions: list[Region],
    camera: Camera,
    size: tuple[int, int],
    edge: int,
    palette_name: str,
    shift: tuple[float, float] = (0.0, 0.0),
) -> list[Label]:
    """Labels for `regions`, in their order, where the camera sees them; those that would be on another are left out."""
    from .camera import FIELD_OF_VIEW

    width, height = size
    right, up, forward = camera.axes()
    tangent = math.tan(math.radians(FIELD_OF_VIEW / 2))
    labels: list[Label] = []
    for region in regions:
        way = np.array(region.centre) / edge - camera.eye()
        depth = float(way @ forward)
        if depth <= 0 or len(labels) == MAX_LABELS:
            continue
        u = float(way @ right) / (depth * tangent * width / height) + shift[0]
        v = float(way @ up) / (depth * tangent) + shift[1]
        x, y = (u + 1) / 2 * width, (1 - v) / 2 * height
        is_free = all(abs(x - label.x) > 0.11 * width or abs(y - label.y) > 0.035 * height for label in labels)
        if 0 <= x < width and 0 <= y < height and is_free:
            across = region.count ** (1 / 3) / edge / (depth * 2 * tangent) * height
            colour = palette.colour_of(region.page_class, palette_name)
            labels.append(Label(region.text, colour, x, y, across > 0.12 * height, region.count))
    return labels


def region_labels(
    page_map: PageMap | None,
    page_order: int,
    look: Look,
    camera: Camera,
    size: tuple[int, int],
    shift: tuple[float, float] = (0.0, 0.0),
) -> list[Label]:
    """Labels for the large regions that `look` shows in a picture of `size` pixels; none where it has labels off.

    `shift` is the renderer's. A label stands where its region is, whether or not something hides the region.
    """
    if not look.labels or page_map is None:
        return []
    shown = [region for region in find_regions(page_map, page_order) if region.page_class in undimmed_classes(look)]
    return place_labels(shown, camera, size, 1 << page_order, look.palette, shift)
