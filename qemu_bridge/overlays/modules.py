"""Loaded kernel modules, as ``/proc/modules`` lists them (``kernel/module/procfs.c``)."""

from __future__ import annotations

from collections.abc import Iterator

from ..budget import Budget
from ..protocol import Module
from .overlay import BuiltOverlay, OverlayContext


def read_modules(context: OverlayContext, budget: Budget) -> Iterator[Module]:
    """Yield the loaded modules, newest first."""
    context.adapter.refresh()
    yield from context.adapter.modules()
    for sentence in context.adapter.skipped:
        budget.skip(sentence)


MODULES = BuiltOverlay(
    "modules", "The loaded kernel modules.", ("name", "size", "base:#x", "state", "used_by"), read_modules
)
