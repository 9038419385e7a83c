"""A picture depends on no other bytes than those that it is said to show; of memory elsewhere no others come."""

from __future__ import annotations

import numpy as np
import pytest
from listening import attached, own_keys, trust
from PIL import Image
from synthetic import SyntheticSource

from qemu_bridge.client import Client
from qemu_bridge.wire.picture_records import SnapOptions, VideoOptions
from viewer.picture.offscreen import load_scene, load_scenes, render_scene, work_out_entropy
from viewer.picture.shown_memory import bring
from viewer.picture.snap import snap
from viewer.picture.video import record_video
from viewer.view.camera import default_camera
from viewer.view.views import View, parse_view

SIZE = (160, 90)
NEAR = "distance=0.5,target=0.3:0.5:0.4"
VIEWS = (
    NEAR,
    f"mode=entropy,{NEAR}",
    "mode=bytes,dim=kernel-text",
    "only=process-heap+page-table",
    "slice=0:0:0:1:1:0.5",
)


class ElsewhereSource(SyntheticSource):
    """The same memory, on another host."""

    def __init__(self, ram):
        super().__init__()
        self.ram = ram
        ram.fetch_later()


@pytest.fixture
def elsewhere(source, tmp_path, monkeypatch):
    """A source whose memory comes by TCP, and how many bytes were asked for so far, one number a request."""
    (tmp_path / "image").write_bytes(source.ram.memory.tobytes())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    own_keys("read")
    with attached("elsewhere", ram=tmp_path / "image") as found, Client.connect(trust(found)) as client:
        sizes, call = [], client.call

        def note(row, arguments):
            sizes.extend([sum(size for _, size in arguments["ranges"])] if row.name == "read_memory" else [])
            return call(row, arguments)

        monkeypatch.setattr(client, "call", note)
        yield ElsewhereSource(client.ram), sizes


@pytest.mark.parametrize("text", VIEWS)
def test_a_picture_of_what_is_shown_alone_is_the_picture_of_all(source, device, text):
    view = parse_view(text, View(default_camera()))
    pictures, drawn = [], []
    for with_bytes in (True, False):
        scene = load_scene(source, device, with_bytes=with_bytes)
        scene.set_look(view.look)
        if not with_bytes:
            bring([scene], [source], view.camera, SIZE)
        work_out_entropy(scene, source.ram)
        pictures.append(render_scene(scene, SIZE, camera=view.camera, title="same", passes=2))
        drawn.append(np.count_nonzero(scene.has_bytes))
    assert np.array_equal(*pictures)
    assert drawn[1] < drawn[0] == np.count_nonzero(source.ram.touched)


def test_of_memory_elsewhere_a_picture_and_a_video_read_what_they_show(source, elsewhere, device, tmp_path):
    other, sizes = elsewhere
    (scene,) = load_scenes([source])
    bodies = np.count_nonzero(scene.pages_read() & source.ram.touched) * 4096
    snap(other, SnapOptions(str(tmp_path / "writes.png"), *SIZE, "mode=writes"))
    assert not sizes
    for text, most in ((NEAR, bodies - 4096), ("", bodies)):
        paths = [tmp_path / f"{name}.png" for name in ("here", "there")]
        for each, path in zip((source, other), paths, strict=True):
            snap(each, SnapOptions(str(path), *SIZE, text))
        assert np.array_equal(*(np.asarray(Image.open(path)) for path in paths))
        assert sum(sizes) <= most
    assert sum(sizes) == bodies < np.count_nonzero(source.ram.touched) * 4096
    record_video(other, VideoOptions(str(tmp_path / "there.mp4"), *SIZE, fps=5, seconds=1))
    assert sum(sizes) == bodies
