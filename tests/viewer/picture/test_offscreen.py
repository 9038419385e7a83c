"""Pictures without a display."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from qemu_bridge.errors import GlassBoxError, UsageError
from viewer.picture.offscreen import choose_camera, load_scene, parse_picture_size, show_view, snap, write_picture
from viewer.render.raymarch import Renderer
from viewer.view.camera import default_camera
from viewer.view.look import Look, Mode
from viewer.view.views import View


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1280",
        "0x0",
        "1280x",
        "x720",
        "-1x5",
        "15x100",
        "9000x100",
        "axb",
        "1x2x3",
        "²x100",
        "٣٢x32",
        "9" * 5000 + "x32",
    ],
)
def test_sizes_that_are_none_are_refused(text):
    with pytest.raises(UsageError, match="1280x720"):
        parse_picture_size(text)


def test_a_size_is_width_by_height():
    assert parse_picture_size("1600X1000") == (1600, 1000)


def test_snap_writes_a_picture_with_words(source, tmp_path, device):
    path = tmp_path / "picture.png"
    snap(source, path, (640, 360))
    picture = np.asarray(Image.open(path))
    assert picture.shape == (360, 640, 3)
    assert picture[:, :130].max() > 150  # the legend
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000


def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(GlassBoxError, match="-o"):
        write_picture(np.zeros((16, 16, 3), np.uint8), tmp_path / "no" / "such" / "folder.png")


def test_the_chosen_view_is_level_with_the_default_and_shows_no_less(device, source):
    scene = load_scene(source, device)
    renderer = Renderer(scene)
    camera, start = choose_camera(renderer), default_camera(scene.relative_extent)
    assert (camera.pitch, camera.distance, camera.target) == (start.pitch, start.distance, start.target)

    def classes_seen(view):
        picked = renderer.pick_pages(view, (320, 180))
        return len(np.unique(source.entries["page_class"][picked[picked >= 0]]))

    assert classes_seen(camera) >= classes_seen(start) - 1


def test_a_snap_shows_the_view_that_a_text_says(source, tmp_path, device):
    paths = [tmp_path / f"{name}.png" for name in ("plain", "entropy", "slice")]
    for path, view in zip(paths, ("", "mode=entropy", "yaw=35,slice=0:0:0:1:1:0.5,pin=0x3c000"), strict=True):
        snap(source, path, (640, 360), view)
    plain, entropy, cut = (np.asarray(Image.open(path)).astype(int) for path in paths)
    for other in (entropy, cut):
        assert (np.abs(plain - other)[:, 250:].max(axis=-1) > 40).mean() > 0.02


def test_the_entropy_of_a_snap_is_all_worked_out(source, device):
    scene = load_scene(source, device)
    show_view(scene, source.ram, View(default_camera(), look=Look(mode=Mode.ENTROPY)))
    random = np.flatnonzero(source.ram.memory.any(axis=1))
    assert scene.is_settled
    assert (scene.page_style.entropy.values[random] > 150).all()


@pytest.mark.parametrize("view", ["mode=gaudy", "yaw=up", "pin=0x200000", "slice=1:2"])
def test_a_wrong_view_is_one_sentence(source, tmp_path, device, view):
    with pytest.raises(UsageError, match=r"[;,] "):
        snap(source, tmp_path / "x.png", (64, 64), view)
    assert not (tmp_path / "x.png").exists()


def test_one_picture_of_writes_says_that_it_shows_none(source, tmp_path, device, caplog):
    snap(source, tmp_path / "x.png", (64, 64), "mode=writes")
    assert "record a video" in caplog.text
