"""What happens to pages over time: heat of writes, their age, counts of executions, and entropy of their bytes.

Heat rises by one with every change seen and falls by half every `HALF_LIFE_S` seconds of the clock, however many
frames are drawn meanwhile; below `COLD` it is zero, so a quiet guest has no hot page and costs nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qemu_bridge.memory.addresses import PAGE_SIZE

from .page_bytes import page_bytes

HALF_LIFE_S = 1.2
COLD = 0.03
HOTTEST = 8.0
"""Of a page written all the time: it is cold ten seconds after the last write."""
AGE_RANGE_S = 600.0
"""Older writes are drawn like none."""

Pages = npt.NDArray[np.int64]


class Heat:
    """Heat and last writes of `page_count` pages.

    Attributes:
        hot: ascending numbers of the pages that are not cold.
        written_s: when each was last seen to change, in seconds of the caller's clock; -inf for never.
        has_writes: whether any write was seen yet.
    """

    def __init__(self, page_count: int) -> None:
        self.hot: Pages = np.zeros(0, np.int64)
        self.written_s = np.full(page_count, -np.inf)
        self.has_writes = False
        self._heat = np.zeros(page_count, np.float32)
        self._now_s = -np.inf

    def touch(self, pages: Pages, now_s: float) -> Pages:
        """Note that `pages` changed at `now_s`; return the pages whose heat changed: these, and those that cooled meanwhile."""
        cooled = self.cool(now_s)
        self._heat[pages] = np.minimum(self._heat[pages] + 1, HOTTEST)
        self.written_s[pages] = now_s
        self.has_writes |= len(pages) > 0
        self.hot = np.union1d(self.hot, pages)
        return np.union1d(cooled, pages)

    def cool(self, now_s: float) -> Pages:
        """Let time pass until `now_s`; return the pages whose heat changed by that."""
        elapsed, self._now_s = now_s - self._now_s, max(now_s, self._now_s)
        if elapsed <= 0 or not len(self.hot):
            return np.zeros(0, np.int64)
        cooled = self.hot
        heat = self._heat[cooled] * np.float32(0.5 ** (elapsed / HALF_LIFE_S))
        heat[heat < COLD] = 0
        self._heat[cooled] = heat
        self.hot = cooled[heat > 0]
        return cooled

    def brightness(self, pages: Pages) -> npt.NDArray[np.uint8]:
        """How bright the heat of `pages` is drawn, 0 to 255: full right after a write."""
        return np.asarray(np.round(255 * np.minimum(self._heat[pages], 1)), np.uint8)

    def rate(self, pages: Pages) -> npt.NDArray[np.uint8]:
        """How often pages are written of late, 0 to 255: full for a page that changes all the time, a fifth for one write."""
        return np.asarray(np.round(255 * (1 - np.exp(-self._heat[pages] / 2))), np.uint8)

    def recency(self, pages: Pages, now_s: float) -> npt.NDArray[np.uint8]:
        """How lately pages were written, 255 for now to 0 for `AGE_RANGE_S` ago or never, by the logarithm of the age."""
        age = np.clip(now_s - self.written_s[pages], 0, AGE_RANGE_S)
        return np.asarray(np.round(255 * (1 - np.log1p(age) / np.log1p(AGE_RANGE_S))), np.uint8)


def scale_counts(counts: npt.NDArray[np.uint32], highest: int) -> npt.NDArray[np.uint8]:
    """Counts on a scale of 0 to 255 by their logarithm; `highest` is 255, and 0 alone is 0."""
    share = np.log1p(counts.astype(np.float64)) / np.log1p(max(highest, 1))
    return np.where(counts > 0, np.clip(np.ceil(255 * share), 1, 255), 0).astype(np.uint8)


class EntropyCache:
    """Entropy of pages, computed when it is asked for and again after a page changed."""

    def __init__(self, page_count: int) -> None:
        self.values = np.zeros(page_count, np.uint8)
        self._is_stale = np.zeros(page_count, np.bool_)

    def mark(self, pages: Pages) -> None:
        """Note that `pages` changed."""
        self._is_stale[pages] = True

    def clear(self, pages: Pages) -> None:
        """Note that `pages` are zeros."""
        self.values[pages], self._is_stale[pages] = 0, False

    @property
    def stale_count(self) -> int:
        """How many pages are left to work out."""
        return int(np.count_nonzero(self._is_stale))

    @property
    def is_stale(self) -> bool:
        """Whether any page is left to work out."""
        return self.stale_count > 0

    def refresh(self, ram: npt.NDArray[np.uint8], limit: int) -> Pages:
        """Compute at most `limit` pages that changed, out of `ram`; return which. Empty when all are known."""
        stale = np.flatnonzero(self._is_stale[: len(ram) // PAGE_SIZE])[:limit].astype(np.int64)
        if len(stale):
            self.values[stale] = page_bytes().entropy(ram, stale)
            self._is_stale[stale] = False
        return stale
