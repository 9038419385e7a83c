"""x86-64 page tables, read straight from guest RAM: one address at a time, or a whole address space at once.

A table is a page of 512 entries of 8 bytes. Four levels (five with LA57) lead from the root to a page; level 1 maps
4 KiB pages, and an entry of level 2 or 3 with the PS bit maps 2 MiB or 1 GiB by itself (Intel SDM volume 3,
chapter 4)::

    63        48 47    39 38    30 29    21 20    12 11      0
    | sign      | level 4 | level 3 | level 2 | level 1 | byte |

>>> tables = PageTables(ram, root)
>>> hex(tables.translate(VirtualAddress(0xffffffff81000000)))
'0x1000000'
>>> mapped = tables.mappings(Half.KERNEL)          # columns, decoded with NumPy, level by level
>>> mapped.virtual[mapped.flags & WRITABLE != 0]

The tables are the guest's own and may say anything: a walk never goes deeper than the levels, tables outside
RAM are skipped and counted, and the number of tables and mappings is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from ..errors import AddressError, UsageError
from .addresses import PAGE_SHIFT, PAGE_SIZE, PhysicalAddress, VirtualAddress
from .page_entries import (
    ENTRIES,
    FRAME_MASK,
    LARGEST_PAGE_LEVEL,
    PTE_NO_EXECUTE,
    PTE_PAGE_SIZE,
    PTE_PRESENT,
    PTE_PROT_NONE,
    PTE_USER,
    PTE_WRITABLE,
    U64Array,
    frames_of,
    leaf_flags,
    leaves,
    pointers,
    swap_slot,
    swapped,
)
from .ram import GuestRam

MAX_TABLES = 1 << 16
MAX_MAPPINGS = 1 << 22

_U64 = (1 << 64) - 1
# Tables gathered in one step: 16 MiB of entries.
_CHUNK = 4096


class Half(Enum):
    """Which entries of the root to follow: Linux gives user space the lower half, itself the upper."""

    USER = slice(0, ENTRIES // 2)
    KERNEL = slice(ENTRIES // 2, ENTRIES)
    ALL = slice(0, ENTRIES)


@dataclass(frozen=True)
class Mappings:
    """What an address space maps, as columns of equal length in ascending virtual order within each level.

    Attributes:
        virtual: first virtual address of each page, canonical, `uint64`.
        frame: its page frame number, `uint64`; may be outside RAM, as device memory does.
        level: `uint8`; 1 is a page of 4 KiB, 2 of 2 MiB, 3 of 1 GiB.
        flags: `uint8` of `page_entries`: PRESENT, WRITABLE, USER, NO_EXECUTE, GLOBAL, ACCESSED, DIRTY, PROT_NONE; the rights are
            those that all levels together leave.
        skipped: tables that could not be followed because they are outside RAM.
        complete: False when a bound cut the walk short.
        swapped: virtual address of each page that is swapped out, `uint64`, ascending; those are in no other column.
    """

    virtual: U64Array
    frame: U64Array
    level: npt.NDArray[np.uint8]
    flags: npt.NDArray[np.uint8]
    skipped: int = 0
    complete: bool = True
    swapped: U64Array = field(default_factory=lambda: np.zeros(0, np.uint64))

    def __len__(self) -> int:
        return len(self.virtual)

    def pages(self) -> tuple[U64Array, U64Array, npt.NDArray[np.int64]]:
        """Large pages spread into 4 KiB ones: virtual address, frame, and the row of each in these columns."""
        count = np.left_shift(1, 9 * (self.level.astype(np.int64) - 1))
        row = np.repeat(np.arange(len(self)), count)
        within = (np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)).astype(np.uint64)
        return self.virtual[row] + (within << np.uint64(PAGE_SHIFT)), self.frame[row] + within, row


@dataclass(frozen=True)
class TableFrames:
    """The pages that hold an address space's tables: `frame` (`uint64`, each once) and its `level` (`uint8`)."""

    frame: U64Array
    level: npt.NDArray[np.uint8]
    skipped: int = 0
    complete: bool = True


@dataclass(frozen=True)
class _Tables:
    """The tables of one level: where they are, what they map, the rights above them, and those left out."""

    level: int
    frame: U64Array
    virtual: U64Array
    rights: U64Array
    skipped: int
    complete: bool


