"""The device's own clock."""

from __future__ import annotations

import time

from gpu_device.device import TIMESTAMPS
from viewer.picture.offscreen import load_scene
from viewer.render.raymarch import Renderer
from viewer.render.stopwatch import Stopwatch
from viewer.view.camera import default_camera


class Plain:
    features: frozenset[str] = frozenset()


def test_a_pass_takes_about_as_long_as_by_the_wall_clock(device, source):
    assert TIMESTAMPS in device.features
    scene = load_scene(source, device)
    renderer = Renderer(scene)
    scene.pool.wait()
    found = []
    for _ in range(12):
        started = time.perf_counter()
        renderer.draw_pass(default_camera(), (640, 360))
        scene.pool.wait()
        wall = time.perf_counter() - started
        seconds = renderer.stopwatch.take_s()
        if seconds is not None:
            found.append(seconds / wall)
    assert len(found) >= 3
    assert 0.2 < sorted(found)[len(found) // 2] < 1.5


def test_a_device_without_timestamps_is_no_error():
    stopwatch = Stopwatch(Plain())
    assert stopwatch.begin() == {}
    stopwatch.resolve(None)
    stopwatch.submitted()
    assert stopwatch.take_s() is None
