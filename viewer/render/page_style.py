"""The style of each page: what colours it beyond its class. A word a page, in file order: value, heat and marks.

Bits 0-7 are the value in the look's mode (an index into the palette's ramp), bits 8-15 its heat
of writes, bits 16-19 flags: `SELECTED`, `HIGHLIGHTED`, `LINES` (only some of its 64-byte lines are highlighted, see below)
and `LIT` (it shows even inside empty glass). Behind these words stand two per page with a bit for each line.
As metadata is small (12 bytes a page) it is sent in spans, whatever changed in between.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import wgpu

from ..sources.content import PageDigests
from ..sources.heat import EntropyCache, Heat, Pages, scale_counts
from ..sources.learned import LearnedPages
from ..view.look import Look, Mode
from ..view.owner_slots import OwnerSlots
from ..view.palette import EQUAL_STEP, LEARNED_COLOURS, MOST_HOLDERS, step_values

SELECTED, HIGHLIGHTED, LINES, LIT = 1 << 16, 1 << 17, 1 << 18, 1 << 19
MARKED = SELECTED | HIGHLIGHTED
_LEAST_HEAT = 8


class PageStyle:
    """The style words, what they are made of, and the buffer that holds them.

    Attributes:
        heat: of writes.
        entropy: of pages.
        owner_slots: which owner has which colour.
        executions: how often each page was executed, `uint32`; None while nothing is counted.
        difference: how each page differs from another capture (`qemu_bridge.captures.compare.compare_pages`); None for no comparison.
        digests: of what pages hold, where several machines are compared.
        holders: how many machines of the picture hold the content of each page, `uint8`; None where that is not compared.
        lit_in_cell, marked_in_cell: how many of every 64 pages are lit, and selected or highlighted.
        learned: which pages hold learned loops (`viewer.sources.learned`); None where nobody has asked.
        buffer: the words on the device.
    """

    def __init__(self, device: wgpu.GPUDevice, page_count: int) -> None:
        self._device = device
        self.page_count = page_count
        self.heat = Heat(page_count)
        self.entropy = EntropyCache(page_count)
        self.owner_slots = OwnerSlots()
        self.executions: npt.NDArray[np.uint32] | None = None
        self.difference: npt.NDArray[np.uint8] | None = None
        self.digests = PageDigests(page_count)
        self.holders: npt.NDArray[np.uint8] | None = None
        self.learned: LearnedPages | None = None
        self.words = np.zeros(page_count, np.uint32)
        self.lit_in_cell = np.zeros(-(-page_count // 64), np.int16)
        self.marked_in_cell = np.zeros_like(self.lit_in_cell)
        self._marks = np.zeros(page_count, np.uint32)
        self._lines = np.zeros((page_count, 2), np.uint32)
        usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.COPY_SRC
        self.buffer = device.create_buffer(size=-(-12 * page_count // 16) * 16, usage=usage)

    @property
    def has_marks(self) -> bool:
        """Whether any page is selected or highlighted."""
        return bool(self._marks.any())

    def marked(self, flag: int) -> Pages:
        """The pages marked `SELECTED` or `HIGHLIGHTED`, ascending."""
        return np.flatnonzero(self._marks & np.uint32(flag)).astype(np.int64)

    def mark(self, flag: int, pages: npt.NDArray[np.int64], lines: npt.NDArray[np.uint64] | None = None) -> None:
        """Give the flag to `pages` and to no others; `lines` has a bit for each 64-byte line, one number a page."""
        pages = np.asarray(pages, np.int64)
        inside = (pages >= 0) & (pages < self.page_count)
        pages = pages[inside]
        self._marks &= np.uint32(~(flag | (LINES if flag == HIGHLIGHTED else 0)) & 0xFFFFFFFF)
        self._marks[pages] |= np.uint32(flag if lines is None else flag | LINES)
        if lines is not None and len(pages):
            self._lines[:] = 0
            halves = np.ascontiguousarray(np.asarray(lines, np.uint64)[inside]).view(np.uint32).reshape(-1, 2)
            np.bitwise_or.at(self._lines, pages, halves)
            self._device.queue.write_buffer(self.buffer, 4 * self.page_count, self._lines)

    def values(self, look: Look, owners: npt.NDArray[np.uint32], pages: Pages, now_s: float) -> npt.NDArray[np.uint8]:
        """Values 0-255 of `pages` in the look's mode; `owners` are the owner ids of these pages."""
        nothing = np.zeros(len(pages), np.uint8)
        if look.mode is Mode.OWNER:
            return self.owner_slots.values(owners)
        if look.mode is Mode.ENTROPY:
            return self.entropy.values[pages]
        if look.mode is Mode.AGE:
            return self.heat.recency(pages, now_s)
        if look.mode is Mode.WRITES:
            return self.heat.rate(pages)
        if look.mode is Mode.EXECUTION and self.executions is not None:
            # Copied once: the counts change meanwhile.
            counts = np.array(self.executions[: self.page_count])
            known = np.zeros(len(pages), np.uint32)
            known[pages < len(counts)] = counts[pages[pages < len(counts)]]
            return scale_counts(known, int(counts.max(initial=0)))
        if look.mode is Mode.DIFFERENCE and self.difference is not None:
            inside = pages < len(self.difference)
            nothing[inside] = np.uint8(85) * np.minimum(self.difference[pages[inside]], 3)
        if look.mode is Mode.EQUAL and self.holders is not None:
            return np.uint8(EQUAL_STEP) * (np.clip(self.holders[pages], 1, MOST_HOLDERS) - np.uint8(1))
        if look.mode is Mode.LEARNED and self.learned is not None:
            return step_values(self.learned.kinds[pages], len(LEARNED_COLOURS))
        return nothing

    def mark_changed(self, pages: Pages) -> None:
        """Note that the bytes of `pages` changed."""
        self.entropy.mark(pages)
        self.digests.mark(pages)

    def mark_zero(self, pages: Pages) -> None:
        """Note that `pages` are zeros."""
        self.entropy.clear(pages)
        self.digests.clear(pages)

    def update(
        self,
        look: Look,
        owners: npt.NDArray[np.uint32],
        shows: npt.NDArray[np.bool_],
        pages: Pages,
        now_s: float,
    ) -> Pages:
        """Work out the words of `pages` again and send what changed; return the pages of which it did.

        `owners` and whether the class `shows` are given for these pages, which ascend.
        """
        if not len(pages):
            return pages
        values = self.values(look, owners, pages, now_s)
        # Where colours show activity, heat over them would mislead.
        heat = (
            self.heat.brightness(pages) if look.heat and not look.mode.is_activity else np.zeros(len(pages), np.uint8)
        )
        words = values | heat.astype(np.uint32) << np.uint32(8) | self._marks[pages]
        is_lit = (heat >= _LEAST_HEAT) | (self._marks[pages] & np.uint32(MARKED) != 0)
        if look.mode.is_activity:
            is_lit |= values > 0
        words |= np.where(is_lit & shows, np.uint32(LIT), np.uint32(0))
        differs = words != self.words[pages]
        changed: Pages = pages[differs]
        if not len(changed):
            return pages[:0]
        for flag, number in ((LIT, self.lit_in_cell), (MARKED, self.marked_in_cell)):
            now, before = ((of & np.uint32(flag)) != 0 for of in (words[differs], self.words[changed]))
            np.add.at(number, changed >> 6, now.astype(np.int16) - before.astype(np.int16))
        self.words[changed] = words[differs]
        first, last = int(changed[0]), int(changed[-1]) + 1
        self._device.queue.write_buffer(self.buffer, 4 * first, self.words[first:last])
        return np.asarray(changed, np.int64)
