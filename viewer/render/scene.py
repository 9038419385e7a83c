"""What is drawn: guest RAM as bricks, the page table over it, and how it looks.

The scene copies from a source onto the graphics device and knows nothing of cameras or windows. Its parts are the bytes
(`viewer.render.pool`), what each page is (`viewer.render.page_table`) and what colours a page beyond its class
(`viewer.render.page_style`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import wgpu

from qemu_bridge.wire.page_map import PageMap
from qemu_bridge.wire.records import PageClass

from ..sources.heat import Pages
from ..sources.learned import LearnedPages
from ..sources.page_bytes import page_bytes
from ..sources.source import Ram
from ..view import palette
from ..view.camera import Camera
from ..view.class_masks import body_mask, visible_mask
from ..view.curve import to_xyz
from ..view.look import Look, Mode
from ..view.placement import place_boxes
from .curve_jobs import CurveJobs
from .page_style import HIGHLIGHTED, SELECTED, PageStyle
from .page_table import PageTable
from .pool import PagePool

_AGE_STEP_S = 0.5
_ROOM_ABOVE = 0.35
_SAMPLED_PAGES = 20_000
_OUTLIERS = 1.0
"""Per cent of pages at each end of an axis that a first view may leave out."""


def extent_in_pages(pages: int, order: int) -> tuple[int, int, int]:
    """The box that the first `pages` pages of the curve fill: 64 MiB in a cube of 128 MiB are a half of it."""
    # Runs of eight aligned pages are cubes, so their corners bound the box; few of them are enough.
    step = 0
    while (pages >> (3 * (step + 1))) >= 64:
        step += 1
    places = to_xyz(np.arange(-(-pages >> (3 * step)), dtype=np.uint64), max(order - step, 1))
    x, y, z = ((places.max(axis=0).astype(np.int64) + 1) << step).tolist()
    return x, y, z


def stand_side_by_side(scenes: Sequence[Scene], names: Sequence[str]) -> None:
    """Place `scenes`, those of machines of these `names`, beside each other, a page as large in each; one alone stays as it is."""
    if len(scenes) == 1:
        return
    unit = max(scene.edge for scene in scenes)
    corners = place_boxes(np.array([scene.extent for scene in scenes]) / unit)
    for scene, corner, name in zip(scenes, corners, names, strict=True):
        scene.unit, scene.origin, scene.name = unit, corner, name


def content_around(scenes: Sequence[Scene]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The box around nearly all that catches the eye; over several machines there is room for their names and for arcs."""
    low, high = box_around(scene.content_box() for scene in scenes)
    return low, high + np.array([0.0, _ROOM_ABOVE * (len(scenes) > 1), 0.0])


