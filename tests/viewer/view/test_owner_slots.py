"""Colours of owners."""

from __future__ import annotations

import numpy as np

from viewer.view.owner_slots import OwnerSlots
from viewer.view.palette import OWNER_COLOURS

LARGE = len(OWNER_COLOURS)


def test_the_largest_have_slots_of_their_own_and_no_owner_has_none():
    slots, ids = OwnerSlots(), np.arange(60, dtype=np.uint32)
    assert slots.assign(ids, 1000 - np.arange(60))
    values = slots.values(ids).astype(int)
    assert values[0] == 0 and sorted(values[1 : LARGE + 1]) == list(range(1, LARGE + 1))
    assert (values[LARGE + 1 :] > LARGE).all()


def test_an_owner_keeps_its_colour_while_it_is_large_and_leaves_it_when_it_goes():
    slots, ids = OwnerSlots(), np.arange(1, 41, dtype=np.uint32)
    slots.assign(ids, np.arange(40, 0, -1))
    before = slots.values(ids)
    slots.assign(ids, np.where(ids == 20, 100, np.arange(40, 0, -1)))
    assert np.array_equal(slots.values(ids), before)
    assert slots.assign(ids[1:], np.arange(39, 0, -1))
    assert slots.values(np.array([1], np.uint32))[0] > LARGE
    kept = before[1:LARGE]
    assert np.array_equal(slots.values(ids[1:LARGE]), kept)
    assert slots.values(ids[LARGE : LARGE + 1])[0] == before[0]
