"""What is drawn again is what changed: the whole picture, drawn again, is the oracle."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.memory.addresses import PAGE_SHIFT
from viewer.picture.offscreen import choose_camera, load_scene
from viewer.render.raymarch import Renderer
from viewer.render.readback import RGBA, read_texture
from viewer.view.camera import Camera
from viewer.view.curve import to_xyz
from viewer.view.tiles import TILE, Tiles

SIZE = (500, 300)
SHIFT = (0.17, -0.08)


def shown(renderer):
    target = renderer._texture(SIZE, "rgba8unorm")
    renderer.present(target.create_view(), SIZE)
    return read_texture(renderer.device, target, RGBA)[..., :3].astype(np.int16)


def places_of(scene, pages):
    return to_xyz(pages.astype(np.uint64), scene.page_order).astype(np.float64) / scene.edge


def marked(scene, pages, camera, passes=1):
    tiles = Tiles()
    tiles.clear(SIZE)
    tiles.mark(places_of(scene, pages), 1 / scene.edge, camera, SHIFT, passes)
    return tiles


def mask_of(parts):
    mask = np.zeros(SIZE[::-1], np.bool_)
    for x, y, width, height in parts:
        assert not mask[y : y + height, x : x + width].any()  # none is drawn twice
        mask[y : y + height, x : x + width] = True
    return mask


@pytest.mark.window
def test_pages_that_change_show_in_their_tiles_only_and_a_part_is_a_part_of_the_whole(device, source):
    scene = load_scene(source, device)
    renderer, other = Renderer(scene), Renderer(scene)
    home = choose_camera(renderer)
    random, solid = np.random.default_rng(3), np.flatnonzero(source.ram.touched)
    seen = 0
    for number, camera in enumerate([home, home.orbit(130, 20), home.with_distance(home.distance * 0.6)]):
        for one in (renderer, other):
            one.shift = SHIFT
            one.restart()
            one.draw_pass(camera, SIZE)
        before = shown(renderer)
        pages = np.sort(random.choice(solid, 5, replace=False)).astype(np.int64)
        source.ram.memory[pages] ^= 0xFF
        scene.take_stale()
        scene.update_pages(source.ram.view, pages, np.ones(5, np.bool_), 10.0 + number)
        scene.advance(source.ram.view, 10.0 + number)
        stale = scene.take_stale()
        assert set(pages) <= set(stale)
        parts = marked(scene, stale, camera).take()
        assert parts is not None
        inside = mask_of(parts)
        assert inside.mean() < 0.6
        renderer.draw_pass(camera, SIZE, min_weight=1 / 2)
        other.draw_pass(camera, SIZE, min_weight=1 / 2, parts=parts)
        whole, part = shown(renderer), shown(other)
        assert np.array_equal(part[inside], whole[inside])
        assert np.array_equal(part[~inside], before[~inside])
        # Other rows and columns of a pass differ by its offset, so a pass of the same number says what the change is.
        for one in (renderer, other):
            one.restart()
        renderer.draw_pass(camera, SIZE)
        changed = np.abs(shown(renderer) - before).max(axis=2) > 0
        assert not (changed & ~inside).any()
        seen += np.count_nonzero(changed)
    assert seen > 500


def test_tiles_are_drawn_as_often_as_they_want(device, source):
    scene = load_scene(source, device)
    camera = choose_camera(Renderer(scene))
    tiles = marked(scene, np.array([100]), camera, passes=3)
    parts = tiles.take()
    assert parts and mask_of(parts).any()
    assert all(x % TILE == y % TILE == 0 for x, y, _, _ in parts)
    assert tiles.take() == parts == tiles.take()
    assert tiles.is_done
    tiles.mark_all(2)
    assert tiles.take() is None
    assert not tiles.is_done
    tiles.clear(SIZE)
    assert tiles.is_done


def test_pages_behind_and_beside_the_eye_show_nowhere_and_those_around_it_everywhere(device, source):
    scene = load_scene(source, device)
    pages = np.arange(source.ram.view.nbytes >> PAGE_SHIFT)
    middle = places_of(scene, pages).mean(axis=0)
    inside = Camera(0.0, 0.0, 0.02, tuple(middle.tolist()))
    assert marked(scene, pages, inside).take() is None
    outside = Camera(0.0, 0.0, 3.0, tuple(middle.tolist()))
    assert not marked(scene, pages, outside).is_done
    assert marked(scene, pages, outside.look(180, 0)).is_done
