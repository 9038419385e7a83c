"""Which pages of guest RAM changed, and since when.

Strategies that find the pages that changed between two looks; `choose_strategy` takes the first that works:

* ``stores``: the trace plugin's count of stores to each page, where it is armed (`qemu_bridge.trace.counters.heat`). Exact about
  stores by the guest's own instructions, and blind to devices that write into RAM; reads no page of it. So it is taken
  only by who hands in the counts.
* ``soft-dirty``: the host kernel marks the page-table entries that QEMU writes through (bit 55 of
  ``/proc/PID/pagemap``, cleared through ``/proc/PID/clear_refs``; Documentation/admin-guide/mm/soft-dirty.rst).
  Exact about writes, no memory, no read of the pages. Many kernels are built without it, so it is probed.
* ``static``: a capture or an image does not change, so nothing is looked for and none of it is read.
* ``comparison``: keep a copy of every touched page and compare. Exact about content: a page rewritten with
  the same bytes has not changed. Costs the guest's touched memory once and one read of it a look.

`DirtyLog` puts epochs on top, so that any number of consumers can each ask "since when I last looked".
"""

from __future__ import annotations

import errno
import mmap
import os
import signal
import time
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from .addresses import PAGE_SHIFT, PAGE_SIZE
from .ram import GuestRam
from .soft_dirty import SOFT_DIRTY, clear_marks, host_has_soft_dirty, pagemap_entries

_COMPARE_PAGES = 4096
_MAP_NORESERVE = 0x4000  # in `mmap` since Python 3.13


class DirtyStrategy(Protocol):
    """Finds pages that changed since the last call; the first call reports what the guest has touched."""

    name: str

    def collect(self) -> npt.NDArray[np.int64]:
        """Ascending numbers of the pages that changed."""


