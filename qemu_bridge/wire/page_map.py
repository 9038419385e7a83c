"""The page map: for every page of guest RAM its class and its owner, in eight bytes a page.

The array is shared: the daemon's worker writes a whole new generation beside the old one and then updates the header, so
a reader always sees a complete one (`PageMapFile.attach`).

File layout, little-endian: a 64-byte header (magic ``GBPM``, version u32, page count u64, generation u64),
then two slots of page_count entries of `ENTRY`; generation g lives in slot g & 1.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import MachineError, MachineGoneError, PageMapOverwrittenError
from .records import Grade, Owner, PageClass, PageMapHeader

ENTRY = np.dtype([("page_class", "u1"), ("flags", "u1"), ("heat", "<u2"), ("owner_id", "<u4")])
FLAG_SHARED = 1
"""More than one process maps the page."""
FLAG_HUGE = 2
"""The page is part of a compound page: a huge page, a slab or buffer of several pages."""
FLAG_HEAD = 4
"""The page is the first of a compound page or of a free block."""
FLAG_MAPPED = 8
"""Some process maps the page."""
ORDER_SHIFT = 4
"""The high nibble: of a free block or compound page the order (2^order pages), of a page table its level."""


@dataclass(frozen=True)
class Sharers:
    """Which processes map which pages: a row for each pair, ascending by `page`.

    Attributes:
        page: page numbers in the RAM file, `int64`.
        owner: owner ids of processes, `uint32`.
    """

    page: npt.NDArray[np.int64]
    owner: npt.NDArray[np.uint32]

    @classmethod
    def none(cls) -> Sharers:
        """No page is mapped."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.uint32))

    def of(self, page: int) -> tuple[int, ...]:
        """Owner ids of all processes that map `page`."""
        first, last = np.searchsorted(self.page, [page, page + 1])
        return tuple(self.owner[first:last].tolist())


@dataclass(frozen=True)
class PageMap:
    """One complete generation.

    Attributes:
        entries: array of `ENTRY`, one per page of the RAM file, in file order, read-only.
        owners: by owner id; id 0 stands for no owner.
        generation: counts up by one with every refresh.
        grade: live, paused, capture or recorded.
        skipped: what could not be read, one sentence each.
        shared_by: which processes map which page; only in the worker, as it is not published.
    """

    entries: npt.NDArray[np.void]
    owners: dict[int, Owner]
    generation: int = 0
    grade: Grade = Grade.LIVE
    skipped: tuple[str, ...] = ()
    shared_by: Sharers = field(default_factory=Sharers.none)

    def sharers(self, page: int) -> tuple[int, ...]:
        """Owner ids of all processes that map `page`."""
        return self.shared_by.of(page)

    def counts(self) -> dict[PageClass, int]:
        """Pages of each class that has any."""
        numbers = np.bincount(self.entries["page_class"], minlength=len(PageClass))
        return {page_class: int(numbers[page_class]) for page_class in PageClass if numbers[page_class]}


_MAGIC = b"GBPM"
_VERSION = 1
_HEADER = struct.Struct("<4sIQQ")
_HEADER_SIZE = 64


class PageMapFile:
    """The shared file of a machine's page map: one writer, any number of readers."""

    def __init__(self, path: Path, page_count: int, writable: bool) -> None:
        self._page_count = page_count
        size = _HEADER_SIZE + 2 * page_count * ENTRY.itemsize
        with open(path, "r+b" if writable else "rb") as file:
            if os.fstat(file.fileno()).st_size != size:
                raise MachineError(f"the page map {path} has the wrong size; start the machine again")
            self._map = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ)
        self._slots = np.frombuffer(self._map, ENTRY, offset=_HEADER_SIZE).reshape(2, page_count)

    @classmethod
    def create(cls, path: Path, page_count: int) -> PageMapFile:
        """The file at `path`, made generation 0, which holds nothing, if it is empty or not there; open for writing.

        `MachineError` if the file belongs to another user or is not a page map.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            status = os.fstat(descriptor)
            if status.st_uid != os.getuid():
                raise MachineError(f"the page map {path} belongs to another user; start the machine again")
            if status.st_size == 0:
                file.write(_HEADER.pack(_MAGIC, _VERSION, page_count, 0))
                file.truncate(_HEADER_SIZE + 2 * page_count * ENTRY.itemsize)
        return cls.attach(path, writable=True)

    @classmethod
    def attach(cls, path: Path, writable: bool = False) -> PageMapFile:
        """An existing file; `MachineGoneError` if it is gone, `MachineError` if it is not a page map."""
        try:
            with path.open("rb") as file:
                header = file.read(_HEADER.size)
        except OSError as error:
            raise MachineGoneError(
                f"cannot open the page map {path} ({error.strerror}); is the machine still running?"
            ) from None
        if len(header) < _HEADER.size or header[:4] != _MAGIC or _HEADER.unpack(header)[1] != _VERSION:
            raise MachineError(f"{path} is not a page map of this release; start the machine again")
        return cls(path, _HEADER.unpack(header)[2], writable)

    @property
    def generation(self) -> int:
        """Number of the newest complete generation."""
        return int(_HEADER.unpack_from(self._map)[3])

    def publish(self, page_map: PageMap) -> PageMapHeader:
        """Write the entries as the next generation; returns what `read` needs beside the file."""
        generation = self.generation + 1
        self._slots[generation & 1] = page_map.entries
        _HEADER.pack_into(self._map, 0, _MAGIC, _VERSION, self._page_count, generation)
        return PageMapHeader(generation, tuple(page_map.owners.values()))

    def read(self, header: PageMapHeader, grade: Grade = Grade.LIVE, skipped: tuple[str, ...] = ()) -> PageMap:
        """The page map that `publish` described by `header`, copied so that it stays as it is.

        `PageMapOverwrittenError` if a newer generation has been published: ask again.
        """
        return make_page_map(self.read_entries(header.generation), header, grade, skipped)

    def read_entries(self, generation: int, pages: slice = slice(None)) -> npt.NDArray[np.void]:
        """A copy of the entries of `pages` in `generation`; `PageMapOverwrittenError` where a newer one has been published."""
        entries: npt.NDArray[np.void] = self._slots[generation & 1][pages].copy()
        # The slot is safe while its generation is the newest: the writer is then at most at the other slot.
        if self.generation != generation:
            raise PageMapOverwrittenError("the page map was overwritten while it was read; ask again")
        return entries


def make_page_map(
    entries: npt.NDArray[np.void], header: PageMapHeader, grade: Grade, skipped: tuple[str, ...]
) -> PageMap:
    """The page map of `entries`, which become read-only, and of the owners in `header`."""
    entries.setflags(write=False)
    return PageMap(entries, {owner.owner_id: owner for owner in header.owners}, header.generation, grade, skipped)
