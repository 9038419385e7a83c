"""Volatility layers: a guest's RAM, and the kernel's address space over it.

`KernelLayer` replaces Volatility's own layer for Linux, which is made for images that do not change:

- it reads each page once per epoch, so that the fields of an object are of one moment; Volatility's caches live in its
  classes and would serve a running guest's old bytes;
- it translates with `paging.PageTables`, which knows five levels, PROT_NONE, and tables whose entries are all equal;
- it ends a query that exceeds its time budget, so that a circular list in guest memory cannot keep it busy.
"""

from __future__ import annotations

import time

from volatility3.framework import exceptions, interfaces
from volatility3.framework.layers import intel

from ...errors import AddressError
from ...memory.addresses import PAGE_SIZE, PhysicalAddress, VirtualAddress
from ...memory.paging import PageTables
from ...memory.ram import GuestRam

MAX_READ = 1 << 20
_MAX_PAGES = 1 << 14
_U64 = (1 << 64) - 1


class OutOfTimeError(Exception):
    """The query exceeded its time budget. Not a `GlassBoxError`: the adapter turns it into one."""


class RamLayer(interfaces.layers.DataLayerInterface):  # type: ignore[misc]
    """Guest-physical memory, read in place."""

    def __init__(
        self, context: interfaces.context.ContextInterface, config_path: str, name: str, ram: GuestRam
    ) -> None:
        super().__init__(context, config_path, name)
        self.ram = ram

    @property
    def minimum_address(self) -> int:
        return 0

    @property
    def maximum_address(self) -> int:
        return self.ram.layout.end - 1

    def is_valid(self, offset: int, length: int = 1) -> bool:
        return any(r.start <= offset and offset + length <= r.start + r.size for r in self.ram.layout.regions)

    def read(self, offset: int, length: int, pad: bool = False) -> bytes:
        try:
            return self.ram.read(PhysicalAddress(offset), length)
        except AddressError:
            if pad:
                return bytes(length)
            raise exceptions.InvalidAddressException(self.name, offset, "outside guest RAM") from None

    def write(self, offset: int, data: bytes) -> None:
        raise NotImplementedError("guest RAM is mapped read-only")


class KernelLayer(intel.LinuxIntel32e):  # type: ignore[misc]
    """The kernel's address space: pages as they were when this epoch first read them."""

    def __init__(
        self,
        context: interfaces.context.ContextInterface,
        config_path: str,
        name: str,
        tables: PageTables | None = None,
    ) -> None:
        """Read through `tables`; Volatility, which makes layers for processes, gives a root in its configuration instead."""
        super().__init__(context, config_path, name)
        ram = context.layers[self.config["memory_layer"]].ram
        self._tables = tables or PageTables(ram, PhysicalAddress(self._page_map_offset), len(self._structure))
        self._pages: dict[int, bytes | None] = {}
        self.deadline = float("inf")

    def canonical(self, offset: int) -> VirtualAddress:
        """The sign-extended address: Volatility cuts pointers to the bits that are translated."""
        offset &= (1 << self._maxvirtaddr) - 1
        negative = offset >> (self._maxvirtaddr - 1)
        return VirtualAddress(offset | (_U64 << self._maxvirtaddr) & _U64 if negative else offset)

    def forget(self) -> None:
        """Drop the page copies: later reads see the guest's current memory."""
        self._pages.clear()

    def read(self, offset: int, length: int, pad: bool = False) -> bytes:
        if time.monotonic() > self.deadline:
            raise OutOfTimeError
        within = offset & (PAGE_SIZE - 1)
        if within + length <= PAGE_SIZE:
            return self._page(offset, pad)[within : within + length]
        if length > MAX_READ:
            raise exceptions.InvalidAddressException(self.name, offset, f"a read of {length} bytes exceeds the limit")
        data = b"".join(self._page(page, pad) for page in range(offset - within, offset + length, PAGE_SIZE))
        return data[within : within + length]

    def is_valid(self, offset: int, length: int = 1) -> bool:
        if length > MAX_READ:
            return False
        first = offset - (offset & (PAGE_SIZE - 1))
        return all(self._find_page(page) is not None for page in range(first, offset + max(length, 1), PAGE_SIZE))

    def _translate(self, offset: int) -> tuple[int, int, str]:
        physical = self._tables.translate(self.canonical(offset))
        if physical is None:
            raise exceptions.PagedInvalidAddressException(self.name, offset, 12, 0, "not mapped")
        return physical, PAGE_SIZE, self._base_layer

    def _page(self, offset: int, pad: bool) -> bytes:
        page = self._find_page(offset)
        if page is None:
            if pad:
                return bytes(PAGE_SIZE)
            raise exceptions.PagedInvalidAddressException(self.name, offset, 12, 0, "not mapped")
        return page

    def _find_page(self, offset: int) -> bytes | None:
        start = self.canonical(offset & ~(PAGE_SIZE - 1))
        try:
            return self._pages[start]
        except KeyError:
            pass
        if len(self._pages) >= _MAX_PAGES:
            self._pages.clear()
        try:
            # A copy: what is decoded from one page is of one moment, and read once.
            page = self._tables.read(start, PAGE_SIZE)
        except AddressError:
            page = None
        self._pages[start] = page
        return page


class KernelLayer5(KernelLayer):
    """The same with five levels of page tables."""

    _maxvirtaddr = 57
    _structure = [("page map layer 5", 9, False), *intel.Intel32e._structure]  # noqa: RUF012  # as Volatility has it
