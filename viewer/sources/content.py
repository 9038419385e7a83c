"""What pages hold, as digests: pages of different machines with one digest hold the same bytes.

BLAKE2 with a key of this process: nobody who writes guest memory can make two pages look equal that are not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qemu_bridge.memory.addresses import PAGE_SIZE

from .heat import Pages

_KEY = os.urandom(16)
NOTHING = 0
"""The digest of pages that are not known or hold zeros: those are equal everywhere, which says nothing."""


class PageDigests:
    """A digest for each page of a machine, worked out when it is asked for and again after the page changed.

    Attributes:
        values: the digests, `uint64` of shape (page_count,).
        revision: goes up whenever any of them changes.
    """

    def __init__(self, page_count: int) -> None:
        self.values = np.zeros(page_count, np.uint64)
        self.revision = 0
        self._is_stale = np.zeros(page_count, np.bool_)

    def mark(self, pages: Pages) -> None:
        """Note that `pages` changed."""
        self._is_stale[pages] = True

    def clear(self, pages: Pages) -> None:
        """Note that `pages` are zeros."""
        self.values[pages], self._is_stale[pages] = NOTHING, False
        self.revision += 1

    @property
    def stale_count(self) -> int:
        """How many pages are left to work out."""
        return int(np.count_nonzero(self._is_stale))

    def refresh(self, ram: npt.NDArray[np.uint8], limit: int) -> None:
        """Work out at most `limit` pages that changed, out of `ram`."""
        stale = np.flatnonzero(self._is_stale[: len(ram) // PAGE_SIZE])[:limit]
        if not len(stale):
            return
        zeros = _digest(bytes(PAGE_SIZE))
        for page in stale.tolist():
            digest = _digest(ram[page * PAGE_SIZE : (page + 1) * PAGE_SIZE].data)
            self.values[page] = NOTHING if digest == zeros else digest
        self._is_stale[stale] = False
        self.revision += 1


def _digest(page: bytes | memoryview) -> int:
    digest = hashlib.blake2b(page, digest_size=8, key=_KEY).digest()
    return int.from_bytes(digest, "little") or 1


def count_holders(digests: Sequence[npt.NDArray[np.uint64]]) -> list[npt.NDArray[np.uint8]]:
    """For each machine's `digests`, how many of the machines hold each page's content: 0 for pages without a digest."""
    known = np.unique(np.concatenate(digests))
    known = known[known != NOTHING]
    holders = np.zeros(len(known) + 1, np.uint8)
    for values in digests:
        own = np.unique(values[values != NOTHING])
        holders[np.searchsorted(known, own)] += 1
    return [
        np.where(values == NOTHING, 0, holders[np.searchsorted(known, values)]).astype(np.uint8) for values in digests
    ]