class PageTables:
    """One address space: the tables below a root page."""

    def __init__(self, ram: GuestRam, root: PhysicalAddress, levels: int = 4) -> None:
        """Start at the table at `root` (flag bits are masked off); `UsageError` unless `levels` is 4 or 5."""
        if levels not in (4, 5):
            raise UsageError(f"page tables of {levels} levels do not exist on x86-64; give 4 or 5")
        self.ram = ram
        self.root = PhysicalAddress(root & FRAME_MASK)
        self.levels = levels
        self._sign_bit = 1 << (PAGE_SHIFT + 9 * levels - 1)

    def __repr__(self) -> str:
        return f"PageTables(root={self.root:#x}, levels={self.levels})"

    def translate(self, virtual: VirtualAddress) -> PhysicalAddress | None:
        """The guest-physical address behind `virtual`, None where nothing is mapped."""
        return self._walk(virtual)[0]

    def read(self, virtual: VirtualAddress, length: int) -> bytes:
        """Copy `length` bytes at `virtual`; `AddressError` where they are not all mapped to RAM."""
        if length < 0:
            raise UsageError(f"cannot read a length of {length} bytes; give 0 or more")
        data = self.read_some(virtual, length)
        if len(data) < length:
            raise AddressError(self.describe_missing(VirtualAddress((virtual + len(data)) & _U64)))
        return data

    def read_some(self, virtual: VirtualAddress, length: int) -> bytes:
        """Copy what is there of `length` bytes at `virtual`, up to the first that is not mapped to RAM."""
        parts = []
        while length > 0:
            physical, rest = self._walk(virtual)
            step = min(length, rest)
            if physical is None:
                break
            try:
                parts.append(self.ram.read(physical, step))
            except AddressError:
                break
            virtual, length = VirtualAddress((virtual + step) & _U64), length - step
        return b"".join(parts)

    def iter_runs(self, virtual: VirtualAddress, length: int) -> Iterator[tuple[VirtualAddress, PhysicalAddress, int]]:
        """Yield (virtual, physical, bytes) of each mapped page, small or large, behind `length` bytes at `virtual`."""
        while length > 0:
            physical, rest = self._walk(virtual)
            step = min(length, rest)
            if physical is not None:
                yield virtual, physical, step
            virtual, length = VirtualAddress((virtual + step) & _U64), length - step

    def mappings(self, half: Half = Half.ALL, max_mappings: int = MAX_MAPPINGS) -> Mappings:
        """Every page that `half` of this address space maps, decoded in bulk."""
        nothing, no_bytes = np.zeros(0, np.uint64), np.zeros(0, np.uint8)
        parts = [(nothing, nothing, no_bytes, no_bytes)]
        out = [nothing]
        found, skipped, complete = 0, 0, True
        for tables in self._descend(half):
            skipped, complete = skipped + tables.skipped, complete and tables.complete
            for entries, virtual, rights in self._entries(tables, half):
                leaf = leaves(entries, tables.level)
                row, column = np.nonzero(leaf)
                if found + len(row) > max_mappings:
                    row, column, complete = row[: max_mappings - found], column[: max_mappings - found], False
                found += len(row)
                entry = entries[row, column]
                flags = leaf_flags(entry, rights[row])
                levels = np.full(len(row), tables.level, np.uint8)
                parts.append(
                    (self._virtual(virtual[row], column, tables.level), frames_of(entry, tables.level), levels, flags)
                )
                if tables.level == 1:
                    row, column = np.nonzero(swapped(entries))
                    out.append(self._virtual(virtual[row], column, 1))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        swapped_out = np.sort(np.concatenate(out))
        return Mappings(columns[0], columns[1], columns[2], columns[3], skipped, complete, swapped_out)

    def swap_slot(self, virtual: VirtualAddress) -> tuple[int, int] | None:
        """Number of the swap device and of the slot in it, in pages, that hold the page at `virtual`; None where none does."""
        level, entry = self._last_entry(virtual)
        return swap_slot(entry) if level == 1 and swapped(np.array([entry], np.uint64))[0] else None

    def describe_missing(self, virtual: VirtualAddress) -> str:
        """The sentence on why nothing can be read at `virtual`."""
        if slot := self.swap_slot(virtual):
            return (
                f"the page at virtual address {virtual:#x} is swapped out to slot {slot[1]} of swap device {slot[0]}; it is"
                " not in RAM"
            )
        return f"virtual address {virtual:#x} is not mapped; look at the mappings of this address space"

    def table_frames(self, half: Half = Half.ALL, isolated: bool = False) -> TableFrames:
        """The pages that hold the tables of `half`, the root among them.

        With kernel page-table isolation Linux keeps a second root, for user mode, in the page after the first
        (``arch/x86/include/asm/pgtable.h``, kernel_to_user_pgdp); `isolated` counts it in.
        """
        frames, levels, skipped, complete = [], [], 0, True
        for tables in self._descend(half):
            frames.append(tables.frame)
            levels.append(np.full(len(tables.frame), tables.level, np.uint8))
            skipped, complete = skipped + tables.skipped, complete and tables.complete
        if isolated:
            frames.append(np.array([(self.root >> PAGE_SHIFT) + 1], np.uint64))
            levels.append(np.array([self.levels], np.uint8))
        unique, first = np.unique(np.concatenate(frames), return_index=True)
        return TableFrames(unique, np.concatenate(levels)[first], skipped, complete)

    def _walk(self, virtual: int) -> tuple[PhysicalAddress | None, int]:
        """Physical address of `virtual`, None where nothing is mapped, and the bytes up to the end of its page or hole.

        A hole ends where the table that has it has its next entry, so that large ones are crossed in few steps.
        """
        if not -self._sign_bit <= _signed(virtual) < self._sign_bit:
            return None, PAGE_SIZE - virtual % PAGE_SIZE
        level, entry = self._last_entry(virtual)
        shift = PAGE_SHIFT + 9 * (level - 1)
        within = virtual & ((1 << shift) - 1)
        rest = (1 << shift) - within
        if not entry & (PTE_PRESENT | PTE_PROT_NONE) or not (level == 1 or _is_large(level, entry)):
            return None, rest
        inverted = entry if entry & PTE_PRESENT else ~entry
        return PhysicalAddress((inverted & FRAME_MASK & ~((1 << shift) - 1)) + within), rest

    def _last_entry(self, virtual: int) -> tuple[int, int]:
        """The entry at which the walk for `virtual` ends, and its level: it maps a page, or nothing; 0 for a table outside RAM."""
        table, level = self.root, self.levels
        while True:
            index = virtual >> (PAGE_SHIFT + 9 * (level - 1)) & (ENTRIES - 1)
            try:
                entry = self.ram.read_u64(PhysicalAddress(table + 8 * index))
            except AddressError:
                return level, 0
            if level == 1 or not entry & PTE_PRESENT or _is_large(level, entry):
                return level, entry
            table, level = PhysicalAddress(entry & FRAME_MASK), level - 1

    def _descend(self, half: Half) -> Iterator[_Tables]:
        """Yield the tables of each level from the root down, as many as the bound allows."""
        tables = self._inside(self.levels, np.array([self.root >> PAGE_SHIFT], np.uint64), *np.zeros((2, 1), np.uint64))
        visited = 0
        while len(tables.frame):
            yield tables
            visited += len(tables.frame)
            if tables.level == 1:
                return
            tables = self._children(tables, half, MAX_TABLES - visited)
        if tables.skipped or not tables.complete:
            yield tables

    def _children(self, tables: _Tables, half: Half, limit: int) -> _Tables:
        """The tables that `tables` point to, at most `limit` of them."""
        frames, virtuals, rights_below, found = [], [], [], 0
        for entries, virtual, rights in self._entries(tables, half):
            row, column = np.nonzero(pointers(entries, tables.level))
            entry = entries[row, column]
            frames.append((entry & np.uint64(FRAME_MASK)) >> np.uint64(PAGE_SHIFT))
            virtuals.append(self._virtual(virtual[row], column, tables.level))
            rights_below.append(self._restrict(rights[row], entry, column, tables.level))
            found += len(row)
            if found > limit:
                break
        frame, virtual, right = (np.concatenate(part)[: max(limit, 0)] for part in (frames, virtuals, rights_below))
        return self._inside(tables.level - 1, frame, virtual, right, found <= limit)

    def _inside(
        self, level: int, frame: U64Array, virtual: U64Array, rights: U64Array, complete: bool = True
    ) -> _Tables:
        """Keep the tables that are in RAM, count the others."""
        inside = self.ram.layout.frames_to_pages(frame) >= 0
        skipped = len(frame) - int(np.count_nonzero(inside))
        return _Tables(level, frame[inside], virtual[inside], rights[inside], skipped, complete)

    def _entries(self, tables: _Tables, half: Half) -> Iterator[tuple[U64Array, U64Array, U64Array]]:
        """Yield (entries, virtual, rights) of a few tables at a time; entries of the other half read as zero."""
        for start in range(0, len(tables.frame), _CHUNK):
            part = slice(start, start + _CHUNK)
            pages = self.ram.layout.frames_to_pages(tables.frame[part])
            # A copy, so that an entry the guest changes meanwhile is judged and used as one value.
            entries = self.ram.pages()[pages].view("<u8")
            if tables.level == self.levels and half is not Half.ALL:
                kept = np.zeros_like(entries)
                kept[:, half.value] = entries[:, half.value]
                entries = kept
            yield entries, tables.virtual[part], tables.rights[part]

    def _virtual(self, above: U64Array, column: npt.NDArray[np.intp], level: int) -> U64Array:
        """Virtual addresses of entries `column` of tables that start at `above`, sign-extended at the root."""
        virtual = above + (column.astype(np.uint64) << np.uint64(PAGE_SHIFT + 9 * (level - 1)))
        if level == self.levels:
            virtual[virtual >= np.uint64(self._sign_bit)] |= np.uint64(_U64 & ~(2 * self._sign_bit - 1))
        return virtual

    def _restrict(self, rights: U64Array, entry: U64Array, column: npt.NDArray[np.intp], level: int) -> U64Array:
        """What is denied below `entry`: bits of writable, user and no-execute, set where the right is gone.

        Under page-table isolation the kernel's copy of a user root entry carries no-execute though user mode may
        execute (``arch/x86/mm/pti.c``, __pti_set_user_pgtbl), so that bit of the root's lower half is ignored.
        """
        denied = (~entry & np.uint64(PTE_WRITABLE | PTE_USER)) | (entry & np.uint64(PTE_NO_EXECUTE))
        if level == self.levels:
            denied[column < ENTRIES // 2] &= np.uint64(_U64 & ~PTE_NO_EXECUTE)
        return rights | denied


def _is_large(level: int, entry: int) -> bool:
    return level <= LARGEST_PAGE_LEVEL and bool(entry & PTE_PAGE_SIZE)


def _signed(virtual: int) -> int:
    return virtual - (1 << 64) if virtual >> 63 else virtual
