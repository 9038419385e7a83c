"""Page tables of many address spaces at once: what each maps, and which pages hold the tables.

`paging.PageTables` walks one space and keeps the rights of every page. A page map needs neither: here all spaces go down
level by level together, so that a guest of a hundred processes costs four steps and not four hundred (entry format:
``paging``; Intel SDM volume 3, chapter 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...kernel.columns import KernelColumns, Pages, U64Array
from ...memory.addresses import PAGE_SHIFT, RamLayout
from ...memory.page_entries import ENTRIES, LARGEST_PAGE_LEVEL
from ...memory.paging import MAX_MAPPINGS, MAX_TABLES

_PRESENT, _LARGE, _PROT_NONE = np.uint64(1), np.uint64(1 << 7), np.uint64(1 << 8)
_FRAME_MASK = np.uint64(((1 << 52) - 1) & ~0xFFF)
_U64 = (1 << 64) - 1
# Accessed and dirty change all the time and mean nothing here.
_MEANING = np.uint64(_U64 & ~(1 << 5 | 1 << 6))
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Walk:
    """What `walk` found, as columns; `space` numbers the roots.

    Attributes:
        space, virtual, page: one row for each 4 KiB page of RAM that is mapped.
        table_space, table_page, table_level: one row for each page that holds a table.
        tables: the entries of those pages as they were, for `changed_spaces`.
        skipped: tables that are outside RAM.
        complete: False when a bound cut the walk short.
    """

    space: Pages
    virtual: U64Array
    page: Pages
    table_space: Pages
    table_page: Pages
    table_level: npt.NDArray[np.uint8]
    tables: U64Array
    skipped: int
    complete: bool

    def changed_spaces(self, read: KernelColumns) -> Pages:
        """Numbers of the spaces that have a table whose entries changed since the walk; accessed and dirty bits do not count."""
        now = read.ram.pages().view("<u8")[self.table_page]
        rows = np.flatnonzero((now != self.tables).any(axis=1))
        rows = rows[((now[rows] ^ self.tables[rows]) & _MEANING).any(axis=1)]
        return np.unique(self.table_space[rows])

    def notes(self, mapper: str) -> list[str]:
        """What was left out of the page tables of `mapper`, a sentence each."""
        notes = [f"page tables of {mapper}: {self.skipped} outside RAM"] if self.skipped else []
        return notes if self.complete else [*notes, f"page tables of {mapper}: too many to follow"]


def walk(read: KernelColumns, roots: U64Array, half: slice, wanted: tuple[tuple[int, int], ...] = ((0, _U64),)) -> Walk:
    """Follow `half` of the root tables in frames `roots`; of what they map, keep what is in `wanted` ranges."""
    levels, layout = read.kernel.page_tables.levels, read.ram.layout
    frame: U64Array = roots
    virtual: U64Array = np.zeros(len(roots), np.uint64)
    space: Pages = np.arange(len(roots))
    mapped: list[tuple[Pages, U64Array, Pages]] = [
        (np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, np.int64))
    ]
    tables: list[tuple[Pages, Pages, npt.NDArray[np.uint8], U64Array]] = []
    skipped, visited, found, complete = 0, 0, 0, True
    for level in range(levels, 0, -1):
        page = layout.frames_to_pages(frame)
        inside = (page >= 0) & read.resident[np.maximum(page, 0)]
        skipped += len(page) - int(np.count_nonzero(inside))
        page, virtual, space = page[inside], virtual[inside], space[inside]
        if visited + len(page) > MAX_TABLES:
            complete = False
            allowed = slice(0, MAX_TABLES - visited)
            page, virtual, space = page[allowed], virtual[allowed], space[allowed]
        visited += len(page)
        pending = 0
        below = [(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, np.int64))]
        for start in range(0, len(page), _CHUNK):
            part = slice(start, start + _CHUNK)
            entries = read.ram.pages().view("<u8")[page[part]]
            levels_here = np.full(len(entries), level, np.uint8)
            tables.append((space[part], page[part], levels_here, entries))
            if level == levels:
                entries = _only(entries, half)
            flat = np.flatnonzero((entries & (_PRESENT | _PROT_NONE)) != 0)
            row, column = flat // ENTRIES, flat % ENTRIES
            entry = entries.ravel()[flat]
            address = _virtual(virtual[part][row], column, level, levels)
            leaf = _is_leaf(entry, level)
            if leaf.any():
                rows = _mapped(layout, space[part][row[leaf]], address[leaf], entry[leaf], level, wanted)
                if found + len(rows[0]) > MAX_MAPPINGS:
                    rows, complete = tuple(c[: MAX_MAPPINGS - found] for c in rows), False  # type: ignore[assignment]
                found += len(rows[0])
                mapped.append(rows)
            points = np.flatnonzero(~leaf & ((entry & _PRESENT) != 0))
            # A table that points at itself has 512 tables below it; keep no more than will be visited.
            if pending + len(points) > MAX_TABLES:
                points, complete = points[: MAX_TABLES - pending], False
            pending += len(points)
            below.append(
                ((entry[points] & _FRAME_MASK) >> np.uint64(PAGE_SHIFT), address[points], space[part][row[points]])
            )
        frame = np.concatenate([part[0] for part in below])
        virtual = np.concatenate([part[1] for part in below])
        space = np.concatenate([part[2] for part in below])
    columns = [np.concatenate(column) for column in zip(*mapped, strict=True)]
    empty = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros((0, ENTRIES), np.uint64))
    held = [np.concatenate(column) for column in zip(empty, *tables, strict=True)]
    return Walk(columns[0], columns[1], columns[2], held[0], held[1], held[2], held[3], skipped, complete)


def join(kept: Walk, spaces: Pages, numbers: Pages, new: Walk) -> Walk:
    """`kept` without its rows of `spaces`, together with `new`; space i of `new` becomes numbers[i]."""
    stays, tables_stay = ~np.isin(kept.space, spaces), ~np.isin(kept.table_space, spaces)
    return Walk(
        np.concatenate([kept.space[stays], numbers[new.space]]),
        np.concatenate([kept.virtual[stays], new.virtual]),
        np.concatenate([kept.page[stays], new.page]),
        np.concatenate([kept.table_space[tables_stay], numbers[new.table_space]]),
        np.concatenate([kept.table_page[tables_stay], new.table_page]),
        np.concatenate([kept.table_level[tables_stay], new.table_level]),
        np.concatenate([kept.tables[tables_stay], new.tables]),
        kept.skipped + new.skipped,
        kept.complete and new.complete,
    )


def _only(entries: U64Array, half: slice) -> U64Array:
    kept = np.zeros_like(entries)
    kept[:, half] = entries[:, half]
    return kept


def _virtual(above: U64Array, column: Pages, level: int, levels: int) -> U64Array:
    """Virtual addresses of entries `column` of tables that start at `above`, sign-extended at the root."""
    virtual = above + (column.astype(np.uint64) << np.uint64(PAGE_SHIFT + 9 * (level - 1)))
    if level == levels:
        sign = 1 << (PAGE_SHIFT + 9 * levels - 1)
        virtual[virtual >= np.uint64(sign)] |= np.uint64(_U64 & ~(2 * sign - 1))
    return virtual


def _is_leaf(entry: U64Array, level: int) -> npt.NDArray[np.bool_]:
    if level == 1:
        return np.ones(entry.shape, np.bool_)
    if level > LARGEST_PAGE_LEVEL:
        return np.zeros(entry.shape, np.bool_)
    large: npt.NDArray[np.bool_] = np.not_equal(entry & _LARGE, 0)
    return large


def _mapped(
    layout: RamLayout, space: Pages, virtual: U64Array, entry: U64Array, level: int, wanted: tuple[tuple[int, int], ...]
) -> tuple[Pages, U64Array, Pages]:
    """Leaf entries as rows of 4 KiB pages of RAM; of one space, the same large page counts once."""
    chosen = np.zeros(len(entry), np.bool_)
    for start, end in wanted:
        chosen |= (virtual >= np.uint64(start)) & (virtual < np.uint64(end))
    space, virtual, entry = space[chosen], virtual[chosen], entry[chosen]
    address = np.where((entry & _PRESENT) != 0, entry, ~entry) & _FRAME_MASK
    frame = address >> np.uint64(PAGE_SHIFT)
    if level > 1:
        count = 1 << 9 * (level - 1)
        frame &= np.uint64(_U64 & ~(count - 1))
        _, first = np.unique(frame | space.astype(np.uint64) << np.uint64(44), return_index=True)
        first = first[layout.frames_to_pages(frame[first]) >= 0][: MAX_MAPPINGS // count]
        step = np.arange(count, dtype=np.uint64)
        space = np.repeat(space[first], count)
        virtual = (virtual[first][:, None] + (step << np.uint64(PAGE_SHIFT))).ravel()
        frame = (frame[first][:, None] + step).ravel()
    page = layout.frames_to_pages(frame)
    known = page >= 0
    return space[known], virtual[known], page[known]
