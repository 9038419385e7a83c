"""The ray-marcher: what a pixel shows, and that pictures are what they were."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.wire.records import PageClass
from viewer.picture.offscreen import load_scene, render_scene
from viewer.render.raymarch import Renderer
from viewer.view.camera import Camera, default_camera
from viewer.view.curve import to_xyz
from viewer.view.look import Look, Mode, Slice, Transfer
from viewer.view.palette import MATERIALS

SIZE = (320, 180)


@pytest.fixture
def scene(device, source):
    return load_scene(source, device)


def nearest_on_the_way(scene, source, origin, direction):
    """The first page that is no empty glass on a ray, by testing every page's box: (page, margin to the next)."""
    bodies = [c for c in scene.visible if MATERIALS[c].is_body]
    pages = np.flatnonzero(np.isin(source.entries["page_class"], bodies))
    low = to_xyz(pages, scene.page_order).astype(float)
    with np.errstate(divide="ignore"):
        a, b = (low - origin) / direction, (low + 1 - origin) / direction
    near, far = np.minimum(a, b).max(axis=1), np.maximum(a, b).min(axis=1)
    through = far - np.maximum(near, 0)
    if (np.abs(through) < 2e-3).any():
        return None  # grazes an edge: either answer is right
    hits = through > 0
    return int(pages[hits][np.argmin(near[hits])]) if hits.any() else -1


def test_each_pixel_shows_the_page_that_its_ray_meets_first(scene, source):
    camera = default_camera()
    picked = Renderer(scene).pick_pages(camera, (64, 36))
    right, up, forward = camera.axes()
    tangent = np.tan(np.radians(15))
    checked = 0
    for row in range(36):
        for column in range(64):
            u, v = (column + 0.5) / 32 - 1, 1 - (row + 0.5) / 18
            direction = forward + right * u * tangent * 64 / 36 + up * v * tangent
            expected = nearest_on_the_way(
                scene, source, camera.eye() * scene.edge, direction / np.linalg.norm(direction)
            )
            if expected is not None:
                assert picked[row, column] == expected, (row, column)
                checked += 1
    assert checked > 2000


def test_hidden_classes_do_not_show(scene, source):
    renderer = Renderer(scene)
    shown = renderer.pick_pages(default_camera(), SIZE)
    assert PageClass.KERNEL_TEXT in source.entries["page_class"][shown[shown >= 0]]
    scene.toggle([PageClass.KERNEL_TEXT])
    shown = renderer.pick_pages(default_camera(), SIZE)
    assert PageClass.KERNEL_TEXT not in source.entries["page_class"][shown[shown >= 0]]
    scene.toggle(set(scene.visible))
    assert (renderer.pick_pages(default_camera(), SIZE) == -1).all()


@pytest.mark.parametrize(
    ("name", "camera"),
    [
        ("overview", default_camera()),
        ("behind", Camera(yaw=215, pitch=-20)),
        ("near", Camera(125, 30, 1.3, (0.7, 0.6, 0.4))),
    ],
)
def test_pictures_are_what_they_were(scene, is_software, pictures, name, camera):
    if not is_software:
        pytest.skip("references are of Mesa's software driver; set GLASSBOX_ADAPTER=llvmpipe")
    pictures.check(render_scene(scene, SIZE, camera=camera, passes=8, with_words=False), name)


def written(scene):
    pages = np.arange(60, 120)
    scene.page_style.heat.touch(pages[::2], 0.0)
    scene.page_style.heat.touch(pages[::8], 0.0)
    scene.page_style.heat.touch(pages[::8], 0.0)
    scene.select(np.arange(340, 356))
    scene.highlight(np.array([150, 151, 200]), np.array([1, 2**63, 2**64 - 1], np.uint64))
    scene.set_difference((np.arange(scene.page_count) % 9 == 0).astype(np.uint8))


LOOKS = {
    "owners": Look(mode=Mode.OWNER, owner_edges=True),
    "bytes": Look(mode=Mode.BYTES, palette="red-green", transfer=Transfer(100, 200, 0.5)),
    "entropy": Look(mode=Mode.ENTROPY, palette="blue-yellow"),
    "writes": Look(mode=Mode.WRITES),
    "difference": Look(mode=Mode.DIFFERENCE),
    "marks": Look(),
    "slice": Look(box=Slice((0, 0, 0.4), (1, 0.6, 1)), shading=False),
    "layers": Look(dimmed=frozenset({PageClass.KERNEL_TEXT}), hidden=frozenset({PageClass.UNTOUCHED, PageClass.ZERO})),
}


@pytest.mark.parametrize("name", LOOKS)
def test_looks_are_what_they_were(scene, source, is_software, pictures, name):
    if not is_software:
        pytest.skip("references are of Mesa's software driver; set GLASSBOX_ADAPTER=llvmpipe")
    written(scene)
    scene.set_look(LOOKS[name])
    while not scene.is_settled and name == "entropy":
        scene.advance(source.ram.view, 0.0 if scene.page_style.entropy.is_stale else 100.0)
    scene.set_look(LOOKS[name])
    scene.advance(source.ram.view, 0.0)
    pictures.check(render_scene(scene, SIZE, camera=default_camera(), passes=8, with_words=False), f"look-{name}")


def test_a_look_changed_back_gives_the_same_picture(scene):
    first = render_scene(scene, (160, 90), camera=default_camera(), passes=2)
    for look in LOOKS.values():
        scene.set_look(look)
        assert not np.array_equal(render_scene(scene, (160, 90), camera=default_camera(), passes=2), first) or (
            look == Look()
        )
    scene.set_look(Look())
    assert np.array_equal(render_scene(scene, (160, 90), camera=default_camera(), passes=2), first)


def test_the_same_scene_gives_the_same_picture(scene):
    first = render_scene(scene, (160, 90), passes=3)
    assert np.array_equal(first, render_scene(scene, (160, 90), passes=3))


def test_a_changed_byte_changes_the_picture(scene, source, pictures):
    camera = Camera(35, 24, 1.2)
    before = render_scene(scene, SIZE, camera=camera, passes=2, with_words=False)
    kernel = np.flatnonzero(source.entries["page_class"] == PageClass.KERNEL_TEXT)
    source.ram.memory[kernel] = 0
    scene.update_ram(source.ram, kernel)
    after = render_scene(scene, SIZE, camera=camera, passes=2, with_words=False)
    assert pictures.rmse(before, after) > 0.005


@pytest.mark.parametrize(
    "camera",
    [Camera(target=(0.5, 0.5, 0.5), distance=0.02), Camera(pitch=89), Camera(yaw=0, pitch=0), Camera(distance=20)],
)
def test_no_view_is_black_or_broken(scene, camera):
    picture = render_scene(scene, (160, 90), camera=camera, passes=1, with_words=False)
    assert picture.max() > 20


def test_passes_average(scene):
    renderer = Renderer(scene)
    renderer.draw_pass(default_camera(), (64, 48))
    renderer.draw_pass(default_camera(), (64, 48))
    assert renderer.passes == 2
    renderer.restart()
    assert renderer.passes == 0
