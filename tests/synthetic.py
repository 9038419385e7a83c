"""Made-up memory, the same every time, that looks like a small guest: 2 MiB with every class of page.

As a program it opens a window on it, for the window test: ``python tests/synthetic.py SECONDS PNG``.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qemu_bridge.errors import MachineGoneError, UnknownMachineError
from qemu_bridge.wire.page_map import ENTRY, PageMap
from qemu_bridge.wire.records import Owner, PageClass
from viewer.sources.source import MemoryOnlySource

PAGES = 512
RUNS = (
    (PageClass.UNTOUCHED, 60),
    (PageClass.KERNEL_TEXT, 68),
    (PageClass.KERNEL_RODATA, 40),
    (PageClass.KERNEL_DATA, 40),
    (PageClass.OTHER, 48),
    (PageClass.PAGE_TABLE, 12),
    (PageClass.UNTOUCHED, 60),
    (PageClass.PROCESS_TEXT, 24),
    (PageClass.PROCESS_HEAP, 16),
    (PageClass.PROCESS_STACK, 8),
    (PageClass.PROCESS_FILE, 24),
    (PageClass.PROCESS_ANONYMOUS, 16),
    (PageClass.ZERO, 32),
    (PageClass.UNTOUCHED, 64),
)


class SyntheticRam:
    """RAM of seeded bytes, a third of them zero, where `touched` says there are any."""

    layout = None

    def __init__(self, touched: npt.NDArray[np.bool_], seed: int = 5) -> None:
        random = np.random.default_rng(seed)
        self.memory = random.integers(0, 256, (len(touched), 4096), np.uint8)
        self.memory[random.random(self.memory.shape) < 0.33] = 0
        self.memory[~touched] = 0
        self.touched = touched

    @property
    def view(self) -> npt.NDArray[np.uint8]:
        flat = self.memory.reshape(-1)
        flat.setflags(write=False)
        return flat

    def resident_pages(self) -> npt.NDArray[np.bool_]:
        return self.touched

    wanted = None

    def fetch(self, first_page: int, end_page: int) -> None:
        """Nothing to do: it is in place."""

    def want(self, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        return np.zeros(0, np.int64)

    def take_unwanted_changes(self) -> npt.NDArray[np.int64]:
        return np.zeros(0, np.int64)


class SyntheticSource(MemoryOnlySource):
    """A source whose page map is made of `RUNS`."""

    def __init__(self, title: str = "synthetic · 2 MiB RAM · Linux 0.0") -> None:
        self.title = title
        classes = np.concatenate([np.full(count, page_class) for page_class, count in RUNS])
        classes = np.resize(classes, PAGES)
        entries = np.zeros(PAGES, ENTRY)
        entries["page_class"] = classes
        entries["owner_id"] = np.where(classes >= PageClass.PROCESS_TEXT, 1 + np.arange(PAGES) // 16 % 2, 0)
        self.entries = entries
        self.owners = {1: Owner(1, 1, "init"), 2: Owner(2, 40, "sh")}
        self.ram = SyntheticRam(classes != PageClass.UNTOUCHED)
        self.ram.memory[classes == PageClass.ZERO] = 0
        self.threads: set[str] = set()

    def page_map(self) -> PageMap:
        self.threads.add(threading.current_thread().name)
        return PageMap(self.entries.copy(), self.owners)


if __name__ == "__main__":
    import logging

    from viewer.app.window import open_window

    logging.basicConfig(level=logging.INFO)
    open_window(SyntheticSource(), after_s=float(sys.argv[1]), screenshot=Path(sys.argv[2]), size=(640, 360))


class Mortal(SyntheticSource):
    """A machine that ends when it is told to, and that returns when there is another."""

    def __init__(self, name):
        super().__init__(f"{name} · 2 MiB RAM")
        self.is_gone, self.next = False, None

    def validate(self):
        if self.is_gone:
            raise MachineGoneError("it was ended")

    def reopen(self):
        if self.next is None:
            raise UnknownMachineError("not yet")
        return self.next
