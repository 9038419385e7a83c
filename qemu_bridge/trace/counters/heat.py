"""Where the guest executes and stores right now, and who stored last: arrays shared with the plugin, read in place.

>>> with client.heat() as heat:
...     before = heat.stores.copy()
...     time.sleep(1)
...     written = np.flatnonzero(heat.stores - before)

The counters are ``uint32``, wrap, and continue from where the last window left them: take differences, which are right as
long as no page is counted 2**32 times between two looks. With several vCPUs a count may miss one now and then.
Only what the guest's own instructions do is counted: a device that writes into RAM is not seen.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tcg_plugin import layout

from ...errors import MachineError
from .writers import WRITER

Counts = npt.NDArray[np.uint32]


class Heat:
    """The arrays of heat, which is counted until this is closed, and longer if somebody else watches too."""

    def __init__(self, path: Path, disarm: Callable[[], object]) -> None:
        """Map the shared file at `path` read-only; `disarm` ends the counting, which has begun already.

        Raises `MachineError` when the file is not the shared file of a trace.
        """
        self._disarm: Callable[[], object] | None = disarm
        try:
            with path.open("rb") as file:
                page = layout.Control.from_buffer_copy(file.read(layout.PAGE_BYTES))
                whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise MachineError(f"the trace's shared file {path} cannot be mapped ({error}); start a machine") from None
        if bytes(page.magic) != layout.MAGIC or page.version != layout.VERSION or page.file_bytes != len(whole):
            raise MachineError(f"{path} has another layout; use the release of glassbox that started the machine")
        self._control = np.frombuffer(whole, np.uint32, layout.PAGE_BYTES // 4)
        pages = int(page.heat_pages)
        self.blocks: Counts = np.frombuffer(whole, np.uint32, pages, page.heat_blocks_offset)
        """Blocks that began in each page of the RAM file; read-only, changes by itself."""
        self.stores: Counts = np.frombuffer(whole, np.uint32, pages, page.heat_stores_offset)
        """Stores to each page of the RAM file; read-only, changes by itself."""

        self.writers: npt.NDArray[np.void] = np.frombuffer(whole, WRITER, pages, page.heat_writers_offset)
        """Who stored last to each page of the RAM file (`WRITER`; both 0: no store seen); read-only, changes by itself."""

    def __enter__(self) -> Heat:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_armed(self) -> bool:
        """Whether the plugin counts for this one now; not in a machine that was paused when it was asked to."""
        return self._disarm is not None and bool(self._control[layout.Control.heat_on.offset // 4])

    def close(self) -> None:
        """Count no longer for this one. The arrays stay readable; calling it again does nothing."""
        disarm, self._disarm = self._disarm, None
        if disarm is not None:
            disarm()
