"""The orbit camera and its text."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_bridge.errors import UsageError
from qemu_bridge.wire.view_text import MAX_PITCH
from viewer.view.camera import Camera, default_camera, format_camera, parse_camera


def test_text_sets_what_it_names():
    camera = parse_camera("yaw=35,pitch=25,distance=1.8,target=0.5:0.25:1", Camera())
    assert camera == Camera(35, 25, 1.8, (0.5, 0.25, 1))
    assert parse_camera("yaw=10", camera) == Camera(10, 25, 1.8, (0.5, 0.25, 1))
    assert parse_camera("", camera) == camera


@given(st.floats(-360, 360), st.floats(-80, 80), st.floats(0.1, 10))
def test_text_comes_back(yaw, pitch, distance):
    camera = Camera(yaw, pitch, distance)
    back = parse_camera(format_camera(camera), Camera())
    assert math.isclose(back.yaw, yaw, rel_tol=1e-3, abs_tol=1e-9)
    assert math.isclose(back.pitch, pitch, rel_tol=1e-3, abs_tol=1e-9)
    assert math.isclose(back.distance, distance, rel_tol=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "yaw",
        "roll=3",
        "yaw=x",
        "yaw=nan",
        "pitch=90",
        "distance=0",
        "distance=inf",
        "target=1:2",
        "target=a:b:c",
        "target=9:0:0",
        "=",
        "yaw=1=2",
    ],
)
def test_nonsense_is_refused_with_advice(text):
    with pytest.raises(UsageError, match=r"use|write"):
        parse_camera(text, Camera())


@given(st.floats(-360, 360), st.floats(-89, 89))
def test_axes_are_orthonormal_and_right_handed(yaw, pitch):
    right, up, forward = Camera(yaw, pitch).axes()
    assert np.allclose(np.array([right, up, forward]) @ np.array([right, up, forward]).T, np.eye(3), atol=1e-9)
    assert np.allclose(np.cross(right, up), -forward)
    assert up[1] >= 0


def test_default_view_shows_three_faces():
    forward = default_camera().axes()[2]
    assert (np.abs(forward) > 0.2).all()
    assert default_camera((1, 1, 0.5)).target == (0.5, 0.5, 0.25)


def test_pitch_stops_before_the_pole_and_zoom_at_its_ends():
    assert Camera().orbit(0, 500).pitch == MAX_PITCH
    assert Camera().zoom(1).distance < Camera().distance
    assert Camera().zoom(1000).distance > 0
    assert Camera().zoom(-1000).distance == 20


def test_damping_does_not_depend_on_the_frame_rate():
    goal = Camera(yaw=90)
    once = Camera().approach(goal, 0.1)
    twice = Camera().approach(goal, 0.05).approach(goal, 0.05)
    assert math.isclose(once.yaw, twice.yaw)
    for _ in range(100):
        twice = twice.approach(goal, 0.05)
    assert twice == goal


def test_pan_moves_the_target_in_the_picture_plane():
    camera = Camera()
    moved = np.array(camera.pan(0.1, 0).target) - camera.target
    assert np.allclose(np.cross(moved, camera.axes()[0]), 0)


@pytest.mark.parametrize("camera", [Camera(), Camera(200, -35), Camera(45, 89)])
@pytest.mark.parametrize("aspect", [0.5, 1.0, 2.0])
def test_a_framed_box_fills_the_picture_and_no_more(camera, aspect):
    low, high = np.array([0.1, 0.2, 0.3]), np.array([0.4, 0.9, 0.5])
    corners = np.array([[x, y, z] for x in (0.1, 0.4) for y in (0.2, 0.9) for z in (0.3, 0.5)])
    x, y, depth = camera.framing(low, high, aspect).project(corners, aspect).T
    assert (depth > 0).all()
    assert 0.8 < max(np.abs(x).max(), np.abs(y).max()) < 0.9


def test_zooming_at_a_place_keeps_it_where_it_appears():
    camera, place = Camera(), np.array([0.9, 0.2, 0.7])
    before = camera.project(place[None], 1.6)[0, :2]
    for steps in (3, -2):
        camera = camera.zoom_at(steps, place)
        assert np.allclose(camera.project(place[None], 1.6)[0, :2], before)
    assert camera.distance < Camera().distance
    assert np.allclose(camera.project(camera.at(0.3, -0.2, 1.6)[None], 1.6)[0, :2], [0.3, -0.2])


@given(st.floats(-180, 180), st.floats(-80, 80), st.floats(0.05, 5), st.floats(-0.5, 0.5), st.floats(0, 0.3))
def test_what_appears_in_a_picture_is_seen(yaw, pitch, distance, shift, radius):
    camera, aspect = Camera(yaw, pitch, distance), 1.6
    places = np.random.default_rng(1).uniform(-2, 3, (300, 3))
    x, y, depth = camera.project(places, aspect).T
    appears = (depth > 1e-6) & (np.abs(x + shift) <= 1) & (np.abs(y) <= 1)
    seen = camera.sees(places, radius, aspect, (shift, 0.0))
    assert seen[appears].all()
    # What touches such a place is seen, too; what is behind is not.
    turned = np.random.default_rng(2).normal(size=(300, 3))
    near = places + radius * 0.999 * turned / np.linalg.norm(turned, axis=1, keepdims=True)
    assert camera.sees(near, radius, aspect, (shift, 0.0))[appears].all()
    assert not seen[depth < -radius].any()
