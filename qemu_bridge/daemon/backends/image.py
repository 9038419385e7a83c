"""A raw RAM image: a file with RAM in it and nothing else.

A raw image has no header. Below the size at which a machine splits its RAM (`RamLayout.from_rule`) only one layout exists.
Above it the kernel in the image decides: with the right layout RAM ends at ``max_pfn``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ...errors import GlassBoxError, MachineError, UsageError
from ...machine.choices import LAYOUTS, MACHINES
from ...machine.monitor import Monitor
from ...memory.addresses import (
    PAGE_SHIFT,
    PAGE_SIZE,
    PhysicalAddress,
    RamLayout,
    RamOffset,
    RamRegion,
    format_size,
)
from ...wire.records import Origin
from .backend import NoShell, Shell

logger = logging.getLogger(__name__)

_OTHER_FORMATS = {b"\x7fELF": "an ELF core", b"EMiL": "a LiME dump", b"KDUMP": "a kdump file", b"QEVM": "a saved state"}


def image_size(path: Path) -> int:
    """Bytes of the raw RAM image at `path`; `UsageError` for a file that cannot be one."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{path} is not a regular file; give a raw image of guest RAM")
        with open(path, "rb") as file:
            magic = file.read(5)
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); give a raw image of guest RAM") from None
    for mark, what in _OTHER_FORMATS.items():
        if magic.startswith(mark):
            raise UsageError(f"{path} is {what}, not a raw image; write one with QEMU's pmemsave from address 0")
    if found.st_size == 0:
        raise UsageError(f"{path} is empty; give a raw image of guest RAM")
    if found.st_size % PAGE_SIZE:
        raise UsageError(
            f"{path} has {found.st_size} bytes, which is not a multiple of the page size {PAGE_SIZE}; give a raw image of"
            " guest RAM that was not cut short"
        )
    return found.st_size


def image_layout(machine: str, size_bytes: int) -> RamLayout:
    """The layout of `size_bytes` of RAM in the guest; `UsageError` for a `machine` that is not one of `LAYOUTS`."""
    if machine == "flat":
        return RamLayout((RamRegion(PhysicalAddress(0), RamOffset(0), size_bytes),))
    return RamLayout.from_rule(machine, size_bytes)


def detect_machine(path: Path, size_bytes: int) -> str:
    """Which of `LAYOUTS` fits the raw image at `path`; ``pc`` where all do or none does.

    RAM that continues above 4 GiB ends at page frame ``max_pfn`` (``arch/x86/kernel/e820.c``), a number that the kernel
    keeps; where the hole is decides where that is.
    """
    layouts = {machine: image_layout(machine, size_bytes) for machine in LAYOUTS}
    if len({layout.regions for layout in layouts.values()}) == 1:
        return MACHINES[0]
    ends = {machine: _reported_end(path, layout) for machine, layout in layouts.items()}
    for machine, end in ends.items():
        if end == layouts[machine].end:
            return machine
    logger.warning("no layout of %s (%s) fits its kernel: %s", path, format_size(size_bytes), ends)
    return next((machine for machine, end in ends.items() if end), MACHINES[0])


def _reported_end(path: Path, layout: RamLayout) -> int:
    """The end of RAM that the kernel in the image reports under `layout`; 0 where no kernel is found."""
    # Imported here: only large images need the symbols.
    from ...kernel.symbols import KernelSymbols
    from ...memory.ram import GuestRam

    try:
        with GuestRam(path, layout) as ram:
            kernel = KernelSymbols.load(ram)
            return int.from_bytes(kernel.page_tables.read(kernel.address_of("max_pfn"), 8), "little") << PAGE_SHIFT
    except GlassBoxError as error:
        logger.debug("%s as %s: %s", path, layout.regions, error)
        return 0


class RamImage:
    """A file with RAM in it; it never changes."""

    origin = Origin.IMAGE
    pid: int | None = None
    exit_status: int | None = None
    is_static = True
    signals_ready = False
    idle_timeout_s: float | None = None
    symbols: Path | None = None

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.asynccontextmanager
    async def connect(self, name: str) -> AsyncIterator[Monitor]:
        """A `NoMonitor`."""
        yield NoMonitor(self._path)

    async def check_layout(self, monitor: Monitor, layout: RamLayout) -> None:
        """Do nothing: no QEMU belongs to the file."""

    def shell(self) -> Shell:
        """None."""
        return NoShell("is a RAM image and does not run; start a machine to run commands")

    async def wait(self) -> None:
        """Never return."""
        await asyncio.Event().wait()

    async def end(self, monitor: Monitor) -> None:
        """Close the file, which stays."""

    def describe_exit(self, asked: bool) -> str:
        """That the file was closed."""
        return "the RAM image was closed"


class NoMonitor(Monitor):
    """The monitor of a RAM image: always paused, no events."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def execute(self, command: str, arguments: dict[str, Any] | None = None, timeout_s: float = 0.0) -> Any:  # noqa: ANN401  # as Monitor's
        """Answer `query-status` with paused; `MachineError` for any other command."""
        if command == "query-status":
            return {"status": "paused", "running": False}
        raise MachineError(f"{self._path} is only RAM and does not run; use commands that read RAM")

    async def events(self) -> AsyncIterator[Any]:
        """Yield nothing and never end."""
        await asyncio.Event().wait()
        yield {}
