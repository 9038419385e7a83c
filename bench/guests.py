"""Synthetic guests for benchmarks without QEMU: memory laid out as in a booted Linux guest.

Classes come in clusters (the kernel's image in one piece, processes in short runs, page tables in twos and threes),
about half of RAM was never touched, and bytes look like code, like tables and like text: what costs a
ray-marcher time is where the boundaries are, not what the bytes mean.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qemu_bridge.wire.page_map import ENTRY, PageMap
from qemu_bridge.wire.records import Owner, PageClass
from viewer.sources.source import MemoryOnlySource

PAGE_BYTES = 4096
_KERNEL = ((PageClass.KERNEL_TEXT, 3584), (PageClass.KERNEL_RODATA, 2048), (PageClass.KERNEL_DATA, 1920))
# Class, share of the pages after the kernel's image, mean length of a run in pages: as an idle Alpine guest of
# 128 MiB has them.
_CLUSTERS = (
    (PageClass.UNTOUCHED, 0.48, 512),
    (PageClass.OTHER, 0.415, 96),
    (PageClass.ZERO, 0.085, 48),
    (PageClass.PAGE_TABLE, 0.006, 3),
    (PageClass.PROCESS_TEXT, 0.007, 24),
    (PageClass.PROCESS_FILE, 0.0055, 24),
    (PageClass.PROCESS_HEAP, 0.0002, 2),
    (PageClass.PROCESS_STACK, 0.0005, 2),
    (PageClass.PROCESS_ANONYMOUS, 0.001, 4),
)
_PROCESSES = 12


class MadeUpRam:
    """RAM with the interface that the viewer needs."""

    layout = None
    wanted = None

    def __init__(self, pages: npt.NDArray[np.uint8], touched: npt.NDArray[np.bool_]) -> None:
        self.pages = pages
        self._touched = touched

    @property
    def view(self) -> npt.NDArray[np.uint8]:
        """All bytes."""
        return self.pages.reshape(-1)

    def resident_pages(self) -> npt.NDArray[np.bool_]:
        """Which pages were ever touched."""
        return self._touched

    def fetch(self, first_page: int, end_page: int) -> None:
        """Nothing to do: it is in place."""

    def want(self, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Nothing to bring: it is in place."""
        return np.zeros(0, np.int64)

    def take_unwanted_changes(self) -> npt.NDArray[np.int64]:
        """None: all of it is wanted."""
        return np.zeros(0, np.int64)


class MadeUpGuest(MemoryOnlySource):
    """A source of `size_bytes` of RAM, the same for the same `seed`.

    `load` is how much of RAM is in use, 1 for as much as an idle guest of 128 MiB uses of its own.
    """

    def __init__(self, size_bytes: int, load: float = 1.0, seed: int = 1) -> None:
        random = np.random.default_rng(seed)
        self.title = f"synthetic · {size_bytes >> 20} MiB RAM"
        classes, owners = _lay_out(size_bytes // PAGE_BYTES, load, random)
        self._entries = np.zeros(len(classes), ENTRY)
        self._entries["page_class"], self._entries["owner_id"] = classes, owners
        self._owners = {n: Owner(n, 10 + n, f"process-{n}") for n in range(1, _PROCESSES + 1)}
        # Zeros cost no memory of the host until a page is written, as in the RAM file of a real guest.
        pages = np.zeros((len(classes), PAGE_BYTES), np.uint8)
        filled = np.flatnonzero((classes != PageClass.UNTOUCHED) & (classes != PageClass.ZERO))
        patterns = _patterns(random)
        pages[filled] = patterns[(filled * 37) % len(patterns)]
        self.ram = MadeUpRam(pages, classes != PageClass.UNTOUCHED)

    def page_map(self) -> PageMap:
        """The page map."""
        return PageMap(self._entries.copy(), self._owners)


def _lay_out(
    count: int, load: float, random: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    """(class, owner) of every page: the kernel's image at 16 MiB, everything else in runs about it."""
    kinds, shares, lengths = zip(*_CLUSTERS, strict=True)
    # Runs of a class are drawn as often as its share divided by the length of a run says.
    odds = load * np.array(shares) / np.array(lengths)
    odds[0] = (1 - load * (1 - shares[0])) / lengths[0]
    mean = float(np.dot(odds / odds.sum(), lengths))
    runs = int(1.5 * count / mean) + 64
    which = random.choice(len(kinds), runs, p=odds / odds.sum())
    repeats = random.geometric(1 / np.array(lengths)[which])
    classes = np.resize(np.repeat(np.array(kinds, np.uint8)[which], repeats), count)
    owners = np.resize(np.repeat(random.integers(1, _PROCESSES + 1, runs), repeats), count).astype(np.uint32)
    place = min(4096, count // 8)
    for page_class, length in _KERNEL:
        length = min(length, count // 16)
        classes[place : place + length] = page_class
        place += length
    owners[classes < PageClass.PROCESS_TEXT] = 0
    return classes, owners


def _patterns(random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Some hundred pages of bytes: dense as code, sparse as tables, half empty as heaps."""
    pages = random.integers(0, 256, (240, PAGE_BYTES), np.uint8)
    pages[:80][random.random((80, PAGE_BYTES)) < 0.2] = 0
    for page in pages[80:160]:
        words = page.reshape(-1, 8)
        words[random.random(len(words)) < random.random()] = 0
        words[:, 5:] = 0
    for page in pages[160:]:
        page[random.integers(0, PAGE_BYTES) :] = 0
    return pages
