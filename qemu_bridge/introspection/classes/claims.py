"""What one source says of pages: class, owner and flags, kept as columns beside those of the other sources."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...kernel.columns import Pages


class Claims:
    """A class, an owner and flags for some pages, 0 for those that the source does not know."""

    def __init__(self, count: int) -> None:
        self.page_class = np.zeros(count, np.uint8)
        self.owner = np.zeros(count, np.uint32)
        self.flags = np.zeros(count, np.uint8)
        self._pages = np.zeros(0, np.int64)

    def set(self, pages: Pages, page_class: npt.ArrayLike, owner: npt.ArrayLike, flags: npt.ArrayLike = 0) -> None:
        """Claim `pages`; of a page that occurs twice the last claim counts."""
        self.page_class[pages], self.owner[pages], self.flags[pages] = page_class, owner, flags
        self._pages = np.concatenate([self._pages, pages])

    def clear(self) -> Pages:
        """Drop all claims; returns the pages that were claimed."""
        pages, self._pages = self._pages, np.zeros(0, np.int64)
        self.page_class[pages], self.owner[pages], self.flags[pages] = 0, 0, 0
        return pages

    @property
    def pages(self) -> Pages:
        """The claimed pages, some of them more than once."""
        return self._pages
