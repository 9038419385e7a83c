"""What stands out in the picture: asking for the memory of a target, and letting nothing stand out.

It moves no camera, so that a view can name what stands out (`viewer.app.navigation`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..sources.queries import Topic
from ..sources.targets import pages_of
from .state import Hits, ViewerState


@dataclass(frozen=True, slots=True)
class FoundPages:
    """The result of a ``highlight`` query.

    Attributes:
        title, pages: what is highlighted.
        fly: whether to fly there.
        target: what the pages are of, empty for no target.
        pin: the byte that was looked for, None for none in particular.
        hits: what there is to go through, None where the query was no search.
    """

    title: str
    pages: npt.NDArray[np.int64]
    fly: bool
    target: str = ""
    pin: int | None = None
    hits: Hits | None = None


HIGHLIGHT: Topic[FoundPages] = Topic("highlight")


def clear_highlight(state: ViewerState) -> None:
    """Highlight nothing."""
    state.highlight = None
    state.scene.highlight(np.zeros(0, np.int64))
    state.wake()


def highlight_target(state: ViewerState, target: str, title: str, *, fly: bool) -> None:
    """Ask for the memory of a target; when the answer comes, it is highlighted."""
    count = state.scene.page_count
    state.queries.ask(
        HIGHLIGHT, lambda client: FoundPages(title, pages_of(client.resolve(target).value, count), fly, target), target
    )
