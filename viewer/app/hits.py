"""What a search found, byte by byte: a list to go through, the next and the previous one."""

from __future__ import annotations

import numpy as np

from . import navigation, selection
from .state import Hits, ViewerState


def show(state: ViewerState, hits: Hits | None, *, choose_first: bool = False) -> None:
    """Keep `hits` to go through, the first one selected if `choose_first`; None forgets them."""
    state.hits, state.hit = hits, -1
    if hits is not None and choose_first and len(hits.offsets):
        choose(state, 0)
    state.wake()


def choose(state: ViewerState, number: int) -> None:
    """Select the byte of one hit, and go there if it is out of sight."""
    if state.hits is None:
        return
    navigation.mark(state, "hit")
    selection.select(state, int(state.hits.offsets[number]))
    state.hit, state.tab = number, "Hits"
    if not navigation.is_in_sight(state):
        navigation.frame(state)


def step(state: ViewerState, by: int) -> None:
    """Select the next hit, or the previous one with -1, around the end; from the selected byte where that is no hit."""
    hits = state.hits
    if hits is None or not len(hits.offsets):
        state.notify("nothing was looked for yet; press / and search")
        return
    here = state.hit
    if state.pin is not None and (here < 0 or state.pin != int(hits.offsets[here])):
        after = int(np.searchsorted(hits.offsets, state.pin, side="right"))
        here = after - 1 if by > 0 else int(np.searchsorted(hits.offsets, state.pin))
    elif here < 0:
        here = -1 if by > 0 else 0
    choose(state, (here + by) % len(hits.offsets))


def summary(state: ViewerState) -> str:
    """``"root: 3 of 120``: the query, the chosen hit, and how many there are; empty for no search."""
    hits = state.hits
    if hits is None:
        return ""
    count = f"{len(hits.offsets)}{'' if hits.is_complete else ' or more'}"
    return f"{hits.query}: {state.hit + 1} of {count}" if state.hit >= 0 else f"{hits.query}: {count} hits"
