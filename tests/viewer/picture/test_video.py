"""Video: what is recorded is what is drawn, and another decoder reads it."""

from __future__ import annotations

import threading

import av
import numpy as np
import pytest
from support import wait_until
from synthetic import SyntheticSource

from qemu_bridge.errors import MachineGoneError, UsageError
from qemu_bridge.wire.picture_records import VideoOptions, VideoResult
from viewer.picture.offscreen import load_scene, load_scenes, render_scene
from viewer.picture.script import Shot
from viewer.picture.video import record, record_video
from viewer.render.raymarch import Renderer
from viewer.view.camera import Camera
from viewer.view.views import View

START = View(Camera(yaw=10.0, pitch=20.0, distance=3.0))


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


def test_a_video_of_one_view_or_of_a_script_tells_what_it_wrote(source, device, tmp_path):
    path, told = tmp_path / "now.mp4", []
    options = VideoOptions(str(path), 160, 90, fps=5, seconds=1, at="yaw=10")
    result = record_video(source, options, lambda *now: told.append(now))
    assert result == VideoResult(str(path), 160, 90, 5, 5, 1.0, source.title, result.elapsed_s)
    assert told == [(done, 5) for done in range(1, 6)] and path.stat().st_size > 0
    scripted = VideoOptions(str(tmp_path / "tour.mp4"), 160, 90, fps=5, script="0 yaw=0\n2 yaw=90")
    assert record_video(source, scripted).frames == 10


def test_a_video_of_several_machines_shows_which_of_them_ends(source, device, tmp_path):
    path, size, ends = tmp_path / "two.mp4", (640, 360), SyntheticSource()
    camera = Camera(yaw=18, pitch=20, distance=6, target=(1.1, 0.5, 0.5))
    scenes = load_scenes([source, ends])

    def end():
        raise MachineGoneError("it has ended")

    second = Renderer(*scenes).pick(camera, size).pages_of(1) >= 0

    def progress(done, total):
        if done == 3:
            ends.validate = end
        if done == 15:
            # It hears of the end when it reads the page map next.
            wait_until(lambda: sum(thread.name == "viewer-watcher" for thread in threading.enumerate()) < 2)

    shots = (Shot(View(camera), 0.0), Shot(View(camera), 4.0))
    record(source, path, lambda *scenes: shots, size=size, fps=5, progress=progress, others=[ends])
    frames = frames_of(path)

    def spread(frame):
        inside = frame[second].astype(int)
        return np.median(inside.max(axis=1) - inside.min(axis=1))

    assert spread(frames[-1]) < 15 < 40 < spread(frames[0])
    drawn = render_scene(scenes[0], size, camera=camera, title="synthetic", others=scenes[1:])
    assert np.abs(frames[0].astype(int) - drawn)[second].mean() < 12


def frames_of(path):
    with av.open(str(path)) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


def ink(picture):
    """Where words and lines are, which nothing else in a corner of a picture is as bright as."""
    return picture.max(axis=2) > 90


def test_a_video_has_the_words_of_a_picture_and_labels_while_the_camera_rests(source, device, tmp_path):
    size, path = (960, 540), tmp_path / "tour.mp4"
    turned = View(START.camera.orbit(100, 0))
    shots = (Shot(START, 0.0), Shot(START, 0.4), Shot(turned, 0.6))
    record(source, path, lambda scene: shots, size=size, fps=5)
    frames = frames_of(path)
    scene = load_scene(source, device)
    wanted = ink(render_scene(scene, size, camera=START.camera, title=source.title))
    legend, labels, guide = np.s_[100:400, :200], np.s_[60:400, -130:], np.s_[-125:, -150:]
    for part in (legend, labels, guide):
        assert wanted[part].sum() > 300 and ink(frames[0])[part][wanted[part]].mean() > 0.7
    # On the way there are no labels, and the guide turns.
    moving = ink(frames[-1])
    assert not moving[labels].any() and moving[legend][wanted[legend]].mean() > 0.7
    assert 0.1 < moving[guide][wanted[guide]].mean() < 0.9


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"fps": 1000}, {"width": 3}, {"height": 100_000}])
def test_options_out_of_range_are_refused_before_anything_is_drawn(wrong):
    with pytest.raises(UsageError, match="; "):
        VideoOptions("x.mp4", **wrong)
