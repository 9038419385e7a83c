"""RAM of a machine on another host, as `GuestRam` has it: a mirror in memory here, filled by bounded reads.

A page is fetched when it is first read, and again after the machine's dirty log has named it, which is asked before every
read. So what is read was in the guest at some moment after the call began, as with RAM on this host. Whoever wants all of it
(`view`, `find`, `resident_pages`) has all touched pages fetched once and afterwards those that changed; or says so by
`fetch_later` and brings here what it wants: by `want` some pages and no others, or by `fetch` a part at a time.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import MachineError
from ..memory.addresses import PAGE_SHIFT, PAGE_SIZE, RamLayout, RamOffset, merge_ranges
from ..memory.ram import GuestRam
from ..wire.operations import MAX_READ_BYTES, MAX_READ_RANGES

if TYPE_CHECKING:
    from .blocking import Client

_Piece = tuple[int, int, int]
"""Offset in the RAM file, guest-physical address, bytes."""


class RemoteRam(GuestRam):
    """A mirror of the RAM behind `client`, which it asks. Thread-safe."""

    def __init__(self, client: Client, layout: RamLayout) -> None:
        """Nothing is fetched yet."""
        self._client = client
        self._mirror = os.memfd_create("glassbox-ram")
        os.truncate(self._mirror, layout.size)
        self._close_mirror = weakref.finalize(self, os.close, self._mirror)
        super().__init__(Path(f"/proc/self/fd/{self._mirror}"), layout)
        self._lock = threading.RLock()
        self._epoch = 0
        self._touched = np.zeros(self.page_count, np.bool_)
        self._stale = np.zeros(self.page_count, np.bool_)
        self._named = np.zeros(self.page_count, np.bool_)
        self._is_whole = self._is_fetched_later = False
        self._told: Callable[[int, int], None] = _tell_nobody

    def close(self) -> None:
        """Give up the mirror. Views taken from it stay valid until they are collected."""
        super().close()
        self._close_mirror()
        self._mirror = -1

    @property
    def view(self) -> npt.NDArray[np.uint8]:
        """The mirror, whole; what has changed since comes with the next `resident_pages`, or any read of its page."""
        if not self._is_whole:
            self.refresh()
        return super().view

    def refresh(self) -> None:
        """Bring the whole mirror up to date."""
        with self._lock:
            self._note_changes()
            self._fetch(np.flatnonzero(self._stale))
            self._is_whole = True

    def fetch_later(self) -> None:
        """Let only `fetch` and reads of single places bring memory here: `view` is what has come, `resident_pages` waits for none."""
        self._is_fetched_later = self._is_whole = True

    def fetch(self, first_page: int, end_page: int) -> None:
        """Bring the pages from `first_page` to `end_page` to what they were when `resident_pages` was last asked."""
        with self._lock:
            if not self._stale[first_page:end_page].any():
                return
            # One reply holds more than that as a rule: what is wanted next comes with it.
            for batch in self._batches(first_page + np.flatnonzero(self._is_missing()[first_page:])):
                self._read(batch)
                if not self._is_missing()[first_page:end_page].any():
                    return

    def _is_missing(self) -> npt.NDArray[np.bool_]:
        return self._stale if self.wanted is None else self._stale & self.wanted

    def want(self, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Have the touched pages of `wanted`, an entry a page, here as they are now, and let `fetch` bring no others; return those that came."""
        with self._lock:
            self.wanted = np.zeros(self.page_count, np.bool_)
            self.wanted[: len(wanted)] = wanted[: self.page_count]
            self._note_changes()
            pages = np.flatnonzero(self._is_missing()).astype(np.int64)
            self._fetch(pages)
            return pages

    def take_unwanted_changes(self) -> npt.NDArray[np.int64]:
        """Pages that the dirty log has named since the last call, and that `want` does not bring here."""
        with self._lock:
            named, self._named = self._named, np.zeros(self.page_count, np.bool_)
            return np.flatnonzero(named & ~self.wanted if self.wanted is not None else named & False).astype(np.int64)

    def tell(self, told: Callable[[int, int], None]) -> None:
        """Call `told` with the bytes read and with how many are to be read, whenever more than one reply brings memory here."""
        self._told = told

    def read_at(self, offset: RamOffset, length: int) -> bytes:
        """Copy `length` bytes at `offset` of the RAM file, all of which it must hold."""
        with self._lock:
            self._note_changes()
            first, end = offset >> PAGE_SHIFT, -(-(offset + length) >> PAGE_SHIFT)
            self._fetch(first + np.flatnonzero(self._stale[first:end]))
            return super().read_at(offset, length)

    def resident_runs(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        """As of RAM here, after bringing the mirror up to date unless that is for later: what was ever touched."""
        if self._is_fetched_later:
            with self._lock:
                self._note_changes()
        else:
            self.refresh()
        # The mirror's own file would not do: whoever looks at a hole of the view fills it.
        last = self.size if end is None else min(end, self.size)
        for first_page, end_page in merge_ranges(np.flatnonzero(self._touched).tolist()):
            run = max(first_page << PAGE_SHIFT, start), min(end_page << PAGE_SHIFT, last)
            if run[0] < run[1]:
                yield run

    def cached_pages(self, first: int, end: int) -> npt.NDArray[np.bool_]:
        """As of RAM here, after bringing the mirror up to date: which pages were ever touched."""
        self.refresh()
        return self._touched[first:end].copy()

    def _note_changes(self) -> None:
        # Epoch 0 names all touched pages: the others hold zeros, as the mirror does.
        changed = self._client.dirty(self._epoch)
        for first, end in changed.value:
            self._touched[first:end] = self._stale[first:end] = self._named[first:end] = True
        self._epoch = changed.epoch

    def _fetch(self, pages: npt.NDArray[np.int64]) -> None:
        done, total = 0, len(pages) * PAGE_SIZE
        for batch in self._batches(pages):
            self._read(batch)
            done += sum(size for _, _, size in batch)
            if total > MAX_READ_BYTES:
                self._told(done, total)

    def _batches(self, pages: npt.NDArray[np.int64]) -> Iterator[list[_Piece]]:
        """What to read for `pages`, ascending, as much at a time as one reply holds."""
        batch: list[_Piece] = []
        room = MAX_READ_BYTES
        for piece in self._pieces(pages):
            if piece[2] > room or len(batch) == MAX_READ_RANGES:
                yield batch
                batch, room = [], MAX_READ_BYTES
            batch.append(piece)
            room -= piece[2]
        if batch:
            yield batch

    def _pieces(self, pages: npt.NDArray[np.int64]) -> Iterator[_Piece]:
        """What to read for `pages`, ascending: none of it larger than one read, or beyond one region."""
        for first, end in merge_ranges(pages.tolist()):
            offset, last = first * PAGE_SIZE, min(end * PAGE_SIZE, self.size)
            while offset < last:
                region = next(each for each in self.layout.regions if each.offset <= offset < each.offset + each.size)
                size = min(last - offset, region.offset + region.size - offset, MAX_READ_BYTES)
                yield offset, region.start + offset - region.offset, size
                offset += size

    def _read(self, pieces: list[_Piece]) -> None:
        answer = self._client.read_memory(tuple((physical, size) for _, physical, size in pieces))
        for (offset, physical, size), content in zip(pieces, answer.value, strict=True):
            if content is None or len(content) != size:
                raise MachineError(f"{size} bytes of RAM at {physical:#x} were not sent; {'; '.join(answer.skipped)}")
            os.pwrite(self._mirror, content, offset)
            self._stale[offset >> PAGE_SHIFT : -(-(offset + size) >> PAGE_SHIFT)] = False


def _tell_nobody(done: int, total: int) -> None:
    pass
