"""Which classes of pages a look draws, and how, as masks with a bit for each class: what the shader tests."""

from __future__ import annotations

from qemu_bridge.wire.records import PageClass

from .look import Look
from .palette import MATERIALS


def undimmed_classes(look: Look) -> frozenset[PageClass]:
    """The classes drawn in full. None where colours show activity: then only pages with a value are."""
    return frozenset() if look.mode.is_activity else look.visible - look.dimmed


def visible_mask(look: Look) -> int:
    """A bit for each class that shows, dimmed or not."""
    return sum(1 << page_class for page_class in look.visible)


def body_mask(look: Look) -> int:
    """A bit for each class drawn in full whose bricks are more than empty glass: what can be picked."""
    return sum(1 << c for c in undimmed_classes(look) if MATERIALS[c].is_body)


def solid_mask(look: Look) -> int:
    """A bit for each class drawn in full and opaque: what casts shadows."""
    return sum(1 << c for c in undimmed_classes(look) if MATERIALS[c].surface_opacity == 1)
