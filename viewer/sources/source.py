"""A source: anything that has RAM and a page map, be it a running machine, a capture, or made-up memory in a test."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import GuestError
from qemu_bridge.wire.page_map import ENTRY, PageMap
from qemu_bridge.wire.records import PageClass


class Ram(Protocol):
    """Guest RAM as the viewer needs it; `qemu_bridge.memory.ram.GuestRam` is one."""

    @property
    def view(self) -> npt.NDArray[np.uint8]:
        """All bytes, read-only."""
        ...

    def resident_pages(self) -> npt.NDArray[np.bool_]:
        """Which pages were ever touched: only these may be read."""
        ...


class Source(Protocol):
    """A machine to draw, live or not."""

    @property
    def ram(self) -> Ram:
        """Its memory."""
        ...

    @property
    def title(self) -> str:
        """One line: name, RAM size, kernel."""
        ...

    def validate(self) -> None:
        """Raise `MachineGoneError` when the machine has ended."""
        ...

    def page_map(self) -> PageMap:
        """A fresh page map."""
        ...


def read_page_map(source: Source) -> PageMap:
    """The source's page map; where the guest cannot be understood (yet), one that only tells touched from untouched.

    A guest that is still booting is drawn as what is known of it; `skipped` then says why it is no more.
    """
    try:
        return source.page_map()
    except GuestError as error:
        touched = source.ram.resident_pages()
        entries = np.zeros(len(touched), ENTRY)
        entries["page_class"] = np.where(touched, PageClass.OTHER, PageClass.UNTOUCHED)
        return PageMap(entries, {}, skipped=(str(error),))
