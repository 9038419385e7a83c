"""Places in the guest's code: ``sym:NAME``, a name or a number, resolved to linear addresses.

>>> find_address(machine, "sym:do_exit")
18446744071579566288
>>> find_range(machine, "sym:do_exit+64")
(18446744071579566288, 18446744071579566352)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...errors import GuestError, UsageError
from ...wire.records import Answer, Blob, MemorySpace, Process, Symbol

_KTHREADD = 2
"""The process that all kernel threads are children of."""
_DIRECT_MAP_BASE = 0xFFFF_8880_0000_0000
"""Where a kernel that cannot move its direct map has it (``Documentation/arch/x86/x86_64/mm.rst``)."""


class Kernel(Protocol):
    """What resolving a place asks of a machine's client."""

    def sym(self, symbol: str, /) -> Answer[tuple[Symbol, ...]]:
        """Symbols of this name or at this address, the best match first."""

    def ps(self) -> Answer[tuple[Process, ...]]:
        """Processes of the guest."""

    def read_memory(
        self, ranges: tuple[tuple[int, int], ...], space: MemorySpace, /
    ) -> Answer[tuple[Blob | None, ...]]:
        """The bytes of each (address, size)."""


def find_address(kernel: Kernel, place: str) -> int:
    """The linear address that `place` stands for; `UsageError` if there is no such symbol or it is no address."""
    name = place.removeprefix("sym:")
    if name[:1].isdigit():
        try:
            address = int(name, 0)
        except ValueError:
            raise UsageError(f"{place!r} is no address; write it as 0xffffffff81000000 or sym:NAME") from None
        if address >> 64:
            raise UsageError(f"{place!r} is no address; it has more than 64 bits: write fewer digits")
        return address
    found = next(iter(kernel.sym(name)), None)
    if found is None:
        raise UsageError(f"the kernel has no symbol {name!r}; 'glassbox sym' lists them")
    return int(found.address)


def find_trigger(kernel: Kernel, text: str | None) -> tuple[int, int]:
    """Address and number of executions of ``PLACE`` or ``PLACE:N``; (0, 0) for None."""
    if not text:
        return 0, 0
    place, _, times = text.rpartition(":")
    if not place or not times.isdecimal() or place == "sym":
        place, times = text, "1"
    if not 1 <= int(times) < 1 << 32:
        raise UsageError(f"{text!r} counts from 1; write PLACE:N with N from 1 to {(1 << 32) - 1}")
    return find_address(kernel, place), int(times)


def find_range(kernel: Kernel, text: str) -> tuple[int, int]:
    """The half-open range of linear addresses that ``PLACE-PLACE`` or ``PLACE+BYTES`` stands for."""
    first, dash, last = text.partition("-")
    if dash:
        start, end = find_address(kernel, first), find_address(kernel, last)
    else:
        first, plus, length = text.partition("+")
        if not plus:
            raise UsageError(f"{text!r} is no range; write sym:NAME+BYTES or PLACE-PLACE")
        start = find_address(kernel, first)
        try:
            end = start + int(length, 0)
        except ValueError:
            raise UsageError(f"{length!r} is no number of bytes; write it as 64 or 0x40") from None
    if not start < end <= 1 << 64:
        raise UsageError(f"the range {text!r} holds nothing; write the lower address first")
    return start, min(end, (1 << 64) - 1)


def find_roots(kernel: Kernel, pids: Sequence[int]) -> tuple[int, ...]:
    """Page-table root (CR3) of each of `pids`; `UsageError` if there is no such process, it has ended, or it is a kernel thread."""
    processes = {process.pid: process for process in kernel.ps()} if pids else {}
    roots = []
    for pid in pids:
        if pid not in processes:
            raise UsageError(f"there is no process {pid}; 'glassbox ps' lists them")
        process = processes[pid]
        if process.page_table is None:
            if _KTHREADD in (pid, process.parent_pid):
                raise UsageError(f"process {pid} is a kernel thread and has no memory of its own; give another one")
            raise UsageError(f"there is no process {pid} any more, as it has ended; 'glassbox ps' lists them")
        roots.append(process.page_table)
    return tuple(roots)


def find_root_free(kernel: Kernel) -> tuple[int, int]:
    """Linear addresses of the function that frees a page-table root, and of guest-physical 0; `GuestError` without them."""
    freeing, base = (_find_symbol(kernel, name) for name in ("pgd_free", "page_offset_base"))
    if freeing is None:
        raise GuestError(
            "the kernel has no symbol pgd_free, so the end of a process cannot be noticed; trace without pids"
        )
    if base is None:
        return freeing, _DIRECT_MAP_BASE
    found = kernel.read_memory(((base, 8),), MemorySpace.VIRTUAL).value[0]
    if found is None:
        raise GuestError("the base of the kernel's direct map cannot be read; pause the machine and try again")
    return freeing, int.from_bytes(found, "little")


def _find_symbol(kernel: Kernel, name: str) -> int | None:
    try:
        found = next(iter(kernel.sym(name)), None)
    except UsageError:
        return None
    return None if found is None else int(found.address)
