"""Video: the script's grammar, the way of the camera, and a file that another decoder reads."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.errors import GlassBoxError, UsageError
from qemu_bridge.wire.records import PageClass
from viewer.picture.offscreen import load_scene, render_scene
from viewer.picture.video import Mp4, Shot, camera_at, parse_script, record
from viewer.view.camera import Camera
from viewer.view.views import View

START = View(Camera(yaw=10.0, pitch=20.0, distance=3.0))


def test_script_has_a_shot_a_line_and_each_goes_on_from_the_last():
    shots = parse_script(
        "# a tour\n0 yaw=0\n\n2s distance=1.5  # nearer\n1 hold\n1 yaw=90,hide=slab\n1 yaw=95\n", START
    )
    assert [shot.seconds for shot in shots] == [0, 2, 1, 1, 1]
    assert [shot.view.camera.yaw for shot in shots] == [0, 0, 0, 90, 95]
    assert [shot.view.camera.distance for shot in shots] == [3.0, 1.5, 1.5, 1.5, 1.5]
    assert shots[2].view == shots[1].view and PageClass.SLAB in shots[3].view.look.hidden
    assert shots[4].view.look == shots[3].view.look


@pytest.mark.parametrize(
    ("script", "part"),
    [("fast yaw=3", "line 1"), ("1 yaw=3\n2 jaw=4", "line 2"), ("", "lasts 0 s"), ("9999999 hold", "line 1"), ("-1 hold", "line 1"), ("nan hold", "line 1")],
)  # fmt: skip
def test_what_is_no_script_is_refused_with_its_line(script, part):
    with pytest.raises(UsageError, match=part):
        parse_script(script, START)


@given(st.text(max_size=60))
def test_any_text_is_a_script_or_refused(text):
    try:
        assert parse_script(text, START)
    except UsageError as error:
        assert ";" in str(error)


def test_camera_is_at_the_shots_when_their_time_is_over_and_between_them_meanwhile():
    shots = parse_script("0 yaw=0,distance=1\n2 yaw=90,distance=4\n1 hold", START)
    assert camera_at(shots, 0.0)[1].yaw == pytest.approx(0)
    half = camera_at(shots, 1.0)[1]
    assert 0 < half.yaw < 90 and half.distance == pytest.approx(2.0)  # exponential
    assert camera_at(shots, 2.0)[1] == camera_at(shots, 2.5)[1] == camera_at(shots, 99.0)[1] == shots[1].view.camera


def test_another_decoder_reads_the_frames_that_were_drawn(source, device, tmp_path):
    path = tmp_path / "tour.mp4"
    shots = (Shot(START, 0.0), Shot(View(START.camera.orbit(120, 10)), 1.0))
    told = []
    count = record(source, path, lambda scene: shots, size=(320, 180), fps=10, progress=lambda *now: told.append(now))
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
        assert stream.codec_context.name == "h264" and stream.average_rate == 10
    assert count == len(frames) == 10 and told[-1] == (10, 10)
    assert frames[0].shape == (180, 320, 3)
    drawn = render_scene(load_scene(source, device), (320, 180), camera=START.camera, title=source.title)
    difference = np.abs(frames[0].astype(int) - drawn).mean()
    assert difference < 6 < np.abs(frames[-1].astype(int) - drawn).mean()
    assert [path] == list(tmp_path.iterdir())


def test_a_film_that_cannot_be_written_leaves_nothing(tmp_path):
    with pytest.raises(GlassBoxError, match="-o"):
        Mp4(tmp_path / "no" / "where.mp4", (320, 180), 30)
    with pytest.raises(UsageError, match="even"):
        Mp4(tmp_path / "odd.mp4", (321, 180), 30)
    for folder in (Path("."), Path("/"), tmp_path):
        with pytest.raises(UsageError, match="-o"):
            Mp4(folder, (320, 180), 30)
    with pytest.raises(RuntimeError), Mp4(tmp_path / "half.mp4", (320, 180), 30) as file:
        file.write(np.zeros((180, 320, 3), np.uint8))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_before_the_first_frame_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), Mp4(tmp_path / "none.mp4", (320, 180), 30):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_was_recorded_until_ctrl_c_stays(tmp_path):
    with pytest.raises(KeyboardInterrupt), Mp4(tmp_path / "short.mp4", (320, 180), 30) as file:
        for _ in range(5):
            file.write(np.zeros((180, 320, 3), np.uint8))
        raise KeyboardInterrupt
    with av.open(str(tmp_path / "short.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 5
