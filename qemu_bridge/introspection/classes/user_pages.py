"""The pages of processes: what their page tables map, as which memory area, and who shares it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...kernel.columns import KernelColumns, Pages
from ...memory.page_entries import ENTRIES
from ...wire.page_map import FLAG_MAPPED, FLAG_SHARED, ORDER_SHIFT, Sharers
from ...wire.records import PageClass
from .claims import Claims
from .owners import OwnerBook, owner_of
from .tasks import Space, TaskReader
from .walk import Walk, join, walk

_USER_HALF = slice(0, ENTRIES // 2)


class UserPages:
    """Claims what processes map, and the pages of their tables.

    Attributes:
        claims: the claims as of the last `update`.
        sharers: which processes map each page that is mapped.
        walked: what the page tables map, None before the first update.
    """

    def __init__(self, read: KernelColumns, tasks: TaskReader, book: OwnerBook) -> None:
        self._read = read
        self._tasks = tasks
        self._spaces: list[Space] = []
        self._area_class = np.zeros(0, np.uint8)
        self.claims = Claims(read.ram.page_count)
        self.sharers = Sharers.none()
        self.start(book)

    def start(self, book: OwnerBook) -> None:
        """Number owners in `book` from now on."""
        self._book = book
        self.forget()

    def forget(self) -> None:
        """Make the next update walk the page tables again."""
        self.walked: Walk | None = None

    def update(self, spaces: list[Space], notes: list[str]) -> Pages:
        """Bring the claims up to date; returns the pages whose claim may have changed, and adds to `notes` what was skipped."""
        walked = self._walk_spaces(spaces, notes)
        if walked is None:
            return np.zeros(0, np.int64)
        notes += walked.notes("processes")
        self._book.set_processes([owner_of(pid, space.name) for space in spaces for pid in space.pids])
        process = np.array([space.pid + 1 for space in spaces], np.uint32)
        tables = np.array([self._book.number("page-table", s.pid, s.name, s.pid) for s in spaces], np.uint32)
        stale = self.claims.clear()
        order = np.lexsort((walked.space, walked.page))
        page, space = walked.page[order], walked.space[order]
        first = np.ones(len(page), np.bool_)
        first[1:] = page[1:] != page[:-1]
        flags = self._find_sharers(page, space, first, spaces)
        self.claims.set(page[first], self._strongest(order, first), process[space[first]], flags)
        # No process maps its own tables; a guest that says so contradicts itself, and the table wins.
        level = walked.table_level << ORDER_SHIFT
        self.claims.set(walked.table_page, PageClass.PAGE_TABLE, tables[walked.table_space], level)
        return np.concatenate([stale, self.claims.pages])

    def _walk_spaces(self, spaces: list[Space], notes: list[str]) -> Walk | None:
        """The walk brought up to date, with the classes of what it found; None when nothing is new."""
        known = self.walked
        if known is None or _tables_of(spaces) != _tables_of(self._spaces):
            self.walked = walk(self._read, _roots(spaces), _USER_HALF)
            self._area_class = self._find_areas(spaces, np.arange(len(spaces)), self.walked, notes)
        else:
            numbers = known.changed_spaces(self._read)
            if not len(numbers):
                changed, self._spaces = spaces is not self._spaces and spaces != self._spaces, spaces
                return known if changed else None
            chosen = [spaces[number] for number in numbers.tolist()]
            new = walk(self._read, _roots(chosen), _USER_HALF)
            stays = ~np.isin(known.space, numbers)
            fresh = self._find_areas(chosen, np.arange(len(chosen)), new, notes)
            self._area_class = np.concatenate([self._area_class[stays], fresh])
            self.walked = join(known, numbers, numbers, new)
        self._spaces = spaces
        return self.walked

    def _find_areas(self, spaces: list[Space], numbers: Pages, walked: Walk, notes: list[str]) -> npt.NDArray[np.uint8]:
        """The class of the memory area that each mapped page is in."""
        found = self._tasks.areas([space.mm for space in spaces])
        if not found.complete:
            notes.append("memory areas of processes: too many, or changed while read; pause and ask again")
        return found.find(numbers[walked.space], walked.virtual)

    def _strongest(self, order: Pages, first: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        """One class a page: executable wherever one process has it so, else what the first process says."""
        classes = self._area_class[order]
        starts = np.flatnonzero(first)
        if not len(starts):
            return classes
        is_text = np.logical_or.reduceat(classes == PageClass.PROCESS_TEXT, starts)
        return np.where(is_text, np.uint8(PageClass.PROCESS_TEXT), classes[starts])

    def _find_sharers(
        self, page: Pages, space: Pages, first: npt.NDArray[np.bool_], spaces: list[Space]
    ) -> npt.NDArray[np.int64]:
        """Set `sharers` by mapped pages, ascending by page and space; the flags of each page that is a `first` row."""
        new_user = first.copy()
        new_user[1:] |= space[1:] != space[:-1]
        self.sharers = _list_sharers(page[new_user], space[new_user], spaces)
        shared = np.bincount(np.cumsum(first)[new_user] - 1, minlength=int(first.sum())) > 1
        shared |= np.array([len(s.pids) > 1 for s in spaces], np.bool_)[space[first]] if len(spaces) else False
        return np.where(shared, FLAG_MAPPED | FLAG_SHARED, FLAG_MAPPED)


def _list_sharers(page: Pages, space: Pages, spaces: list[Space]) -> Sharers:
    """Each process of the address spaces that map a page; one row a page and space."""
    if not len(space):
        return Sharers.none()
    pids = [np.array(s.pids, np.uint32) + np.uint32(1) for s in spaces]
    counts = np.array([len(p) for p in pids], np.int64)
    starts = np.cumsum(counts) - counts
    repeats = counts[space]
    within = np.arange(int(repeats.sum())) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return Sharers(np.repeat(page, repeats), np.concatenate(pids)[np.repeat(starts[space], repeats) + within])


def _tables_of(spaces: list[Space]) -> list[tuple[int, int]]:
    return [(space.mm, space.root) for space in spaces]


def _roots(spaces: list[Space]) -> npt.NDArray[np.uint64]:
    return np.array([space.root for space in spaces], np.uint64)