class Comparison:
    """Compare every touched page with a private copy of it."""

    name = "comparison"

    def __init__(self, ram: GuestRam) -> None:
        self._ram = ram
        # Zero pages of an anonymous map cost nothing until a page is copied into them, and none are promised: RAM may be
        # larger than the host's.
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        copy = mmap.mmap(-1, ram.page_count << PAGE_SHIFT, flags)
        self._copy = np.frombuffer(copy, np.uint64).reshape(-1, PAGE_SIZE // 8)
        self._known = np.zeros(ram.page_count, np.bool_)

    def collect(self) -> npt.NDArray[np.int64]:
        """Ascending numbers of the pages whose bytes differ from the last call's."""
        now = self._ram.pages().view(np.uint64)
        changed = np.zeros(self._ram.page_count, np.bool_)
        for start, end in self._ram.resident_runs():
            for first in range(start >> PAGE_SHIFT, end >> PAGE_SHIFT, _COMPARE_PAGES):
                part = slice(first, min(first + _COMPARE_PAGES, end >> PAGE_SHIFT))
                # A page written after this line differs from its copy at the next look, so nothing is lost.
                changed[part] = (now[part] != self._copy[part]).any(axis=1)
        changed |= self._ram.resident_pages() & ~self._known
        self._known |= changed
        self._copy[changed] = now[changed]
        return np.flatnonzero(changed)


class Static:
    """RAM that does not change."""

    name = "static"

    def __init__(self, ram: GuestRam) -> None:
        self._ram = ram
        self._is_first = True

    def collect(self) -> npt.NDArray[np.int64]:
        """The touched pages, once."""
        is_first, self._is_first = self._is_first, False
        return np.flatnonzero(self._ram.resident_pages()) if is_first else np.zeros(0, np.int64)


class Stores:
    """Ask the trace plugin which pages the guest's instructions stored to."""

    name = "stores"

    def __init__(self, ram: GuestRam, counts: npt.NDArray[np.uint32]) -> None:
        """`counts` grows in place, a number a page, and wraps: `Heat.stores`, armed."""
        self._ram = ram
        self._counts = counts
        self._seen: npt.NDArray[np.uint32] | None = None

    def collect(self) -> npt.NDArray[np.int64]:
        """Ascending numbers of the pages stored to since the last call; the first time, of all touched ones."""
        # A store is counted once it is done, so one that comes while this copies is found at the next look.
        now, before = self._counts.copy(), self._seen
        self._seen = now
        return np.flatnonzero(self._ram.resident_pages() if before is None else now != before)


class SoftDirty:
    """Ask the host kernel which pages QEMU wrote to."""

    name = "soft-dirty"

    def __init__(self, ram: GuestRam, pid: int) -> None:
        self._ram = ram
        self._pid = pid
        self._spans = _mappings_of(pid, ram.path)

    def collect(self) -> npt.NDArray[np.int64]:
        """Ascending numbers of the pages that process `pid` wrote to since the last call.

        QEMU stands still between the reading and the clearing of the marks, else a write in between
        would be lost.
        """
        changed = np.zeros(self._ram.page_count, np.bool_)
        os.kill(self._pid, signal.SIGSTOP)
        try:
            _wait_until_stopped(self._pid)
            for first, raw in pagemap_entries(self._pid, self._spans):
                entries = np.frombuffer(raw, np.uint64)
                changed[first : first + entries.size] |= (entries & np.uint64(SOFT_DIRTY)) != 0
            clear_marks(self._pid)
        finally:
            os.kill(self._pid, signal.SIGCONT)
        return np.flatnonzero(changed & self._ram.resident_pages())


def choose_strategy(
    ram: GuestRam, pid: int | None, stores: npt.NDArray[np.uint32] | None = None, *, is_static: bool = False
) -> DirtyStrategy:
    """How changes are found: not at all where RAM `is_static`; by stores where their counts are given; by soft-dirty for QEMU
    process `pid` where the kernel has it and permits it; else by comparison.
    """
    if is_static:
        return Static(ram)
    if stores is not None:
        return Stores(ram, stores)
    if pid is not None and host_has_soft_dirty():
        try:
            strategy = SoftDirty(ram, pid)
            strategy.collect()
        except OSError:
            pass
        else:
            return SoftDirty(ram, pid)
    return Comparison(ram)


class DirtyLog:
    """Pages changed since an epoch, for any number of clients.

    >>> log = DirtyLog(Comparison(ram))
    >>> epoch = log.advance()
    >>> pages, epoch = log.since(epoch)
    """

    def __init__(self, strategy: DirtyStrategy, page_count: int) -> None:
        self.strategy = strategy
        self.epoch = 0
        self._changed_at = np.zeros(page_count, np.uint32)

    def advance(self) -> int:
        """Look for changes, stamp them with a new epoch and return it."""
        self.epoch += 1
        self._changed_at[self.strategy.collect()] = self.epoch
        return self.epoch

    def note(self, pages: list[int]) -> None:
        """Stamp `pages`, that changed by another way than the strategy's, with a new epoch."""
        self.epoch += 1
        self._changed_at[pages] = self.epoch

    def since(self, epoch: int) -> tuple[npt.NDArray[np.int64], int]:
        """(pages, now): ascending numbers of the pages changed after `epoch`, and the epoch for the next call.

        Epoch 0 asks for all that was ever touched; `UsageError` for one that no call has returned yet.
        """
        if not 0 <= epoch <= self.epoch:
            raise UsageError(
                f"there was no epoch {epoch} yet; the newest is {self.epoch}, and 0 asks for all touched pages"
            )
        now = self.advance()
        return np.flatnonzero(self._changed_at > epoch), now


def _wait_until_stopped(pid: int) -> None:
    # SIGSTOP is delivered, not awaited; the state letter follows the name in parentheses.
    deadline = time.monotonic() + 1.0
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "Tt":
        if time.monotonic() > deadline:
            raise OSError(errno.ETIMEDOUT, f"process {pid} does not stop")
        time.sleep(0.0002)


def _mappings_of(pid: int, path: Path) -> list[tuple[int, int, int]]:
    """(start, end, file offset) of every mapping of `path` in process `pid`."""
    spans = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == str(path):
            start, end = (int(part, 16) for part in fields[0].split("-"))
            spans.append((start, end, int(fields[2], 16)))
    return spans
