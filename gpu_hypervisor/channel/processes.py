"""Memory of a guest's process, read from outside: through the guest's page tables, out of RAM, without the guest's doing.

What is read is certain: the page tables are walked again afterwards, and where a page lay elsewhere meanwhile, all of it is read again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from qemu_bridge.client import Client
from qemu_bridge.errors import AddressError
from qemu_bridge.memory.addresses import PAGE_SHIFT, PAGE_SIZE, PhysicalAddress, VirtualAddress
from qemu_bridge.memory.page_entries import PRESENT
from qemu_bridge.memory.paging import Half, PageTables

from .messages import Virtual

TRIES = 4
_LEVELS = 4
"""Of page tables: the processors that Glass Box gives a guest have no fifth."""
_USER_END = 1 << 47
Put = Callable[[int, npt.NDArray[np.uint8]], None]
"""Gets an offset, and the bytes that belong there, in place: a view of guest RAM."""


class GuestProcesses:
    """The processes of the machine behind `client`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def read(self, wanted: Virtual, put: Put) -> None:
        """Hand the bytes of `wanted` to `put`, run by run; each run lies in one piece of RAM.

        Raises `AddressError` where they are not all in RAM, belong to no process, or moved each time they were read.
        """
        if not 0 < wanted.size <= self._client.ram.size or wanted.address + wanted.size > _USER_END:
            raise AddressError(
                f"{wanted.size} bytes at {wanted.address:#x} are not in the memory of a process of this guest; give its own array"
            )
        for _ in range(TRIES):
            tables = self._tables(wanted.pid)
            pages = self._pages(tables, wanted)
            for offset, view in self._runs(pages, wanted):
                put(offset, view)
            # Only what stayed where it was has been read: the kernel may have moved, copied or given away a page meanwhile.
            after = self._tables(wanted.pid)
            if after.root == tables.root and np.array_equal(self._pages(after, wanted), pages):
                return
        raise AddressError(
            f"memory at {wanted.address:#x} of process {wanted.pid} moved each of {TRIES} times that it was read; lock it with mlock, or"
            " put it into memory of ALLOC_MEMORY"
        )

    def _tables(self, pid: int) -> PageTables:
        root = next((found.page_table for found in self._client.ps().value if found.pid == pid), None)
        if root is None:
            raise AddressError(
                f"there is no process {pid} with memory of its own in this guest; give the number of a running one"
            )
        return PageTables(self._client.ram, PhysicalAddress(root), _LEVELS)

    def _pages(self, tables: PageTables, wanted: Virtual) -> npt.NDArray[np.int64]:
        """Numbers in the RAM file of the pages behind `wanted`, in order."""
        mapped = tables.mappings(Half.USER)
        virtual, frame, row = mapped.pages()
        first, last = wanted.address >> PAGE_SHIFT, (wanted.address + wanted.size - 1) >> PAGE_SHIFT
        numbers = (virtual >> np.uint64(PAGE_SHIFT)).astype(np.int64)
        chosen = (numbers >= first) & (numbers <= last) & (mapped.flags[row] & PRESENT != 0)
        found = np.full(last - first + 1, -1, np.int64)
        found[numbers[chosen] - first] = self._client.ram.layout.frames_to_pages(frame[chosen])
        if (missing := np.flatnonzero(found < 0)).size:
            place = VirtualAddress((first + int(missing[0])) << PAGE_SHIFT)
            raise AddressError(f"{tables.describe_missing(place)}; let process {wanted.pid} touch it first")
        return found

    def _runs(self, pages: npt.NDArray[np.int64], wanted: Virtual) -> list[tuple[int, npt.NDArray[np.uint8]]]:
        """(offset in `wanted`, bytes in RAM) of each run of pages that follow one another in RAM."""
        starts = np.flatnonzero(np.diff(pages, prepend=-2) != 1)
        ends = np.append(starts[1:], len(pages))
        within = wanted.address % PAGE_SIZE
        runs, view = [], self._client.ram.view
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            # The first page begins, and the last one ends, where `wanted` does.
            first = max(start * PAGE_SIZE, within)
            last = min(end * PAGE_SIZE, within + wanted.size)
            offset = int(pages[start]) * PAGE_SIZE - start * PAGE_SIZE
            runs.append((first - within, view[offset + first : offset + last]))
        return runs
