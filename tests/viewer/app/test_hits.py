"""Hits of a search: the next and the previous one, and what is told of them."""

from __future__ import annotations

import numpy as np

from viewer.app import hits, selection
from viewer.app.state import Hits


def test_next_and_previous_go_round_and_continue_from_the_selected_byte(state):
    hits.step(state, 1)
    assert "search" in state.messages[-1].text and not hits.summary(state)
    hits.show(state, Hits('"root', np.array([0x45010, 0x45020, 0x46000])))
    assert hits.summary(state) == '"root: 3 hits' and state.pin is None
    for by, offset, number in ((1, 0x45010, 1), (1, 0x45020, 2), (-1, 0x45010, 1), (-1, 0x46000, 3), (1, 0x45010, 1)):
        hits.step(state, by)
        assert state.pin == offset and hits.summary(state) == f'"root: {number} of 3' and state.tab == "Hits"
    selection.select(state, 0x45018)
    hits.step(state, 1)
    assert state.pin == 0x45020
    selection.select(state, 0x45018)
    hits.step(state, -1)
    assert state.pin == 0x45010


def test_the_only_hit_is_selected_and_a_limit_is_told(state):
    hits.show(state, Hits("x:00", np.array([0x45010]), is_complete=False), choose_first=True)
    assert state.pin == 0x45010 and hits.summary(state) == "x:00: 1 of 1 or more"
    hits.show(state, None)
    assert not hits.summary(state)
