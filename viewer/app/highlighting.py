"""Pages that stand out in the picture: what a search found, the memory of a target, a class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qemu_bridge.wire.records import PageClass

from . import navigation
from .glow import clear_highlight
from .state import PageGroup, ShownMachine, ViewerState

MOST_PAGES = 200_000


def highlight_pages(
    state: ViewerState,
    title: str,
    pages: npt.NDArray[np.int64],
    *,
    fly: bool,
    target: str = "",
    machine: ShownMachine | None = None,
) -> None:
    """Highlight `pages` of a machine, the active one unless another is given, and no others of it.

    They are those of `target` if it is known. With `fly` go where they are all seen, and what has that title in other machines.
    """
    machine = machine or state.active
    if not len(pages):
        state.notify(state.tell(machine, f"{title}: no memory"))
        clear_highlight(state, machine)
        return
    machine.highlight = PageGroup(title, pages[:MOST_PAGES], target)
    machine.scene.highlight(machine.highlight.pages, title=title)
    if fly:
        found = [(each.scene, each.highlight.pages) for each in state.machines if each.highlight is not None
                 and each.highlight.title == title and each is not machine]  # fmt: skip
        navigation.frame_found(state, [(machine.scene, pages), *found])
    state.wake()


def highlight_class(state: ViewerState, page_class: PageClass, *, fly: bool) -> None:
    """Highlight all pages of a class, in all machines that have any."""
    for machine in state.machines:
        if machine.scene.page_map is not None:
            pages = (machine.scene.page_map.entries["page_class"] == page_class).nonzero()[0]
            highlight_pages(state, page_class.label, pages, fly=fly, machine=machine)
