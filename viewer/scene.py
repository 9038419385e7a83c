"""What is drawn: guest RAM as bricks, the page table over it, and which classes show.

A *source* is anything that has RAM and a page map: a running machine, a capture, or made-up memory in a
test. The scene copies from it onto the graphics device and knows nothing of cameras or windows.

The page table holds a word per page in x, y, z order: class in bits 0-4, the page map's flags in 5-7,
the owner's shade in 8-15, the owner's id (its low 16 bits) in 16-31. The cell table above it holds a word
per 4^3 pages: which classes are in it, one bit each, so showing or hiding a class rebuilds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import wgpu

from qemu_bridge.errors import GuestError
from qemu_bridge.page_map import ENTRY, PageMap
from qemu_bridge.protocol import PageClass

from . import palette
from .curve import to_xyz
from .grid import CurveJobs
from .pool import PagePool


class Ram(Protocol):
    """Guest RAM as the viewer needs it; `qemu_bridge.ram.GuestRam` is one."""

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


def pack_entries(page_map: PageMap, count: int) -> npt.NDArray[np.uint32]:
    """Page-table words in file order: `uint32` of shape (count,), UNTOUCHED where the map is shorter."""
    words = np.zeros(count, np.uint32)
    entries = page_map.entries[:count]
    owner = entries["owner_id"].astype(np.uint32)
    known = np.minimum(entries["page_class"], palette.CLASS_SLOTS - 1).astype(np.uint32)
    flags = (entries["flags"].astype(np.uint32) & np.uint32(7)) << np.uint32(5)
    shade = palette.owner_shade(owner) << np.uint32(8)
    words[: len(entries)] = known | flags | shade | (owner & np.uint32(0xFFFF)) << np.uint32(16)
    return words


def extent_in_pages(pages: int, order: int) -> tuple[int, int, int]:
    """The box that the first `pages` pages of the curve fill: 64 MiB in a cube of 128 MiB are a half of it."""
    # Runs of eight aligned pages are cubes, so their corners bound the box; few of them are enough.
    step = 0
    while (pages >> (3 * (step + 1))) >= 64:
        step += 1
    places = to_xyz(np.arange(-(-pages >> (3 * step)), dtype=np.uint64), max(order - step, 1))
    x, y, z = ((places.max(axis=0).astype(np.int64) + 1) << step).tolist()
    return x, y, z


class Scene:
    """The buffers that the ray-marcher reads.

    Attributes:
        pool: the bytes.
        page_order: order of the curve of pages.
        extent: pages along x, y and z of the box that RAM fills.
        visible: the classes that show.
        page_map: the map drawn last; None before `set_page_map`.
    """

    def __init__(self, device: wgpu.GPUDevice, ram_size: int, order: int | None = None) -> None:
        """Reserve buffers for `ram_size` bytes; errors as `PagePool` raises them."""
        self.device = device
        self._jobs = CurveJobs(device)
        self.pool = PagePool(device, ram_size, order, self._jobs)
        self.page_order = self.pool.page_order
        self.page_count = self.pool.page_count
        self.extent = extent_in_pages(self.page_count, self.page_order)
        self.visible: set[PageClass] = set(PageClass) - {PageClass.UNTOUCHED}
        self.page_map: PageMap | None = None
        usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.COPY_SRC
        table_bytes = 4 << (3 * self.page_order)
        self.page_table = device.create_buffer(size=table_bytes, usage=usage)
        self.cell_table = device.create_buffer(size=max(table_bytes >> 6, 16), usage=usage)
        self._linear = device.create_buffer(size=-(-4 * self.page_count // 16) * 16, usage=usage)
        unused = device.create_buffer(size=16, usage=usage)
        self._place_pages = self._jobs.bind(self._linear, unused, self.page_table)
        self._place_cells = self._jobs.bind(self._linear, unused, self.cell_table)
        self._words: npt.NDArray[np.uint32] | None = None

    @property
    def edge(self) -> int:
        """Pages along an edge of the Hilbert cube."""
        return 1 << self.page_order

    @property
    def relative_extent(self) -> tuple[float, float, float]:
        """The box that RAM fills, in edges of the cube."""
        x, y, z = self.extent
        return x / self.edge, y / self.edge, z / self.edge

    @property
    def visible_mask(self) -> int:
        """One bit per class that shows."""
        return sum(1 << page_class for page_class in self.visible)

    @property
    def body_mask(self) -> int:
        """One bit per class that shows and is no empty glass: what can be picked."""
        return sum(1 << page_class for page_class in self.visible if palette.MATERIALS[page_class].is_body)

    @property
    def solid_mask(self) -> int:
        """One bit per class that shows and is solid: what casts shadows."""
        return sum(1 << page_class for page_class in self.visible if palette.MATERIALS[page_class].hull == 1)

    def update_ram(self, ram: Ram, pages: npt.NDArray[np.int64] | None = None) -> int:
        """Copy touched pages of `ram` (all, or those of `pages`) to the device; return how many they were."""
        touched = np.flatnonzero(ram.resident_pages())
        wanted = touched if pages is None else np.intersect1d(touched, pages)
        return self.pool.update(ram.view, wanted.astype(np.int64)) if len(wanted) else 0

    def set_page_map(self, page_map: PageMap) -> bool:
        """Draw pages as `page_map` says; return whether that changed anything."""
        self.page_map = page_map
        words = pack_entries(page_map, self.page_count)
        if self._words is not None and np.array_equal(words, self._words):
            return False
        self._words = words
        self.device.queue.write_buffer(self._linear, 0, words)
        job = (self.page_order, 0, 0, self.page_count)
        self._jobs.run("place_pages", self._place_pages, job, -(-self.page_count // 64))
        self._jobs.run("place_cells", self._place_cells, job, -(-self.page_count // 4096))
        return True

    def show_bytes(self, pages: npt.NDArray[np.int64]) -> bool:
        """Whether any of these pages is of a visible class whose bytes can be seen: empty glass shows none."""
        if self._words is None or not len(pages):
            return False
        bodies = [c for c in self.visible if palette.MATERIALS[c].is_body]
        return bool(np.isin(self._words[pages] & np.uint32(31), bodies).any())

    def toggle(self, classes: Iterable[PageClass]) -> None:
        """Show the classes that are hidden and hide those that show."""
        self.visible ^= set(classes)
