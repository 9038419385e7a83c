"""RAM of a machine on another host, as `GuestRam` has it: a mirror in memory here, filled by bounded reads.

A page is fetched when it is first read, and again after the machine's dirty log has named it, which is asked before every
read. So what is read was in the guest at some moment after the call began, as with RAM on this host. Whoever wants all of it
(`view`, `find`, `resident_pages`) has all touched pages fetched once and afterwards those that changed.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
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
        self._is_whole = False

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

    def read_at(self, offset: RamOffset, length: int) -> bytes:
        """Copy `length` bytes at `offset` of the RAM file, all of which it must hold."""
        with self._lock:
            self._note_changes()
            first, end = offset >> PAGE_SHIFT, -(-(offset + length) >> PAGE_SHIFT)
            self._fetch(first + np.flatnonzero(self._stale[first:end]))
            return super().read_at(offset, length)

    def resident_runs(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
        """As of RAM here, after bringing the mirror up to date: what was ever touched."""
        self.refresh()
        # The mirror's own file would not do: whoever looks at a hole of the view fills it.
        last = self.size if end is None else min(end, self.size)
        for first_page, end_page in merge_ranges(np.flatnonzero(self._touched).tolist()):
            run = max(first_page << PAGE_SHIFT, start), min(end_page << PAGE_SHIFT, last)
            if run[0] < run[1]:
                yield run

    def _note_changes(self) -> None:
        # Epoch 0 names all touched pages: the others hold zeros, as the mirror does.
        changed = self._client.dirty(self._epoch)
        for first, end in changed.value:
            self._touched[first:end] = self._stale[first:end] = True
        self._epoch = changed.epoch

    def _fetch(self, pages: npt.NDArray[np.int64]) -> None:
        batch: list[_Piece] = []
        room = MAX_READ_BYTES
        for piece in self._pieces(pages):
            if piece[2] > room or len(batch) == MAX_READ_RANGES:
                self._read(batch)
                batch, room = [], MAX_READ_BYTES
            batch.append(piece)
            room -= piece[2]
        self._read(batch)

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
        if not pieces:
            return
        answer = self._client.read_memory(tuple((physical, size) for _, physical, size in pieces))
        for (offset, physical, size), content in zip(pieces, answer.value, strict=True):
            if content is None or len(content) != size:
                raise MachineError(f"{size} bytes of RAM at {physical:#x} were not sent; {'; '.join(answer.skipped)}")
            os.pwrite(self._mirror, content, offset)
            self._stale[offset >> PAGE_SHIFT : -(-(offset + size) >> PAGE_SHIFT)] = False
