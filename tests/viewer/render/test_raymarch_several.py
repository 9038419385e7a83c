"""Several scenes in one picture: each as it is alone, the nearer one over the farther one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from synthetic import SyntheticSource

from viewer.picture.offscreen import load_scene, render_scene
from viewer.render.raymarch import Renderer
from viewer.render.scene import stand_side_by_side
from viewer.view.camera import Camera
from viewer.view.look import Look, Mode
from viewer.view.tiles import TILE

SIZE = (320, 180)


@pytest.fixture(scope="module")
def pair(device):
    scenes = [load_scene(SyntheticSource(), device) for _ in range(2)]
    stand_side_by_side(scenes, ["one", "other"])
    return scenes


@pytest.fixture(scope="module")
def alone(device):
    return load_scene(SyntheticSource(), device)


def seen_from(camera, scene):
    """The camera that sees a scene alone as `camera` sees it where it stands."""
    return replace(camera, target=tuple((np.array(camera.target) - scene.origin).tolist()))


CAMERAS = [
    Camera(yaw=18, pitch=20, distance=6, target=(1.1, 0.5, 0.5)),
    Camera(yaw=80, pitch=10, distance=5, target=(1.1, 0.5, 0.5)),
    Camera(yaw=-88, pitch=4, distance=5, target=(1.1, 0.5, 0.5)),
    Camera(yaw=75, pitch=0, distance=0.6, target=(0.4, 0.5, 0.5)),  # from inside the first one
]


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_pixel_shows_the_nearer_of_what_each_machine_alone_would_show(pair, alone, camera):
    picks = Renderer(*pair).pick(camera, SIZE)
    singles = [Renderer(alone).pick(seen_from(camera, scene), SIZE) for scene in pair]
    far = np.stack([np.where(one.pages >= 0, one.distances, np.inf) for one in singles])
    nearest = far.argmin(axis=0)
    pages = np.take_along_axis(np.stack([one.pages for one in singles]), nearest[None], 0)[0]
    is_shown = np.isfinite(far.min(axis=0))
    assert is_shown.mean() > 0.05 and np.array_equal(picks.pages >= 0, is_shown)
    # Rounding may move a ray that runs along an edge to the neighbour.
    assert (picks.pages == pages)[is_shown].mean() > 0.99
    assert (picks.scenes == nearest)[is_shown].mean() > 0.999
    assert np.allclose(picks.distances[is_shown], far.min(axis=0)[is_shown], atol=0.02)
    assert (picks.pages_of(1) >= 0).sum() == (picks.scenes == 1)[is_shown].sum()


def test_where_only_one_of_them_is_the_picture_is_that_of_it_alone(pair, alone, pictures):
    camera = CAMERAS[0]
    together = render_scene(pair[0], SIZE, camera=camera, passes=8, with_words=False, others=pair[1:])
    one = render_scene(alone, SIZE, camera=camera, passes=8, with_words=False)
    other = render_scene(alone, SIZE, camera=seen_from(camera, pair[1]), passes=8, with_words=False)
    shown = Renderer(*pair).pick(camera, SIZE)
    for number, picture in enumerate((one, other)):
        mask = shown.pages_of(number) >= 0
        assert pictures.rmse(together[mask], picture[mask]) < 0.03
    nothing = shown.pages < 0
    assert pictures.rmse(together[nothing], np.maximum(one, other)[nothing]) < 0.03


def test_the_nearer_machine_is_painted_over_the_farther_one(pair, alone, pictures):
    camera = CAMERAS[1]  # along the row
    together = render_scene(pair[0], SIZE, camera=camera, passes=8, with_words=False, others=pair[1:])
    in_front = render_scene(alone, SIZE, camera=seen_from(camera, pair[1]), passes=8, with_words=False)
    mask = Renderer(*pair).pick(camera, SIZE).pages_of(1) >= 0
    assert mask.mean() > 0.03 and pictures.rmse(together[mask], in_front[mask]) < 0.04


def test_parts_of_a_picture_are_those_of_the_whole(pair):
    renderer = Renderer(*pair)
    camera, part = CAMERAS[0], (4 * TILE, 2 * TILE, 2 * TILE, TILE)
    for _ in range(2):
        renderer.draw_pass(camera, SIZE)
    before = read(renderer)
    for scene in pair:
        scene.set_look(Look(mode=Mode.OWNER))
    renderer.draw_pass(camera, SIZE, min_weight=1.0, parts=[part])
    after = read(renderer)
    for scene in pair:
        scene.set_look(Look())
    x, y, width, height = part
    changed = (before != after).any(axis=-1)
    assert changed[y : y + height, x : x + width].any()
    changed[y : y + height, x : x + width] = False
    assert not changed.any()


def read(renderer):
    from viewer.render.readback import read_texture

    return read_texture(renderer.device, renderer._picture, np.dtype(("<u2", 4)))


def test_a_machine_that_ended_is_grey_and_the_others_keep_their_colours(pair):
    camera = CAMERAS[0]
    pair[1].is_ended = True
    try:
        picture = render_scene(pair[0], SIZE, camera=camera, passes=4, with_words=False, others=pair[1:]).astype(int)
    finally:
        pair[1].is_ended = False
    shown = Renderer(*pair).pick(camera, SIZE)
    spread = picture.max(axis=2) - picture.min(axis=2)
    assert np.median(spread[shown.pages_of(1) >= 0]) < 12 < 40 < np.median(spread[shown.pages_of(0) >= 0])
