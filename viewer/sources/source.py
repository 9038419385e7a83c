"""A source: anything that has RAM and a page map, be it a running machine, a capture, or made-up memory in a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import GuestError
from qemu_bridge.memory.addresses import RamLayout
from qemu_bridge.wire.page_map import ENTRY, PageMap
from qemu_bridge.wire.records import PageClass

if TYPE_CHECKING:
    from qemu_bridge.client import Client

    from .comparison import Comparison


class Ram(Protocol):
    """Guest RAM as the viewer needs it; `qemu_bridge.memory.ram.GuestRam` is one."""

    @property
    def view(self) -> npt.NDArray[np.uint8]:
        """All bytes, read-only."""
        ...

    @property
    def layout(self) -> RamLayout | None:
        """Where RAM is in guest-physical memory; None where that is not known."""
        ...

    def resident_pages(self) -> npt.NDArray[np.bool_]:
        """Which pages were ever touched: only these may be read."""
        ...

    def fetch(self, first_page: int, end_page: int) -> None:
        """Bring the touched pages from `first_page` to `end_page` into `view`; nothing to do where they are in place."""
        ...

    @property
    def wanted(self) -> npt.NDArray[np.bool_] | None:
        """The pages that are brought into `view`, by `fetch` too; None for all."""
        ...

    def want(self, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Have the `wanted` pages in `view`, and from now on no others; return those that were brought. Nothing to do in place."""
        ...

    def take_unwanted_changes(self) -> npt.NDArray[np.int64]:
        """Pages that changed since the last call and are not brought into `view`."""
        ...


class Source(Protocol):
    """A machine to draw, live or not. A capability that a source lacks is None; `MemoryOnlySource` lacks all of them."""

    @property
    def ram(self) -> Ram:
        """Its memory."""
        ...

    @property
    def title(self) -> str:
        """One line: name, RAM size, kernel."""
        ...

    def close(self) -> None:
        """Give up the connection and the memory; nothing may be read of it afterwards."""
        ...

    def validate(self) -> None:
        """Raise `MachineGoneError` when the machine has ended."""
        ...

    def page_map(self) -> PageMap:
        """A fresh page map."""
        ...

    @property
    def connect(self) -> Callable[[], Client] | None:
        """Makes a client of the caller's own, to query the daemon with; None where there is no daemon."""
        ...

    @property
    def reopen(self) -> Callable[[], Source] | None:
        """Finds the machine of this name that runs now, `UnknownMachineError` while there is none; None where none can return."""
        ...

    @property
    def comparison(self) -> Comparison | None:
        """The comparison with a capture; None for none."""
        ...

    def refresh_title(self) -> str:
        """The title, asked for again: a guest that was booting may have named its kernel meanwhile."""
        ...

    def guest_work_s(self) -> float | None:
        """Processor time in seconds that the guest has used so far; None where that is not known."""
        ...


class MemoryOnlySource:
    """Base of sources that are memory and nothing else: no daemon, no comparison, no clock. Give it `ram` and `page_map`."""

    title: str = ""
    connect: Callable[[], Client] | None = None
    reopen: Callable[[], Source] | None = None
    comparison: Comparison | None = None

    def close(self) -> None:
        """Memory needs none."""

    def validate(self) -> None:
        """Memory does not end."""

    def refresh_title(self) -> str:
        """The title, which never changes."""
        return self.title

    def guest_work_s(self) -> float | None:
        """None: it is not known."""
        return None


def name_of(source: Source) -> str:
    """The machine's name, with which its title begins."""
    return source.title.partition(" · ")[0]


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
