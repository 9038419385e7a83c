"""Picking: the page and the byte of a pixel are those that a march on the CPU finds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qemu_bridge.wire.records import PageClass
from viewer.picture.offscreen import load_scene
from viewer.render.raymarch import Renderer
from viewer.render.scene import Scene
from viewer.view.camera import FIELD_OF_VIEW, Camera
from viewer.view.curve import to_index, voxelise
from viewer.view.grid_order import MAX_COARSENING, MIN_ORDER
from viewer.view.look import Layer, Look, Slice, Transfer
from viewer.view.palette import MATERIALS

SIZE = (48, 36)
LOOK_THROUGH = 0.5


HALF = Slice((0.25, 0, 0), (1, 0.5, 0.75))
LOOKS = [
    Look(box=HALF),
    Look().with_layer([PageClass.KERNEL_TEXT, PageClass.PROCESS_HEAP], Layer.HIDDEN),
    Look().with_layer([PageClass.KERNEL_RODATA, PageClass.PROCESS_FILE], Layer.DIMMED),
    Look(isolated=frozenset({PageClass.PAGE_TABLE, PageClass.PROCESS_STACK}), box=HALF),
    Look(transfer=Transfer(40, 200)),
]


class Reference:
    """Every voxel in turn (J. Amanatides and A. Woo, "A Fast Voxel Traversal Algorithm", Eurographics 1987), in float64."""

    def __init__(self, source, order, look=None, extent=None):
        look = look or Look()
        kinds = np.zeros(256, np.uint8)
        for page_class, material in MATERIALS.items():
            if page_class in look.dimmed or page_class not in look.visible:
                continue
            kinds[page_class] = 2 if material.surface_opacity == 1 else 1 if material.bytes_inside > 0 else 0
        self.order, self.side = order, 1 << order
        self.kind = voxelise(np.repeat(kinds[source.entries["page_class"]], 4096), order)
        value = voxelise(source.ram.view, order)
        self.value = np.where((value >= look.transfer.low) & (value <= look.transfer.high), value, 0)
        first, past = look.box.in_pages(extent or (self.side >> 4,) * 3)
        self.low, self.high = 16 * np.array(first), 16 * np.array(past)

    def march(self, origins, directions, pixel):
        """Byte that each ray shows, -1 for none. Places in voxels; `pixel` is the height of one at distance 1."""
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = (self.low - origins) / directions, (self.high - origins) / directions
        near = np.maximum(np.minimum(a, b).max(axis=1), 0)
        far = np.maximum(a, b).min(axis=1)
        found = np.full((len(origins), 3), -1)
        fallback = found.copy()
        page, entry, entry_t = found - 1, found.copy(), near.copy()
        at = np.clip(np.floor(origins + directions * near[:, None]).astype(int), self.low, self.high - 1)
        t, step, live = near.copy(), np.sign(directions).astype(int), near < far
        while live.any():
            inside = live & ((at >= self.low) & (at < self.high)).all(axis=1)
            here = np.where(inside[:, None], at >> 4, -9)
            is_new = live & (here != page).any(axis=1)
            # A page of glass was left in which no byte was met: from afar it shows all the same.
            kind_before = self.kind[tuple(np.clip(entry, 0, self.side - 1).T[::-1])]
            passed = is_new & (entry[:, 0] >= 0) & (kind_before == 1)
            solid_looking = passed & (entry_t * pixel > LOOK_THROUGH)
            found[solid_looking] = entry[solid_looking]
            first = passed & (fallback[:, 0] < 0)
            fallback[first] = entry[first]
            live &= inside & ~solid_looking
            page[is_new], entry[is_new], entry_t[is_new] = here[is_new], at[is_new], t[is_new]
            kind, value = (grid[tuple(np.clip(at, 0, self.side - 1).T[::-1])] for grid in (self.kind, self.value))
            hit = live & ((kind == 2) | ((kind == 1) & (value > 0)))
            found[hit] = at[hit]
            live &= ~hit
            with np.errstate(divide="ignore", invalid="ignore"):
                exits = (at + (step > 0) - origins) / directions
            axis = exits.argmin(axis=1)
            rows = np.arange(len(at))
            t = np.where(live, np.maximum(exits[rows, axis], t), t)
            at[rows[live], axis[live]] += step[rows[live], axis[live]]
        found = np.where(found[:, :1] < 0, fallback, found)
        return np.where(found[:, 0] < 0, -1, to_index(np.clip(found, 0, None), self.order).astype(np.int64))


def rays(camera, side):
    """(origins, directions, height of a pixel at distance 1) of the pixels of a picture of `SIZE`."""
    right, up, forward = camera.axes()
    tangent = math.tan(math.radians(FIELD_OF_VIEW / 2))
    width, height = SIZE
    v, u = np.mgrid[0:height, 0:width] + 0.5
    across, upward = (2 * u / width - 1) * tangent * width / height, (1 - 2 * v / height) * tangent
    directions = forward + across[..., None] * right + upward[..., None] * up
    directions = directions.reshape(-1, 3) / np.linalg.norm(directions.reshape(-1, 3), axis=1)[:, None]
    return np.broadcast_to(camera.eye() * side, directions.shape).copy(), directions, 2 * tangent / height


CAMERAS = [
    Camera(),
    Camera(215, -20, 2.4),
    Camera(125, 30, 0.5, (0.7, 0.6, 0.4)),
    Camera(-40, 12, 0.12, (0.3, 0.3, 0.6)),
    Camera(10, 70, 0.02, (0.5, 0.5, 0.5)),
    Camera(77, 3, 0.3, (0.2, 0.8, 0.3)),
    Camera(300, -60, 0.08, (0.6, 0.2, 0.9)),
]


@pytest.mark.parametrize("camera", CAMERAS)
def test_pixels_show_the_byte_that_a_march_on_the_cpu_finds(device, source, camera):
    check(device, source, camera, Look())


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("camera", CAMERAS[:3])
def test_what_a_look_hides_cannot_be_picked(device, source, camera, look):
    check(device, source, camera, look)


def check(device, source, camera, look):
    # Mostly empty glass, so that rays pass through bricks.
    glass = np.isin(source.entries["page_class"], [c for c, m in MATERIALS.items() if m.bytes_inside])
    source.ram.memory[glass] *= np.random.default_rng(3).random(source.ram.memory[glass].shape) < 0.04
    scene = load_scene(source, device)
    scene.set_look(look)
    picks = Renderer(scene).pick(camera, SIZE)
    shown = np.where(picks.pages < 0, -1, picks.pages * 4096 + picks.offsets).reshape(-1)
    reference = Reference(source, scene.pool.order, look, scene.extent)
    origins, directions, pixel = rays(camera, scene.pool.side)
    is_right = shown == reference.march(origins, directions, pixel)
    assert is_right.mean() > 0.98
    # The others pass an edge nearer than single precision can tell: a ray beside them finds what they show.
    beside = np.random.default_rng(4)
    for _ in range(40):
        wrong = np.flatnonzero(~is_right)
        if not len(wrong):
            break
        moved = origins[wrong] + beside.normal(0, 2e-3, (len(wrong), 3))
        is_right[wrong] = shown[wrong] == reference.march(moved, directions[wrong], pixel)
    assert is_right.all(), np.flatnonzero(~is_right)


def test_a_region_is_a_part_of_the_whole(device, source):
    renderer = Renderer(load_scene(source, device))
    whole = renderer.pick(Camera(), (320, 180))
    part = renderer.pick(Camera(), (320, 180), (150, 80), (20, 5))
    for name in ("pages", "offsets", "distances"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[80:85, 150:170])
    assert (part.pages >= 0).any()


def test_coarse_voxels_are_named_by_their_first_byte(device, source):
    scene = load_scene(source, device, 6)
    picks = Renderer(scene).pick(Camera(), (160, 90))
    hit = picks.pages >= 0
    assert hit.any()
    assert (picks.offsets[hit] % 8 == 0).all()
    assert PageClass.UNTOUCHED not in source.entries["page_class"][picks.pages[hit]]


@pytest.mark.parametrize("coarsening", range(MAX_COARSENING + 1))
def test_shaders_compile_for_every_coarsening(device, coarsening):
    scene = Scene(device, 1 << 3 * MIN_ORDER + 3 * coarsening, MIN_ORDER)
    assert scene.pool.coarsening == coarsening
    assert (Renderer(scene).pick(Camera(), (16, 9)).pages < scene.page_count).all()
