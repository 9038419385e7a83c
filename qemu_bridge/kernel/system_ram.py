"""Where the kernel says that RAM is: its tree of resources, which ``/proc/iomem`` shows.

The RAM file holds what the machine was started with. Memory that is plugged later (a DIMM, virtio-mem), and memory of another
backend, is RAM to the guest and not in the file; the difference between this tree and the layout says so.
"""

from __future__ import annotations

import logging

from ..errors import GlassBoxError
from ..memory.addresses import RamLayout, VirtualAddress, format_size
from .budget import Budget, OutOfBudgetError
from .objects import KernelObjects, Object

logger = logging.getLogger(__name__)

_SYSTEM_RAM = 0x0100_0000  # IORESOURCE_SYSRAM, include/linux/ioport.h
_COUNTS = ("max_pfn", "_totalram_pages")
_MAX_DEPTH = 3
_MAX_NAMED = 4
_MAX_RESOURCES = 1 << 14
_TIME_S = 1.0


def read_system_ram(space: KernelObjects, budget: Budget) -> list[tuple[int, int]]:
    """The half-open guest-physical ranges of ``System RAM``, ascending; empty for a kernel without the tree."""
    if not (root := space.address_of("iomem_resource")):
        return []
    found: list[tuple[int, int]] = []
    pending: list[tuple[Object | None, int]] = [(space.at("resource", root).follow("child"), 1)]
    while pending:
        resource, depth = pending.pop()
        while resource is not None:
            budget.spend()
            if resource["flags"] & _SYSTEM_RAM:
                found.append((resource["start"], resource["end"] + 1))
            elif depth < _MAX_DEPTH:
                # virtio-mem and CXL put theirs into the region of the device.
                pending.append((resource.follow("child"), depth + 1))
            resource = resource.follow("sibling")
    return sorted(found)


def missing_from(layout: RamLayout, ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of `ranges` that `layout` does not hold, ascending, half-open."""
    missing: list[tuple[int, int]] = []
    for start, end in ranges:
        for region in layout.regions:
            if region.start + region.size <= start or end <= region.start:
                continue
            if start < region.start:
                missing.append((start, region.start))
            start = min(region.start + region.size, end)
        if start < end:
            missing.append((start, end))
    return missing


class SystemRam:
    """Which of the guest's RAM is not in the RAM file.

    The tree is read again when the kernel's counts of its pages change: two words instead of some dozens of structures.
    """

    def __init__(self, space: KernelObjects) -> None:
        self._space = space
        self._counts = [address for name in _COUNTS if (address := space.address_of(name))]
        self._seen: list[bytes] | None = None
        self._sentences: tuple[str, ...] = ()

    def describe_missing(self) -> tuple[str, ...]:
        """The sentence on what is missing; none when nothing is, or when the tree cannot be read."""
        tables = self._space.kernel.page_tables
        seen = [tables.read_some(VirtualAddress(address), 8) for address in self._counts]
        if seen != self._seen:
            self._seen = seen
            budget = Budget(_TIME_S, _MAX_RESOURCES)
            try:
                with self._space.charged_to(budget):
                    missing = missing_from(self._space.ram.layout, read_system_ram(self._space, budget))
            except (GlassBoxError, OutOfBudgetError) as error:
                logger.debug("the tree of resources cannot be read: %s", error)
                missing = []
            self._sentences = (_describe(missing),) if missing else ()
        return self._sentences


def _describe(missing: list[tuple[int, int]]) -> str:
    size = format_size(sum(end - start for start, end in missing))
    where = ", ".join(f"{start:#x}-{end - 1:#x}" for start, end in missing[:_MAX_NAMED]) + (
        ", …" if missing[_MAX_NAMED:] else ""
    )
    return f"{size} of the guest's RAM at {where} is not in the RAM file; what lies there is missing"
