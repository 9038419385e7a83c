"""A machine's memory against that of a capture of it, kept up while the machine runs.

At first all pages are compared (`qemu_bridge.captures.compare`). Later only those that the window draws again are, a few
MiB a frame, so a paused machine costs nothing. Pages given back to the host are among them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qemu_bridge.captures.compare import changes_of, compare_pages
from qemu_bridge.memory.addresses import PAGE_SHIFT
from qemu_bridge.memory.ram import GuestRam

from .heat import Pages


class Comparison:
    """How pages differ from how they were.

    Attributes:
        kinds: `uint8` of `compare.Change`, an entry a page; `update` changes it in place.
    """

    def __init__(self, before: GuestRam, now: GuestRam) -> None:
        """Compare all; `UsageError` for machines whose RAM layouts differ."""
        self.kinds: npt.NDArray[np.uint8] = compare_pages(before, now)
        self._before, self._now = before, now
        self._was_there = before.resident_pages()

    def before(self, page: int) -> bytes | None:
        """What `page` held in the capture; None where it had no memory."""
        if not 0 <= page < len(self._was_there) or not self._was_there[page]:
            return None
        return self._before.view[page << PAGE_SHIFT : page + 1 << PAGE_SHIFT].tobytes()

    def update(self, pages: Pages, touched: npt.NDArray[np.bool_]) -> Pages:
        """Compare `pages` again; return those whose kind of difference changed.

        `touched` says which of them have memory now. The others are not read: that would give them some.
        """
        inside = pages < len(self.kinds)
        pages, touched = pages[inside], touched[inside]
        if not len(pages):
            return pages
        kinds = changes_of(self._before, self._now, pages, self._was_there[pages], touched)
        changed: Pages = pages[kinds != self.kinds[pages]]
        self.kinds[pages] = kinds
        return changed


def with_difference(text: str) -> str:
    """The text of a view that shows the difference, unless it names a colouring of its own."""
    parts = [part for part in text.split(",") if part.strip()]
    named = any(part.strip().startswith("mode=") for part in parts)
    return ",".join(parts if named else [*parts, "mode=difference"])
