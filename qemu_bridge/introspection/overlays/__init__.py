"""Overlays: tables of what a guest's memory means, a module each, and a registry that takes other people's too.

>>> registry = find_overlays()
>>> table = read_overlay(registry.find("processes"), OverlayContext(ram, kernel), Budget(time_s=2.0))
>>> table.rows[0]["name"], table.complete
('init', True)

docs/overlays.md says what each shows and how to write one.
"""

from ...wire.records import OverlayInfo, OverlayTable
from .overlay import BuiltOverlay, Overlay, OverlayContext, each, note_empty
from .registry import Registry, find_overlays, read_overlay

__all__ = [
    "BuiltOverlay",
    "Overlay",
    "OverlayContext",
    "OverlayInfo",
    "OverlayTable",
    "Registry",
    "each",
    "find_overlays",
    "note_empty",
    "read_overlay",
]
