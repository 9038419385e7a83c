"""Comparison of two moments of a machine's memory: two captures, or a capture and a running machine.

>>> difference = compare(Client.connect("./before"), Client.connect("demo"))
>>> difference.value.differing_pages
1204
"""

from __future__ import annotations

import time
from collections import Counter
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..memory.addresses import PAGE_SHIFT, merge_ranges
from ..memory.ram import GuestRam
from ..wire.capture_records import ChangedRange, ClassDifference, MemoryDifference
from ..wire.page_map import PageMap
from ..wire.records import Answer, Owner, PageClass

if TYPE_CHECKING:
    from ..client import Client

_CHUNK_PAGES = 4096


class Change(IntEnum):
    """How the content of a page changed. A page that was never touched holds zeros, so copies with other holes compare alike."""

    SAME = 0
    CHANGED = 1
    """It held something at both moments, not the same."""
    APPEARED = 2
    """It held only zeros before."""
    GONE = 3
    """It holds only zeros now."""


def compare(before: Client, after: Client, target: str = "", pages: bool = False) -> Answer[MemoryDifference]:
    """Compare the memory of `before` and `after`, or only that of `target`; `pages` adds the ranges that differ.

    `UsageError` for machines with different RAM layouts, or an invalid target.
    """
    begun = time.perf_counter()
    change = compare_pages(before.ram, after.ram)
    skipped: list[str] = []
    wanted = np.full(len(change), not target, np.bool_)
    if target:
        resolved = after.resolve(target)
        skipped += resolved.skipped
        for row in resolved.value.ranges:
            wanted[row.ram_offset >> PAGE_SHIFT : -(-(row.ram_offset + row.size) >> PAGE_SHIFT)] = True
        change[~wanted] = Change.SAME
    earlier, later = before.page_map(complete=True), after.page_map(complete=True)
    was, now = earlier.value, later.value
    appeared, gone = owners_that_came_and_went(was, now, wanted)
    difference = MemoryDifference(
        pages=len(change),
        differing_pages=int(np.count_nonzero(change)),
        classes=by_class(change, was, now),
        owners_appeared=tuple(appeared),
        owners_gone=tuple(gone),
        ranges=tuple(changed_ranges(change)) if pages else (),
    )
    # A sentence of both moments is said once.
    notes = dict.fromkeys((*earlier.skipped, *later.skipped, *skipped))
    return Answer(difference, later.grade, later.epoch, tuple(notes), time.perf_counter() - begun)


def changed_ranges(change: npt.NDArray[np.uint8]) -> list[ChangedRange]:
    """Ranges of adjacent pages with the same change: changed ones first, then appeared, then gone."""
    return [
        ChangedRange(first << PAGE_SHIFT, (end << PAGE_SHIFT) - 1, end - first, kind.name.lower())
        for kind in (Change.CHANGED, Change.APPEARED, Change.GONE)
        for first, end in merge_ranges(np.flatnonzero(change == kind).tolist())
    ]


def compare_pages(before: GuestRam, after: GuestRam) -> npt.NDArray[np.uint8]:
    """How each page changed: a `uint8` array of `Change`, one entry per page of the RAM file.

    Memory is read in place, 16 MiB at a time. `UsageError` for machines with different RAM layouts.
    """
    if before.layout != after.layout:
        raise UsageError(
            f"{before.size >> 20} MiB of RAM and {after.size >> 20} MiB cannot be compared page by page; compare moments of one machine"
        )
    was, now = before.resident_pages(), after.resident_pages()
    change = np.zeros(before.page_count, np.uint8)
    there = np.flatnonzero(was | now)
    for first in range(0, len(there), _CHUNK_PAGES):
        pages = there[first : first + _CHUNK_PAGES]
        change[pages] = changes_of(before, after, pages, was[pages], now[pages])
    return change


def changes_of(
    before: GuestRam,
    after: GuestRam,
    pages: npt.NDArray[np.intp],
    was: npt.NDArray[np.bool_],
    now: npt.NDArray[np.bool_],
) -> npt.NDArray[np.uint8]:
    """The `Change` of each of `pages`; `was` and `now` say which have memory. The others are not read: that would give them some."""
    one, other = (ram.pages().view(np.uint64) for ram in (before, after))
    differs = was ^ now
    both = np.flatnonzero(was & now)
    differs[both] = (one[pages[both]] != other[pages[both]]).any(axis=1)
    had, has = differs & was, differs & now
    had[had], has[has] = one[pages[had]].any(axis=1), other[pages[has]].any(axis=1)
    change = np.full(len(pages), Change.SAME, np.uint8)
    change[had & has], change[has & ~had], change[had & ~has] = Change.CHANGED, Change.APPEARED, Change.GONE
    return change


def by_class(change: npt.NDArray[np.uint8], before: PageMap, after: PageMap) -> tuple[ClassDifference, ...]:
    """Numbers of pages that differ, by class, most first."""
    page_class = np.where(change == Change.GONE, before.entries["page_class"], after.entries["page_class"])
    counts = np.bincount(page_class.astype(np.int64) * len(Change) + change, minlength=256 * len(Change))
    rows = [
        ClassDifference(
            PageClass(number).word, int(row[Change.CHANGED]), int(row[Change.APPEARED]), int(row[Change.GONE])
        )
        for number, row in enumerate(counts.reshape(256, -1))
        if row[1:].any()
    ]
    return tuple(sorted(rows, key=lambda row: -(row.changed + row.appeared + row.gone)))


def owners_that_came_and_went(
    before: PageMap, after: PageMap, wanted: npt.NDArray[np.bool_]
) -> tuple[list[Owner], list[Owner]]:
    """(owners of `wanted` pages only at the second moment, only at the first), those with most pages first."""

    def known(page_map: PageMap) -> Counter[tuple[str, int, str, str]]:
        ids, counts = np.unique(page_map.entries["owner_id"][wanted], return_counts=True)
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
