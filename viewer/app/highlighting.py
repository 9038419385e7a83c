"""Pages that stand out in the picture: what a search found, the memory of a target, a class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qemu_bridge.wire.records import PageClass

from . import navigation
from .glow import clear_highlight
from .state import PageGroup, ViewerState

MOST_PAGES = 200_000


def highlight_pages(
    state: ViewerState, title: str, pages: npt.NDArray[np.int64], *, fly: bool, target: str = ""
) -> None:
    """Highlight `pages` and no others, those of `target` if it is known; with `fly` go where they are all seen."""
    if not len(pages):
        state.notify(f"{title}: no memory")
        clear_highlight(state)
        return
    state.highlight = PageGroup(title, pages[:MOST_PAGES], target)
    state.scene.highlight(state.highlight.pages, title=title)
    if fly:
        navigation.frame_pages(state, pages)
    state.wake()


def highlight_class(state: ViewerState, page_class: PageClass, *, fly: bool) -> None:
    """Highlight all pages of a class."""
    if state.scene.page_map is not None:
        pages = (state.scene.page_map.entries["page_class"] == page_class).nonzero()[0]
        highlight_pages(state, page_class.label, pages, fly=fly)
