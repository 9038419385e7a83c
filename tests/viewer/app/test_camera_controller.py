"""The eye: three ways to move, damping, flights that arrive."""

from __future__ import annotations

import numpy as np
import pytest

from viewer.app.input import Eye, key_text
from viewer.view.camera import Camera
from viewer.view.views import Mode


def settle(eye: Eye) -> None:
    for _ in range(300):
        eye.update(1 / 60)


def test_a_flight_arrives_exactly_and_a_drag_ends_it_where_it_is():
    eye, goal = Eye(Camera()), Camera(200, -30, 0.3, (0.1, 0.9, 0.4))
    eye.fly_to(goal)
    assert eye.update(0.1) and eye.camera not in (Camera(), goal)
    settle(eye)
    assert eye.camera == goal and not eye.is_moving
    eye.fly_to(Camera())
    eye.update(0.2)
    here = eye.camera
    eye.drag(0, 0, False)
    settle(eye)
    assert np.allclose(eye.camera._values(), here._values(), atol=1e-2)


def test_orbit_turns_about_the_target_and_fly_about_the_eye():
    eye = Eye(Camera())
    eye.drag(0.2, 0.1, False)
    assert eye.goal.target == Camera().target and eye.goal.yaw != Camera().yaw
    eye = Eye(Camera())
    eye.set_mode(Mode.FLY)
    before = eye.goal.eye()
    assert np.allclose(before, Camera().eye())
    eye.drag(0.2, 0.1, False)
    assert np.allclose(eye.goal.eye(), before) and eye.goal.yaw != Camera().yaw


def test_top_looks_down_and_a_drag_moves():
    eye = Eye(Camera())
    eye.set_mode(Mode.TOP)
    settle(eye)
    assert eye.camera.pitch > 80
    eye.drag(0.1, 0.0, False)
    assert eye.goal.yaw == eye.camera.yaw and eye.goal.target != eye.camera.target


def test_held_keys_walk_while_flying_and_only_then():
    eye = Eye(Camera())
    assert not eye.hold("w", True)
    eye.set_mode(Mode.FLY)
    assert eye.hold("w", True) and eye.is_moving
    before, forward = eye.camera.eye(), eye.camera.axes()[2]
    eye.update(0.1)
    eye.hold("w", False)
    settle(eye)
    moved = eye.camera.eye() - before
    assert moved @ forward > 0 and np.allclose(np.cross(moved, forward), 0, atol=1e-3)
    assert not eye.is_moving


@pytest.mark.parametrize(
    ("key", "modifiers", "text"),
    [
        ("p", ("Control",), "ctrl-p"),
        ("Z", ("Control", "Shift"), "ctrl-shift-z"),
        ("/", ("Shift",), "?"),
        ("?", ("Shift",), "?"),
        ("s", ("Shift",), "S"),
        ("F2", (), "F2"),
    ],
)
def test_keys_are_written_as_the_table_writes_them(key, modifiers, text):
    assert key_text({"key": key, "modifiers": modifiers}) == text
