"""What differs between two moments of a machine's memory: two captures, or a capture and now.

>>> change = compare_pages(before.ram, after.ram)
>>> np.bincount(change, minlength=len(Change))[Change.CHANGED]
1204
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..memory.ram import GuestRam
from ..wire.page_map import PageMap
from ..wire.records import Owner, PageClass

_CHUNK_PAGES = 4096


class Change(IntEnum):
    """What became of a page."""

    SAME = 0
    CHANGED = 1
    """Touched at both moments, with another content."""
    APPEARED = 2
    """Not touched before."""
    GONE = 3
    """Touched before, and not any more."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Pages of one class whose content differs: how many, by `Change`.

    `page_class` is what the pages are at the second moment, of those that are gone what they were.
    """

    page_class: PageClass
    changed: int
    appeared: int
    gone: int


def compare_pages(before: GuestRam, after: GuestRam) -> npt.NDArray[np.uint8]:
    """What became of each page: `uint8` of `Change`, an entry a page of the RAM file.

    Memory is read in place, 16 MiB at a time. `UsageError` for machines whose RAM does not lie alike.
    """
    if before.layout != after.layout:
        raise UsageError(
            f"{before.size >> 20} MiB of RAM and {after.size >> 20} MiB cannot be compared page by page; compare moments of one machine"
        )
    was, now = before.resident_pages(), after.resident_pages()
    change = np.zeros(before.page_count, np.uint8)
    change[now & ~was], change[was & ~now] = Change.APPEARED, Change.GONE
    both = np.flatnonzero(was & now)
    one, other = (ram.pages().view(np.uint64) for ram in (before, after))
    for first in range(0, len(both), _CHUNK_PAGES):
        pages = both[first : first + _CHUNK_PAGES]
        change[pages[(one[pages] != other[pages]).any(axis=1)]] = Change.CHANGED
    return change


def by_class(change: npt.NDArray[np.uint8], before: PageMap, after: PageMap) -> list[Difference]:
    """The pages that differ, counted by class, most first."""
    page_class = np.where(change == Change.GONE, before.entries["page_class"], after.entries["page_class"])
    counts = np.bincount(page_class.astype(np.int64) * len(Change) + change, minlength=256 * len(Change))
    rows = [
        Difference(PageClass(number), int(row[Change.CHANGED]), int(row[Change.APPEARED]), int(row[Change.GONE]))
        for number, row in enumerate(counts.reshape(256, -1))
        if row[1:].any()
    ]
    return sorted(rows, key=lambda row: -(row.changed + row.appeared + row.gone))


def owners_that_came_and_went(before: PageMap, after: PageMap) -> tuple[list[Owner], list[Owner]]:
    """(owners of pages only at the second moment, only at the first), those with most pages first."""

    def known(page_map: PageMap) -> Counter[tuple[str, int, str, str]]:
        ids, counts = np.unique(page_map.entries["owner_id"], return_counts=True)
        pages: Counter[tuple[str, int, str, str]] = Counter()
        for owner_id, count in zip(ids.tolist(), counts.tolist(), strict=True):
            if owner := page_map.owners.get(owner_id):
                pages[owner.kind, owner.pid, owner.name, owner.detail] += count
        return pages

    was, now = known(before), known(after)

    def only(mine: Counter[tuple[str, int, str, str]], other: Counter[tuple[str, int, str, str]]) -> list[Owner]:
        return [
            Owner(0, pid, name, kind, detail)
            for (kind, pid, name, detail), _ in mine.most_common()
            if (kind, pid, name, detail) not in other
        ]

    return only(now, was), only(was, now)
