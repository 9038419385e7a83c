"""What is drawn: guest RAM as bricks, the page table over it, and how it looks.

A *source* is anything that has RAM and a page map: a running machine, a capture, or made-up memory in a
test. The scene copies from it onto the graphics device and knows nothing of cameras or windows.

The page table holds a word per page in x, y, z order: class in bits 0-4, the page map's flags in 5-7,
the owner's shade in 8-15, the owner's id (its low 16 bits) in 16-31. The cell table above it holds a word
per 4^3 pages: which classes are in it, one bit each, so showing or hiding a class rebuilds nothing; bits 30 and
31 say that it has marked or lit pages. What else colours a page stands in its ink (`viewer.render.page_style`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import wgpu

from qemu_bridge.wire.page_map import ENTRY, PageMap
from qemu_bridge.wire.records import PageClass

from ..sources.heat import Pages
from ..sources.source import Ram
from ..view import palette
from ..view.curve import to_xyz
from ..view.labels import Label, Region, find_regions, place_labels
from ..view.look import Look, Mode
from .curve_jobs import CurveJobs
from .page_style import FOUND, SELECTED, PageStyle
from .pool import PagePool

if TYPE_CHECKING:
    from ..view.camera import Camera

_LIT_CELL, _MARKED_CELL = np.uint32(1 << 31), np.uint32(1 << 30)
_DRAWN = np.frombuffer(np.array((255, 255, 0, 0xFFFFFFFF), ENTRY).tobytes(), np.uint64)[0]
"""What of a page map's entry, as one number, is drawn: all but its heat."""
_AGE_STEP_S = 0.5
ENTROPY_PAGES = 512
"""Pages whose entropy is worked out in one `Scene.advance`: a few milliseconds."""


def pack_entries(page_map: PageMap, count: int) -> npt.NDArray[np.uint32]:
    """Page-table words in file order: `uint32` of shape (count,), UNTOUCHED where the map is shorter."""
    words = _pack(np.zeros(count, ENTRY))
    entries = page_map.entries[:count]
    words[: len(entries)] = _pack(entries)
    return words


