"""Pages that stand out in the picture: what a search found, the memory of a target, a class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qemu_bridge.wire.records import PageClass

from ..sources.queries import Topic
from . import navigation
from .search import pages_of
from .state import PageGroup, ViewerState

MOST_PAGES = 200_000


@dataclass(frozen=True, slots=True)
class FoundPages:
    """The result of a ``highlight`` query: pages to highlight, and whether to fly there."""

    title: str
    pages: npt.NDArray[np.int64]
    fly: bool


HIGHLIGHT: Topic[FoundPages] = Topic("highlight")


def highlight_pages(state: ViewerState, title: str, pages: npt.NDArray[np.int64], *, fly: bool) -> None:
    """Highlight `pages` and no others; with `fly` go where they are all seen."""
    if not len(pages):
        state.notify(f"{title}: no memory")
        clear_highlight(state)
        return
    state.highlight = PageGroup(title, pages[:MOST_PAGES])
    state.scene.highlight(state.highlight.pages)
    if fly:
        navigation.frame_pages(state, pages)
    state.wake()


def clear_highlight(state: ViewerState) -> None:
    """Highlight nothing."""
    state.highlight = None
    state.scene.highlight(np.zeros(0, np.int64))
    state.wake()


def highlight_class(state: ViewerState, page_class: PageClass, *, fly: bool) -> None:
    """Highlight all pages of a class."""
    if state.scene.page_map is not None:
        pages = (state.scene.page_map.entries["page_class"] == page_class).nonzero()[0]
        highlight_pages(state, page_class.label, pages, fly=fly)


def highlight_target(state: ViewerState, target: str, title: str, *, fly: bool) -> None:
    """Ask for the memory of a target; when the answer comes, it is highlighted."""
    count = state.scene.page_count
    state.queries.ask(
        HIGHLIGHT, lambda client: FoundPages(title, pages_of(client.resolve(target).value, count), fly), target
    )
