"""The kernel's structures as columns: one field of many structs, gathered with NumPy.

A kernel pointer mostly is in the direct map, where virtual and guest-physical address differ by a constant
(``page_offset_base``), or in the kernel image, so that an array of pointers becomes an array of file offsets in one step;
the few others are translated one by one. An address that is not mapped, not aligned, or in a page that was never
touched reads as zero: the guest's pointers are not trusted, and reading a hole would make the host fill it.

>>> read = KernelColumns(ram, kernel)
>>> names = read.u64(tasks + np.uint64(btf.member_offset("task_struct", "mm")))
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from ..errors import AddressError, MachineGoneError
from ..memory.addresses import PAGE_SHIFT, PAGE_SIZE, PhysicalAddress, VirtualAddress
from ..memory.ram import GuestRam
from .symbols import KernelSymbols

U64Array = npt.NDArray[np.uint64]
Pages = npt.NDArray[np.int64]

# arch/x86/include/asm/page_64_types.h and pgtable_64_types.h: where the areas start without randomisation.
_BASES = {4: 0xFFFF888000000000, 5: 0xFF11000000000000}
_VMALLOC_BASES = {4: 0xFFFFC90000000000, 5: 0xFFA0000000000000}
_VMEMMAP_BASES = {4: 0xFFFFEA0000000000, 5: 0xFFD4000000000000}
_VMALLOC_SIZES = {4: 32 << 40, 5: 12800 << 40}
IMAGE_BASE = 0xFFFFFFFF80000000
"""Where the kernel image would run if it were loaded at guest-physical 0 (``__START_KERNEL_map``)."""
_KERNEL_HALF = 0xFF00000000000000
"""No address below is the kernel's, on any number of levels; poisoned pointers are not looked up."""
_U64 = (1 << 64) - 1
_MAX_TRANSLATIONS = 1 << 14
_MAX_PIECES = 64
_MAX_RUNS = 64
# Up to this many values are faster read one by one.
_FEW = 8
_BLOCK_SIZE = 512
_ALL = slice(None)


