"""A raw RAM image: a file with RAM in it and nothing else.

A raw image has no header: where its bytes appear in the guest is stated by the user or found from the kernel in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from ...errors import MachineError, NotBootedError, UsageError
from ...machine.monitor import Monitor
from ...memory.addresses import PAGE_SIZE, RamLayout, parse_layout
from ...wire.records import Origin
from .backend import NoShell, Shell

logger = logging.getLogger(__name__)

BRIEF_S = 20.0
"""A file that was asked for by its path is closed so long after its last client."""


def image_size(path: Path) -> int:
    """Bytes of the whole pages of the raw RAM image at `path`; `UsageError` for a file that cannot be one."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{path} is not a regular file; give a raw image of guest RAM")
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror}); give a raw image of guest RAM") from None
    if found.st_size == 0:
        raise UsageError(f"{path} is empty; give a raw image of guest RAM")
    if found.st_size < PAGE_SIZE:
        raise UsageError(f"{path} has {found.st_size} bytes, less than a page; give a raw image of guest RAM")
    return found.st_size // PAGE_SIZE * PAGE_SIZE


def image_layout(path: Path, size_bytes: int, stated: str) -> RamLayout:
    """The layout of the raw image at `path`: the `stated` one (`parse_layout`), else what the kernel in it shows.

    ``pc`` for an image without a kernel: its bytes can be looked at all the same. `LayoutError` where the kernel is there and
    no layout fits.
    """
    if stated:
        return parse_layout(stated, size_bytes)
    # Imported here: only images need the kernel's symbols at start.
    from ...kernel.ram_layout import find_ram_layout

    try:
        return find_ram_layout(path, size_bytes)
    except NotBootedError as error:
        logger.warning("%s", error)
        return parse_layout("pc", size_bytes)


class RamImage:
    """A file with RAM in it; it never changes."""

    origin = Origin.IMAGE
    pid: int | None = None
    exit_status: int | None = None
    is_static = True
    signals_ready = False
    idle_timeout_s: float | None = None
    symbols: Path | None = None
    caveats: tuple[str, ...] = ()
    is_whole = False

    def __init__(
        self, path: Path, caveats: tuple[str, ...] = (), *, is_whole: bool = False, is_brief: bool = False
    ) -> None:
        """Of the file at `path`; its daemon ends without clients if it `is_brief`."""
        self.is_whole = is_whole
        self._path = path
        self.caveats = caveats
        self.idle_timeout_s = BRIEF_S if is_brief else None

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
