"""Pictures without a display."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from qemu_bridge.errors import GlassBoxError, UsageError
from viewer.camera import default_camera
from viewer.offscreen import choose_camera, load_scene, parse_picture_size, snap, write_picture
from viewer.raymarch import Renderer


@pytest.mark.parametrize("text", ["", "1280", "0x0", "1280x", "x720", "-1x5", "15x100", "9000x100", "axb", "1x2x3"])
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