def _pack(entries: npt.NDArray[np.void]) -> npt.NDArray[np.uint32]:
    owner = entries["owner_id"].astype(np.uint32)
    known = np.minimum(entries["page_class"], palette.LAST_CLASS).astype(np.uint32)
    flags = (entries["flags"].astype(np.uint32) & np.uint32(7)) << np.uint32(5)
    shade = palette.owner_shade(owner) << np.uint32(8)
    return np.asarray(known | flags | shade | (owner & np.uint32(0xFFFF)) << np.uint32(16), np.uint32)


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
        ink: what colours pages beyond their class: heat, entropy, marks and so on.
        page_order: order of the curve of pages.
        extent: pages along x, y and z of the box that RAM fills.
        look: how it looks; `set_look` changes it.
        revision: goes up whenever the picture of a resting camera would be another one.
        content_revision: goes up whenever bytes on the device or the page map change.
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
        self.page_style = PageStyle(device, self.page_count)
        self.look = Look()
        self.revision = self.content_revision = 0
        self.page_map: PageMap | None = None
        self._build_tables()
        self._words = _pack(np.zeros(self.page_count, ENTRY))
        self._owners = np.zeros(self.page_count, np.uint32)
        self._entries = np.zeros(self.page_count, np.uint64)
        self._stale = np.zeros(self.page_count, np.bool_)
        self._regions: list[Region] | None = None
        self._now_s = self._aged_s = 0.0

    def _build_tables(self) -> None:
        usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.COPY_SRC
        table_bytes = 4 << (3 * self.page_order)
        self.page_table = self.device.create_buffer(size=table_bytes, usage=usage)
        self.cell_table = self.device.create_buffer(size=max(table_bytes >> 6, 16), usage=usage)
        size = -(-4 * self.page_count // 16) * 16
        self._linear = self.device.create_buffer(size=size, usage=usage)
        self._changed = self.device.create_buffer(size=size, usage=usage)
        self._place_pages = self._jobs.bind(self._linear, self._changed, self.page_table)
        cells, order = -(-self.page_count // 64), self.page_order - 2
        # The smallest cube is a single cell.
        x, y, z = to_xyz(np.arange(cells), order).astype(np.int64).T if order else np.zeros((3, cells), np.int64)
        self._cell_places = x | (y | z << order) << order
        self._cell_classes = np.zeros(cells, np.uint32)
        self._cells = np.zeros(max(1 << 3 * order, 4), np.uint32)

    @property
    def edge(self) -> int:
        """Pages along an edge of the Hilbert cube."""
        return 1 << self.page_order

    @property
    def relative_extent(self) -> tuple[float, float, float]:
        """The box that RAM fills, in edges of the cube."""
        x, y, z = self.extent
        return x / self.edge, y / self.edge, z / self.edge

    # --- which classes show ----------------------------------------------------------------------------------

    @property
    def visible(self) -> frozenset[PageClass]:
        """The classes that show."""
        return self.look.visible

    @property
    def visible_mask(self) -> int:
        """One bit per class that shows."""
        return sum(1 << page_class for page_class in self.visible)

    @property
    def body_mask(self) -> int:
        """One bit per class that shows and is no empty glass, and the bit of lit pages: what can be picked."""
        return int(_LIT_CELL) | sum(1 << c for c in self._bright if palette.MATERIALS[c].is_body)

    @property
    def solid_mask(self) -> int:
        """One bit per class that shows and is solid: what casts shadows."""
        return sum(1 << c for c in self._bright if palette.MATERIALS[c].hull == 1)

    @property
    def _bright(self) -> frozenset[PageClass]:
        return frozenset() if self.look.mode.is_activity else self.visible - self.look.dimmed

    def toggle(self, classes: Iterable[PageClass]) -> None:
        """Show the classes that are hidden and hide those that show."""
        self.set_look(self.look.toggled(classes))

    def set_look(self, look: Look) -> bool:
        """Draw as `look` says; return whether that is anything new. Only words and masks are made anew."""
        if look == self.look:
            return False
        self.look = look
        self.revision += 1
        self._update_style(self._all_pages())
        return True

    # --- RAM and page map ------------------------------------------------------------------------------------

    def update_ram(self, ram: Ram, pages: npt.NDArray[np.int64] | None = None) -> int:
        """Copy touched pages of `ram` (all, or those of `pages`) to the device; return how many they were."""
        self.content_revision += 1
        touched = np.flatnonzero(ram.resident_pages())
        wanted = (touched if pages is None else np.intersect1d(touched, pages)).astype(np.int64)
        self.page_style.entropy.mark(wanted[wanted < self.page_count])
        return self.pool.update(ram.view, wanted) if len(wanted) else 0

    def update_pages(
        self, ram: npt.NDArray[np.uint8], pages: Pages, written: npt.NDArray[np.bool_], now_s: float
    ) -> bool:
        """Copy changed `pages` to the device and let those that were `written` glow; return whether any of it shows.

        Pages not `written` are only seen for the first time. `now_s` is the clock that `advance` gets.
        """
        if not len(pages):
            return False
        self.content_revision += 1
        self.pool.update(ram, pages)
        self.page_style.entropy.mark(pages)
        self.page_style.heat.touch(pages[written], now_s)
        self._now_s = now_s
        seen = pages[self.show_bytes(pages)]
        self._stale[seen] = True
        return self._update_style(pages[written]) or len(seen) > 0

    def clear_pages(self, pages: Pages) -> None:
        """Let `pages` be zeros: they were given back to the host, so they must not be read."""
        if not len(pages):
            return
        self.content_revision += 1
        self.pool.clear(pages)
        self.page_style.entropy.clear(pages)
        self._stale[pages] = True
        self._update_style(pages)

    def take_stale(self) -> Pages:
        """Pages that look otherwise than when this was last asked, ascending, as far as the page map says the same of them."""
        stale = np.flatnonzero(self._stale)
        self._stale[stale] = False
        return stale

    def set_page_map(self, page_map: PageMap) -> bool:
        """Draw pages as `page_map` says; return whether that changed anything. Only what changed is placed."""
        is_first, self.page_map = self.page_map is None, page_map
        entries = page_map.entries[: self.page_count]
        if len(entries) < self.page_count:
            entries = np.concatenate([entries, np.zeros(self.page_count - len(entries), ENTRY)])
        numbers = np.ascontiguousarray(entries).view(np.uint64) & _DRAWN
        changed = np.flatnonzero(numbers != self._entries).astype(np.int64)
        if not len(changed) and not is_first:
            return False
        self._entries, self._regions = numbers, None
        self._words[changed] = _pack(entries[changed])
        self._owners[changed] = entries["owner_id"][changed]
        self.content_revision += 1
        self._place(changed, is_first)
        self._update_style(changed)
        self.revision += 1
        return True

    def _place(self, changed: Pages, is_first: bool) -> None:
        if is_first:
            changed = self._all_pages()
        if len(changed):
            self.device.queue.write_buffer(self._linear, 0, self._words[changed])
            self.device.queue.write_buffer(self._changed, 0, changed.astype(np.uint32))
            job = (self.page_order, 0, 0, len(changed))
            self._jobs.run("scatter_pages", self._place_pages, job, -(-len(changed) // 64))
        cells = np.unique(changed >> 6)
        pages = cells[:, None] * 64 + np.arange(64)
        classes = np.uint32(1) << (self._words[np.minimum(pages, self.page_count - 1)] & np.uint32(31))
        self._cell_classes[cells] = np.bitwise_or.reduce(classes, axis=1)
        self._write_cells()

    def _write_cells(self) -> None:
        words = self._cell_classes.copy()
        words[self.page_style.lit_in_cell > 0] |= _LIT_CELL
        words[self.page_style.marked_in_cell > 0] |= _MARKED_CELL
        if not np.array_equal(self._cells[self._cell_places], words):
            self._cells[self._cell_places] = words
            self.device.queue.write_buffer(self.cell_table, 0, self._cells)

    def show_bytes(self, pages: Pages) -> npt.NDArray[np.bool_]:
        """Which of these pages are of a visible class whose bytes can be seen: empty glass shows none."""
        bodies = [] if self.page_map is None else [c for c in self._bright if palette.MATERIALS[c].is_body]
        return np.isin(self._words[pages] & np.uint32(31), bodies)

    # --- ink -------------------------------------------------------------------------------------------------

    def _all_pages(self) -> Pages:
        return np.arange(self.page_count, dtype=np.int64)

    def _update_style(self, pages: Pages) -> bool:
        mask = np.uint32(self.visible_mask)
        shows = (mask >> (self._words[pages] & np.uint32(31)) & np.uint32(1)).astype(np.bool_)
        changed = self.page_style.update(self.look, self._owners[pages], shows, pages, self._now_s)
        if len(changed):
            self._stale[changed] = True
            self._write_cells()
            self.revision += 1
        return len(changed) > 0

    def select(self, pages: npt.NDArray[np.int64]) -> None:
        """Outline `pages` and no others."""
        before = self.page_style.marked(SELECTED)
        self.page_style.mark(SELECTED, pages)
        self._update_style(np.union1d(before, self.page_style.marked(SELECTED)))

    def highlight(self, pages: npt.NDArray[np.int64], lines: npt.NDArray[np.uint64] | None = None) -> None:
        """Highlight `pages` and no others: what a search found.

        `lines`, as many numbers, has a bit for each line of 64 bytes that holds something of it, bit 0 for the first.
        """
        before = self.page_style.marked(FOUND)
        self.page_style.mark(FOUND, pages, lines)
        self._update_style(np.union1d(before, self.page_style.marked(FOUND)))
        self.revision += 1

    def set_executions(self, counts: npt.NDArray[np.uint32] | None) -> None:
        """How often each page was executed, `uint32` a page; it is read at every `advance`, and may be shared memory."""
        self.page_style.executions = counts
        self._update_style(self._all_pages())

    def set_difference(self, kinds: npt.NDArray[np.uint8] | None) -> None:
        """How each page differs from another capture, as `qemu_bridge.captures.compare.compare_pages` says it; None for no comparison."""
        self.page_style.difference = kinds
        self._update_style(self._all_pages())

    def update_difference(self, pages: Pages) -> None:
        """What `set_difference` was given says something else of `pages` now."""
        self._update_style(pages)

    def advance(self, ram: npt.NDArray[np.uint8], now_s: float) -> bool:
        """Let time pass: heat fades, ages grow, some entropy is worked out; return whether the picture changed."""
        self._now_s = now_s
        pages = self.page_style.heat.cool(now_s)
        if self.look.mode is Mode.ENTROPY:
            pages = np.union1d(pages, self.page_style.entropy.refresh(ram, ENTROPY_PAGES))
        if self.look.mode in (Mode.AGE, Mode.EXECUTION) and now_s - self._aged_s >= _AGE_STEP_S:
            self._aged_s = now_s
            pages = self._all_pages()
        return self._update_style(pages)

    @property
    def is_settled(self) -> bool:
        """Whether `advance` has nothing to do: no page is hot, nothing is left to work out."""
        if self.look.mode is Mode.ENTROPY and self.page_style.entropy.is_stale:
            return False
        return not len(self.page_style.heat.hot)

    # --- for panels ------------------------------------------------------------------------------------------

    def steps(self) -> npt.NDArray[np.uint8]:
        """Colours of values 0 to 255 in the look's mode: sRGB, `uint8` of shape (256, 3); a legend can show them."""
        if self.look.mode is Mode.OWNER:
            return palette.owner_ramp(self.look.palette)
        return palette.difference_ramp() if self.look.mode is Mode.DIFFERENCE else palette.ramp(self.look.palette)

    def page_colours(self) -> npt.NDArray[np.uint8]:
        """The colour of each page as the look has it: RGBA, `uint8` of shape (page_count, 4); hidden ones are clear."""
        place = (self._words & np.uint32(31)) << np.uint32(8) | self.page_style.words & np.uint32(255)
        table = np.ascontiguousarray(self._colour_table()).view(np.uint32).reshape(-1)
        colours = table[place].view(np.uint8).reshape(-1, 4)
        hot = self.page_style.heat.hot
        glow = (self.page_style.words[hot] >> np.uint32(8) & np.uint32(255)).astype(np.float32)[:, None] / 255
        colours[hot, :3] = colours[hot, :3] * (1 - glow) + glow * np.array([255.0, 150, 50], np.float32)
        for flag, colour in ((FOUND, (255, 215, 60)), (SELECTED, (215, 245, 255))):
            colours[self.page_style.marked(flag), :3] = colour
        return colours

    def _colour_table(self) -> npt.NDArray[np.uint8]:
        # A colour for every class and value: (32, 256, 4).
        look = self.look
        table = np.zeros((32, 256, 4), np.uint8)
        table[..., 3] = 255
        for page_class in range(32):
            usual = np.array(palette.colour_of(page_class, look.palette), np.float32)
            strength = _map_strength(page_class, look)
            has_value = np.full(256, look.mode not in (Mode.CLASS, Mode.BYTES))
            if look.mode.is_activity:
                has_value[0], strength = False, 0.25 * strength
            bright = 1.0 if look.mode.is_activity else strength
            table[page_class, :, :3] = np.where(has_value[:, None], bright * self.steps(), strength * usual)
            table[page_class, :, 3] *= np.uint8(self.visible_mask >> page_class & 1)
        return table

    def regions(self) -> list[Region]:
        """The large regions of the page map (`labels.find_regions`)."""
        if self._regions is None:
            self._regions = [] if self.page_map is None else find_regions(self.page_map, self.page_order)
        return self._regions

    def labels(self, camera: Camera, size: tuple[int, int], shift: tuple[float, float] = (0.0, 0.0)) -> list[Label]:
        """Words for large regions that show, and where they stand in a picture of `size`; none where they are off.

        `shift` is the renderer's. A label says where its region is, whether or not something stands before it.
        """
        if not self.look.labels:
            return []
        shown = [region for region in self.regions() if region.page_class in self._bright]
        return place_labels(shown, camera, size, self.edge, self.look.palette, shift)


def _map_strength(page_class: int, look: Look) -> float:
    # In a flat map glass is dark rather than clear.
    material = palette.material(page_class)
    if page_class in look.dimmed:
        return 0.15
    return 1.0 if material.is_body else 0.25 + 2 * material.hull
