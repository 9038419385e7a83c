"""What a search found, byte by byte: a list to go through, the next and the previous one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from . import navigation, selection
from .state import Hits, ViewerState

_OFFSET_BITS = 52


def show(state: ViewerState, hits: Hits | None, *, choose_first: bool = False) -> None:
    """Keep `hits` to go through, the first one selected if `choose_first`; None forgets them."""
    state.hits, state.hit = hits, -1
    if hits is not None and choose_first and len(hits.offsets):
        choose(state, 0)
    state.wake()


def add(state: ViewerState, machine: int, found: Hits, *, choose_first: bool = False) -> None:
    """Keep what a query found in one machine, beside what it found in others; another query's hits are forgotten."""
    kept, chosen = state.hits, None
    if kept is None or kept.query != found.query or len(state.machines) == 1:
        show(state, replace(found, machines=np.full(len(found.offsets), machine)), choose_first=choose_first)
        return
    if state.hit >= 0:
        chosen = kept.machine_of(state.hit), int(kept.offsets[state.hit])
    stays = kept.machines != machine
    machines = np.concatenate([kept.machines[stays], np.full(len(found.offsets), machine)])
    offsets = np.concatenate([kept.offsets[stays], found.offsets])
    order = np.argsort(machines, kind="stable")
    merged = Hits(found.query, offsets[order], kept.is_complete and found.is_complete, machines[order])
    show(state, merged, choose_first=choose_first and chosen is None)
    if chosen is not None:
        state.hit = int(np.searchsorted(_keys(merged), _key(*chosen)))


def forget(state: ViewerState, machine: int) -> None:
    """Drop the hits in one machine: another guest runs there now."""
    kept = state.hits
    if kept is None or not len(kept.offsets):
        return
    stays = np.array([kept.machine_of(number) != machine for number in range(len(kept.offsets))])
    if not stays.all():
        show(state, replace(kept, offsets=kept.offsets[stays], machines=kept.machines[stays]) if stays.any() else None)


def _key(machine: int, offset: int) -> int:
    return machine << _OFFSET_BITS | offset


def _keys(hits: Hits) -> npt.NDArray[np.int64]:
    """A number for each hit, ascending."""
    return hits.offsets | (hits.machines << _OFFSET_BITS if len(hits.machines) else np.int64(0))


def choose(state: ViewerState, number: int) -> None:
    """Select the byte of one hit, and go there if it is out of sight."""
    if state.hits is None:
        return
    navigation.mark(state, "hit")
    selection.select(state, int(state.hits.offsets[number]), state.hits.machine_of(number))
    state.hit, state.tab = number, "Hits"
    if not navigation.is_in_sight(state):
        navigation.frame(state)


def step(state: ViewerState, by: int) -> None:
    """Select the next hit, or the previous one with -1, around the end; from the selected byte where that is no hit."""
    hits = state.hits
    if hits is None or not len(hits.offsets):
        state.notify("nothing was looked for yet; press / and search")
        return
    here, keys = state.hit, _keys(hits)
    pin = None if state.pin is None else _key(state.active_number, state.pin)
    if pin is not None and (here < 0 or pin != int(keys[here])):
        after = int(np.searchsorted(keys, pin, side="right"))
        here = after - 1 if by > 0 else int(np.searchsorted(keys, pin))
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