class KernelColumns:
    """Gathers fields of kernel structures from a guest's RAM.

    Attributes:
        page_offset: virtual address of guest-physical 0 in the direct map.
        vmalloc: first address and end of the vmalloc area.
        vmemmap: virtual address of the memmap's entry 0.
        resident: by page of the file, whether it was ever touched, as of the last `refresh`.
    """

    def __init__(self, ram: GuestRam, kernel: KernelSymbols) -> None:
        self.ram = ram
        self.kernel = kernel
        self._blocks = self._allocated()
        self.resident = ram.resident_pages()
        levels = kernel.page_tables.levels
        self._views = {
            size: ram.view[: ram.size & ~(PAGE_SIZE - 1)].view(f"<u{size}" if size > 1 else "u1")
            for size in (1, 2, 4, 8)
        }
        self._translated: dict[int, int] = {}
        # Contiguously mapped pieces outside the direct map: (start, end, shift to guest-physical addresses).
        self._pieces: list[tuple[int, int, int]] = []
        self._names: dict[int, str] = {}
        self._offsets: dict[tuple[str, str], int] = {}
        self._symbols: dict[str, VirtualAddress | None] = {}
        # The image is one piece; its shift wraps around.
        shift = (kernel.info.number("phys_base") or 0) - IMAGE_BASE
        self.add_piece(self.address_of("_text") or _U64, self.address_of("_end") or 0, shift)
        self.page_offset = self._base("page_offset_base", _BASES[levels])
        self.vmemmap = self._base("vmemmap_base", _VMEMMAP_BASES[levels])
        start = self._base("vmalloc_base", _VMALLOC_BASES[levels])
        self.vmalloc = (start, min(start + _VMALLOC_SIZES[levels], _U64))

    def refresh(self, suspects: Pages | slice = _ALL) -> Pages:
        """Update `resident`, and forget translations of addresses outside the pieces.

        Checks `suspects` only, if they account for the growth of the RAM file. Returns the pages touched since the last
        call.
        """
        self._translated.clear()
        grown = self._allocated() - self._blocks
        if not grown:
            return np.zeros(0, np.int64)
        self._blocks += grown
        touched = np.zeros(0, np.int64) if isinstance(suspects, slice) else self._touched(suspects)
        if len(touched) * (PAGE_SIZE // _BLOCK_SIZE) != grown:
            now = self.ram.resident_pages()
            touched = np.flatnonzero(now != self.resident)
            self.resident[:] = now
        self.resident[touched] = True
        return touched

    def _touched(self, suspects: Pages) -> Pages:
        """Those of `suspects`, ascending, that were first touched since the last refresh."""
        holes = suspects[~self.resident[suspects]]
        found = [np.zeros(0, np.int64)]
        for run in np.split(holes, np.flatnonzero(np.diff(holes) != 1) + 1)[:_MAX_RUNS]:
            if len(run):
                found.append(run[self.ram.cached_pages(int(run[0]), int(run[-1]) + 1)])
        return np.concatenate(found)

    def add_piece(self, start: int, end: int, shift: int) -> None:
        """Record that the kernel maps `start` up to `end` contiguously: adding `shift` gives the physical address."""
        if self._pieces and self._pieces[-1][1:] == (start, shift & _U64):
            start = self._pieces.pop()[0]
        if len(self._pieces) < _MAX_PIECES:
            self._pieces.append((start, end, shift & _U64))

    def _allocated(self) -> int:
        """Blocks of the RAM file that hold data: as long as their number stays, no page was touched for the first time."""
        try:
            return os.stat(self.ram.path).st_blocks
        except OSError as error:
            raise MachineGoneError(
                f"cannot stat guest RAM {self.ram.path} ({error.strerror}); is the machine still running?"
            ) from None

    def offsets(self, addresses: U64Array) -> Pages:
        """File offsets of kernel virtual `addresses`, negative where there is no RAM or a hole."""
        physical = addresses - np.uint64(self.page_offset)
        outside = np.flatnonzero(physical >= np.uint64(self.ram.layout.end))
        if len(outside):
            physical[outside] = self._outside(addresses[outside])
        page = self.ram.layout.frames_to_pages(physical >> np.uint64(PAGE_SHIFT))
        page[~self.resident[page]] = -1
        return page << PAGE_SHIFT | (physical & np.uint64(PAGE_SIZE - 1)).view(np.int64)

    def _outside(self, addresses: U64Array) -> U64Array:
        """Guest-physical addresses of virtual ones outside the direct map."""
        if len(addresses) <= _FEW:
            return np.array([self._physical(address) for address in addresses.tolist()], np.uint64)
        physical = np.full(len(addresses), _U64, np.uint64)
        unknown = addresses >= np.uint64(_KERNEL_HALF)
        for start, end, shift in self._pieces:
            inside = (addresses >= np.uint64(start)) & (addresses < np.uint64(end))
            physical[inside] = addresses[inside] + np.uint64(shift)
            unknown &= ~inside
        rows = np.flatnonzero(unknown)
        if len(rows):
            pages, back = np.unique(addresses[rows] >> np.uint64(PAGE_SHIFT), return_inverse=True)
            found = np.array([self._translate(int(page)) for page in pages[:_MAX_TRANSLATIONS]], np.uint64)
            found = np.concatenate([found, np.full(len(pages) - len(found), _U64, np.uint64)])
            physical[rows] = found[back] + (addresses[rows] & np.uint64(PAGE_SIZE - 1))
        return physical

    def _physical(self, address: int) -> int:
        """Guest-physical address of one virtual address; 2^64 - 4096 or more where nothing is mapped."""
        physical = address - self.page_offset
        if 0 <= physical < self.ram.layout.end:
            return physical
        for start, end, shift in self._pieces:
            if start <= address < end:
                return address + shift & _U64
        if address < _KERNEL_HALF:
            return _U64
        return self._translate(address >> PAGE_SHIFT) + (address & (PAGE_SIZE - 1))

    def _offset(self, address: int) -> int:
        """File offset of one kernel virtual address, -1 where there is no RAM or a hole."""
        try:
            offset = self.ram.layout.to_offset(PhysicalAddress(self._physical(address)))
        except AddressError:
            return -1
        return offset if self.resident[offset >> PAGE_SHIFT] else -1

    def pages(self, addresses: U64Array) -> Pages:
        """Page numbers of kernel virtual `addresses`, -1 where there is no RAM."""
        return self.offsets(addresses) >> PAGE_SHIFT

    def gather(self, addresses: U64Array, size: int) -> U64Array:
        """The unsigned integer of `size` bytes (1, 2, 4 or 8) at each address, as `uint64`; zero where there is none."""
        if len(addresses) <= _FEW:
            return np.array([self.word(address, size) for address in addresses.tolist()], np.uint64)
        offsets = self.offsets(addresses)
        bad = (offsets < 0) | (offsets & (size - 1) != 0)
        offsets[bad] = 0
        values: U64Array = self._views[size][offsets >> size.bit_length() - 1].astype(np.uint64, copy=False)
        values[bad] = 0
        return values

    def fields(self, addresses: U64Array, *wanted: tuple[int, int]) -> U64Array:
        """Several fields of the structures at `addresses`, each given as (offset, size): shape (fields, structures).

        A field must not cross a boundary of eight bytes.
        """
        offsets = np.array([offset & ~7 & _U64 for offset, _ in wanted], np.uint64)
        shifts = np.array([8 * (offset & 7) for offset, _ in wanted], np.uint64)
        masks = np.array([(1 << 8 * size) - 1 for _, size in wanted], np.uint64)
        words = self.u64((addresses + offsets[:, None]).ravel()).reshape(len(wanted), -1)
        return words >> shifts[:, None] & masks[:, None]

    def u64(self, addresses: U64Array) -> U64Array:
        """The 64-bit word at each address."""
        return self.gather(addresses, 8)

    def u32(self, addresses: U64Array) -> U64Array:
        """The 32-bit word at each address."""
        return self.gather(addresses, 4)

    def rows(self, addresses: U64Array, count: int) -> U64Array:
        """`count` 64-bit words at each address: shape (len(addresses), count)."""
        steps = np.arange(0, 8 * count, 8, dtype=np.uint64)
        return self.u64((addresses[:, None] + steps).ravel()).reshape(-1, count)

    def word(self, address: int, size: int = 8) -> int:
        """The unsigned integer of `size` bytes at one address, zero where there is none."""
        offset = self._offset(address)
        return 0 if offset < 0 or offset & (size - 1) else int(self._views[size][offset // size])

    def address_of(self, name: str) -> VirtualAddress | None:
        """Address of a kernel symbol, None for none; cached."""
        if name not in self._symbols:
            self._symbols[name] = self.kernel.kallsyms.address_of(name)
        return self._symbols[name]

    def name_at(self, address: int) -> str:
        """Name of the kernel symbol that covers `address`, empty for none; cached."""
        if address not in self._names:
            if len(self._names) >= _MAX_TRANSLATIONS:
                self._names.clear()
            symbol = self.kernel.kallsyms.at(VirtualAddress(address))
            self._names[address] = "" if symbol is None else symbol.name
        return self._names[address]

    def offset(self, type_name: str, member: str) -> int:
        """Bytes from the start of a kernel type to its member; `NoTypesError` for none; cached."""
        key = (type_name, member)
        if key not in self._offsets:
            self._offsets[key] = self.kernel.btf.member_offset(type_name, member)
        return self._offsets[key]

    def symbol(self, name: str, size: int = 8) -> int:
        """The value of kernel variable `name`, zero when the kernel has none."""
        address = self.address_of(name)
        return 0 if address is None else self.word(address, size)

    def string(self, address: int, limit: int = 256) -> str:
        """The zero-terminated text at `address`, at most `limit` bytes of it."""
        data = b""
        while len(data) < limit and b"\0" not in data:
            step = min(limit - len(data), PAGE_SIZE - (address + len(data)) % PAGE_SIZE)
            offset = self._offset(address + len(data) & _U64)
            if offset < 0:
                break
            data += self.ram.view[offset : offset + step].tobytes()
        return data.split(b"\0", 1)[0].decode("utf-8", "replace")

    def links(self, head: int, limit: int) -> list[int]:
        """Addresses of the links of a ``list_head`` at `head`, at most `limit`; stops where next and prev disagree."""
        found: list[int] = []
        link = self.word(head)
        while link and link != head and len(found) < limit:
            found.append(link)
            following = self.word(link)
            if self.word(following + 8 & _U64) != link:
                break
            link = following
        return found

    def _base(self, symbol: str, default: int) -> int:
        """Start of an area: the value of `symbol`, which exists where the area can be moved, else `default`."""
        address = self.kernel.kallsyms.address_of(symbol)
        data = b"" if address is None else self.kernel.page_tables.read_some(address, 8)
        return int.from_bytes(data, "little") if len(data) == 8 else default

    def _translate(self, page: int) -> int:
        """Guest-physical address of a virtual page, 2^64 - 4096 where nothing is mapped."""
        if page not in self._translated:
            if len(self._translated) >= _MAX_TRANSLATIONS:
                self._translated.clear()
            physical = self.kernel.page_tables.translate(VirtualAddress(page << PAGE_SHIFT & _U64))
            self._translated[page] = _U64 - PAGE_SIZE + 1 if physical is None else physical
        return self._translated[page]
