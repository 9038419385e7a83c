"""Words on pictures: what pages are called, and where labels stand so that none is over another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qemu_bridge.wire.records import Owner, PageClass

from .palette import Rgb

_MOST_STEPS = 3


@dataclass(frozen=True, slots=True)
class Label:
    """A name for a place in the picture; `is_block` when the place is large enough to carry it itself.

    `size` is that of what they name, by which they give way to each other.
    """

    text: str
    colour: Rgb
    x: float
    y: float
    is_block: bool
    size: int = 0


def describe_owner(owner: Owner | None) -> str:
    """``sh (412)``, ``ext4_inode_cache``, ``/bin/sh`` or ``no owner``."""
    if owner is None or not (name := owner.name or owner.kind):
        return "no owner"
    if not owner.pid:
        return name
    # A process and its kernel stack are two owners.
    return f"{owner.kind} of {name} ({owner.pid})" if owner.kind in ("stack", "page-table") else f"{name} ({owner.pid})"


def describe_pages(page_class: PageClass, owner: Owner | None) -> str:
    """What pages of a class and owner are: ``heap of sh (412)``, ``page cache of /bin/sh``, ``slab dentry``, ``kernel text``."""
    words = page_class.label
    if owner is None or not owner.name or owner.name == words:
        return words
    if owner.pid:
        return f"{words.removeprefix('process ')} of {owner.name} ({owner.pid})"
    if owner.kind == "file":
        return f"{words} of {owner.name}"
    return f"{words} {owner.name}" if owner.kind in ("slab", "module") else words


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
        place = next((moved for moved in _moves(box, area, gap) if not touches(moved, standing, gap)), None)
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


def touches(box: Box, others: Sequence[Box], gap: float) -> bool:
    """Whether a box comes nearer than `gap` to any of `others`."""
    return any(
        box[0] < other[2] + gap and other[0] < box[2] + gap and box[1] < other[3] + gap and other[1] < box[3] + gap
        for other in others
    )
