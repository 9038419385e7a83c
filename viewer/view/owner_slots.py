"""Which owner has which colour in the owner colouring: the largest have colours of their own, and keep them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .palette import OWNER_COLOURS

_SPREAD = 2654435769
"""Multiplicative hashing by the golden ratio (Knuth, TAOCP volume 3, 6.4)."""


class OwnerSlots:
    """Slots of `palette.owner_ramp` by owner id: 0 for no owner, 1 to 16 for the largest owners, the rest for all others."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}

    def assign(self, ids: npt.NDArray[np.uint32], counts: npt.NDArray[np.int64]) -> bool:
        """Give slots to the owners with most pages; return whether any changed.

        An owner keeps its slot while it is among the largest twice as many, so that colours do not flicker.
        """
        order = np.argsort(-counts, kind="stable")
        largest = [owner for owner in ids[order].tolist() if owner][: 2 * len(OWNER_COLOURS)]
        slots = {owner: slot for owner, slot in self._slots.items() if owner in largest}
        free = iter(sorted(set(range(1, len(OWNER_COLOURS) + 1)) - set(slots.values())))
        for owner in largest[: len(OWNER_COLOURS)]:
            if owner not in slots and (slot := next(free, None)) is not None:
                slots[owner] = slot
        is_other, self._slots = slots != self._slots, slots
        return is_other

    def values(self, owner_ids: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
        """The slot of each owner id."""
        first = len(OWNER_COLOURS) + 1
        spread = owner_ids.astype(np.uint32) * np.uint32(_SPREAD) >> np.uint32(16)
        slots = np.where(owner_ids == 0, 0, first + spread % np.uint32(256 - first)).astype(np.uint8)
        known = np.array(sorted(self._slots), np.uint32)
        if len(known):
            place = np.minimum(np.searchsorted(known, owner_ids), len(known) - 1)
            own = np.array([self._slots[owner] for owner in known.tolist()], np.uint8)
            slots = np.where(known[place] == owner_ids, own[place], slots)
        return slots
