"""A kernel list followed in both directions: who is taken out of one of them is missing in the result."""

from __future__ import annotations

from ...errors import AddressError
from ...kernel.objects import KernelObjects

_ATTEMPTS = 3


def links_around(space: KernelObjects, head: int, limit: int) -> set[int] | None:
    """The links that both directions of the ``list_head`` at `head` pass; None where one does not come back to `head`.

    Reads again a few times, as a list that changes meanwhile may not close.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            space.forget()
        forwards, backwards = (_along(space, head, direction, limit) for direction in (0, 8))
        if forwards is not None and backwards is not None:
            return forwards & backwards
    return None


def _along(space: KernelObjects, head: int, direction: int, limit: int) -> set[int] | None:
    """The links of one direction: 0 along ``next``, 8 along ``prev``."""
    found: set[int] = set()
    try:
        link = space.unsigned(head + direction)
        while link != head:
            if link in found or len(found) >= limit:
                return None
            space.budget.spend()
            found.add(link)
            link = space.unsigned(link + direction)
    except AddressError:
        return None
    return found
