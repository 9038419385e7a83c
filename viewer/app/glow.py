"""What stands out in the picture: asking for the memory of a target, and letting nothing stand out.

It moves no camera, so that a view can name what stands out (`viewer.app.navigation`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..sources.queries import Topic
from ..sources.targets import pages_of
from .state import Hits, ShownMachine, ViewerState


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


def clear_highlight(state: ViewerState, machine: ShownMachine | None = None) -> None:
    """Highlight nothing, or nothing of one machine."""
    for each in state.machines if machine is None else [machine]:
        each.highlight = None
        each.scene.highlight(np.zeros(0, np.int64))
    state.wake()


def highlight_target(state: ViewerState, target: str, title: str, *, fly: bool) -> None:
    """Ask the active machine for the memory of a target; when the answer comes, it is highlighted, and nothing else."""
    for other in state.machines:
        if other is not state.active and other.highlight is not None:
            clear_highlight(state, other)
    _ask(state.active, target, title, fly)


def highlight_everywhere(state: ViewerState, target: str) -> None:
    """Ask all machines for the memory of a target; what answers come is highlighted."""
    for machine in state.machines:
        _ask(machine, target, target, fly=False)


def _ask(machine: ShownMachine, target: str, title: str, fly: bool) -> None:
    count = machine.scene.page_count
    machine.queries.ask(
        HIGHLIGHT, lambda client: FoundPages(title, pages_of(client.resolve(target).value, count), fly, target), target
    )