def box_around(
    boxes: Iterable[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The box around `boxes`, of which there is at least one."""
    lows, highs = zip(*boxes, strict=True)
    return np.min(lows, axis=0), np.max(highs, axis=0)


class Scene:
    """The buffers that the ray-marcher reads.

    Attributes:
        pool: the bytes.
        page_table: what each page is.
        page_style: what colours pages beyond their class: heat, entropy, marks and so on.
        page_order: order of the curve of pages.
        extent: pages along x, y and z of the box that RAM fills.
        look: how it looks; `set_look` changes it.
        revision: goes up whenever the picture of a resting camera would be another one.
        content_revision: goes up whenever bytes on the device or the page map change.
        page_map: the map drawn last; None before `set_page_map`.
        highlighted: what is highlighted, and how many pages of it; empty and 0 for nothing.
        unit: pages to a unit of length, in which cameras count; the edge of the cube, or of the largest beside it.
        origin: where its first corner is, in units; `stand_side_by_side` changes both.
        name: of its machine, where several stand side by side; empty for one alone.
        is_ended: whether it is drawn in grey, as its machine has ended.
        has_bytes: which pages were copied to the device so far: `bool` of shape (page_count,).
    """

    def __init__(self, device: wgpu.GPUDevice, ram_size: int, order: int | None = None) -> None:
        """Reserve buffers for `ram_size` bytes; errors as `PagePool` raises them."""
        self.device = device
        jobs = CurveJobs(device)
        self.pool = PagePool(device, ram_size, order, jobs)
        self.page_order = self.pool.page_order
        self.page_count = self.pool.page_count
        self.extent = extent_in_pages(self.page_count, self.page_order)
        self.unit, self.origin = self.edge, np.zeros(3)
        self.name, self.is_ended = "", False
        self.page_style = PageStyle(device, self.page_count)
        self.look = Look()
        self.revision = self.content_revision = 0
        self.page_map: PageMap | None = None
        self.highlighted = ("", 0)
        self.page_table = PageTable(device, self.page_count, self.page_order, jobs)
        self._stale = np.zeros(self.page_count, np.bool_)
        self.has_bytes = np.zeros(self.page_count, np.bool_)
        self._now_s = self._aged_s = 0.0

    @property
    def edge(self) -> int:
        """Pages along an edge of the Hilbert cube."""
        return 1 << self.page_order

    @property
    def relative_extent(self) -> tuple[float, float, float]:
        """The box that RAM fills, in edges of the cube."""
        x, y, z = self.extent
        return x / self.edge, y / self.edge, z / self.edge

    def to_units(self, places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Places in pages from the cube's first corner, of shape (..., 3), as cameras count them."""
        return self.origin + places / self.unit

    def box_of(self, pages: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The box around `pages`, in units."""
        places = to_xyz(pages.astype(np.uint64), self.page_order).astype(np.float64)
        return self.to_units(places.min(axis=0)), self.to_units(places.max(axis=0) + 1)

    def ram_box(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The box that RAM fills, in units."""
        return self.origin, self.to_units(np.array(self.extent, np.float64))

    def content_box(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The box around nearly all that catches the eye, in units: of a large guest most is empty.

        These are the bricks that show and are no empty glass; without any, all that show; without these, the box of RAM.
        """
        pages = np.zeros(0, np.int64)
        if self.page_map is not None:
            classes = self.page_map.entries["page_class"][: self.page_count]
            for shown in (
                [c for c in self.visible if palette.MATERIALS[c].is_body],
                self.visible - {PageClass.UNTOUCHED},
            ):
                if not len(pages):
                    pages = np.flatnonzero(np.isin(classes, [int(page_class) for page_class in shown]))
        if not len(pages):
            return self.ram_box()
        # A sample is enough, and a few pages far off do not count.
        places = to_xyz(pages[:: -(-len(pages) // _SAMPLED_PAGES)].astype(np.uint64), self.page_order).astype(
            np.float64
        )
        low = np.percentile(places, _OUTLIERS, axis=0, method="lower")
        high = np.percentile(places, 100 - _OUTLIERS, axis=0, method="higher")
        return self.to_units(low), self.to_units(high + 1)

    # --- which classes show ----------------------------------------------------------------------------------

    @property
    def visible(self) -> frozenset[PageClass]:
        """The classes that show."""
        return self.look.visible

    def toggle(self, classes: Iterable[PageClass]) -> None:
        """Show the classes that are hidden and hide those that show."""
        self.set_look(self.look.toggled(classes))

    def set_look(self, look: Look) -> bool:
        """Draw as `look` says; return whether anything changed. Only styles and masks are recomputed."""
        if look == self.look:
            return False
        self.look = look
        self.revision += 1
        self._assign_owners()
        self._update_style(self._all_pages())
        return True

    # --- RAM and page map ------------------------------------------------------------------------------------

    def update_ram(self, ram: Ram, pages: npt.NDArray[np.int64] | None = None) -> int:
        """Copy touched pages of `ram` (all, or those of `pages`) to the device; return how many they were."""
        self.content_revision += 1
        touched = np.flatnonzero(ram.resident_pages())
        wanted = (touched if pages is None else np.intersect1d(touched, pages)).astype(np.int64)
        wanted = wanted[wanted < self.page_count]
        self.has_bytes[wanted] = True
        self.page_style.mark_changed(wanted)
        return self.pool.update(ram.view, wanted) if len(wanted) else 0

    def update_pages(
        self, ram: npt.NDArray[np.uint8], pages: Pages, written: npt.NDArray[np.bool_], now_s: float
    ) -> bool:
        """Copy changed `pages` to the device and heat those that were `written`; return whether any of it shows.

        Pages not `written` are only seen for the first time. `now_s` is the clock that `advance` gets.
        """
        if not len(pages):
            return False
        self.content_revision += 1
        self.pool.update(ram, pages)
        self.has_bytes[pages] = True
        self.page_style.mark_changed(pages)
        heated = self.page_style.heat.touch(pages[written], now_s)
        self._now_s = now_s
        seen = pages[self.shows_bytes(pages)]
        self._stale[seen] = True
        return self._update_style(heated) or len(seen) > 0

    def clear_pages(self, pages: Pages) -> None:
        """Draw `pages` as zeros: they were given back to the host, so they must not be read."""
        if not len(pages):
            return
        self.content_revision += 1
        self.pool.clear(pages)
        self.page_style.mark_zero(pages)
        self._stale[pages] = True
        self._update_style(pages)

    def take_stale(self) -> Pages:
        """Pages whose bytes or style changed since the last call, ascending."""
        stale = np.flatnonzero(self._stale)
        self._stale[stale] = False
        return stale

    def set_page_map(self, page_map: PageMap) -> bool:
        """Draw pages as `page_map` says; return whether that changed anything. Only what changed is placed."""
        is_first, self.page_map = self.page_map is None, page_map
        changed = self.page_table.update(page_map)
        if not len(changed) and not is_first:
            return False
        self.content_revision += 1
        self._write_cells()
        self._update_style(self._all_pages() if self._assign_owners() else changed)
        self.revision += 1
        return True

    def _assign_owners(self) -> bool:
        if self.look.mode is not Mode.OWNER or self.page_map is None:
            return False
        return self.page_style.owner_slots.assign(*self.count_owners())

    def count_owners(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """(owner ids, pages of each) of the classes that show."""
        assert self.page_map is not None
        entries = self.page_map.entries[: self.page_count]
        shows = np.isin(entries["page_class"], [int(page_class) for page_class in self.visible])
        return np.unique(entries["owner_id"][shows], return_counts=True)

    def _write_cells(self) -> None:
        self.page_table.write_cells(self.page_style.lit_in_cell, self.page_style.marked_in_cell)

    def pages_read(self) -> npt.NDArray[np.bool_]:
        """Which pages' bytes the picture depends on in this look, wherever the camera is: `bool` of shape (page_count,)."""
        pages = self._all_pages()
        if self.look.mode is Mode.EQUAL:
            return np.ones(self.page_count, np.bool_)  # also a page that is hidden holds what another one does
        if self.look.mode is not Mode.ENTROPY:
            return self.shows_bytes(pages)
        return (np.uint32(visible_mask(self.look)) >> self.page_table.classes(pages) & np.uint32(1)).astype(np.bool_)

    def in_sight(
        self, pages: Pages, camera: Camera, aspect: float, shift: tuple[float, float] = (0.0, 0.0)
    ) -> npt.NDArray[np.bool_]:
        """Which of `pages` lie in the part of RAM that shows and in a picture of this width / height; some just beyond its edges, too."""
        places = to_xyz(pages.astype(np.uint64), self.page_order).astype(np.int64)
        low, past = self.look.box.in_pages(self.extent)
        inside = np.all((places >= low) & (places < past), axis=1)
        middles = self.to_units(places.astype(np.float64) + 0.5)
        seen: npt.NDArray[np.bool_] = inside & camera.sees(middles, math.sqrt(3) / 2 / self.unit, aspect, shift)
        return seen

    def shows_bytes(self, pages: Pages) -> npt.NDArray[np.bool_]:
        """Which of these pages are of a visible class whose bytes can be seen: empty glass shows none."""
        mask = 0 if self.page_map is None else body_mask(self.look)
        return (np.uint32(mask) >> self.page_table.classes(pages) & np.uint32(1)).astype(np.bool_)

    # --- style -----------------------------------------------------------------------------------------------

    def _all_pages(self) -> Pages:
        return np.arange(self.page_count, dtype=np.int64)

    def _update_style(self, pages: Pages) -> bool:
        mask = np.uint32(visible_mask(self.look))
        shows = (mask >> self.page_table.classes(pages) & np.uint32(1)).astype(np.bool_)
        changed = self.page_style.update(self.look, self.page_table.owners[pages], shows, pages, self._now_s)
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

    def highlight(
        self, pages: npt.NDArray[np.int64], lines: npt.NDArray[np.uint64] | None = None, title: str = ""
    ) -> None:
        """Highlight `pages` and no others: what a search found, which the legend calls `title`.

        `lines`, as many numbers, has a bit for each line of 64 bytes that holds something of it, bit 0 for the first.
        """
        before = self.page_style.marked(HIGHLIGHTED)
        self.page_style.mark(HIGHLIGHTED, pages, lines)
        self.highlighted = (title, len(pages))
        self._update_style(np.union1d(before, self.page_style.marked(HIGHLIGHTED)))
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

    def set_holders(self, counts: npt.NDArray[np.uint8]) -> None:
        """How many machines of the picture hold the content of each page, as `viewer.sources.content.count_holders` says it."""
        self.page_style.holders = counts
        self._update_style(self._all_pages())

    def set_learned(self, pages: LearnedPages | None) -> None:
        """Which pages hold code of learned loops; None where that is not known."""
        self.page_style.learned = pages
        self._update_style(self._all_pages())
        self.revision += 1

    def advance(self, ram: npt.NDArray[np.uint8], now_s: float) -> bool:
        """Let time pass: heat fades, ages grow, some entropy is worked out; return whether the picture changed."""
        self._now_s = now_s
        pages = self.page_style.heat.cool(now_s)
        if self.look.mode is Mode.ENTROPY:
            pages = np.union1d(pages, self.page_style.entropy.refresh(ram, page_bytes().pages_a_frame))
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
