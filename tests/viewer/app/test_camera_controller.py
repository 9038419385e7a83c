"""The camera controller: three modes, damping, flights that arrive."""

from __future__ import annotations

import numpy as np

from viewer.app.camera_controller import CameraController
from viewer.view.camera import Camera
from viewer.view.views import Mode


def settle(controller: CameraController) -> None:
    for _ in range(300):
        controller.update(1 / 60)


def test_a_flight_arrives_exactly_and_a_drag_ends_it_where_it_is():
    controller, goal = CameraController(Camera()), Camera(200, -30, 0.3, (0.1, 0.9, 0.4))
    controller.fly_to(goal)
    assert controller.update(0.1) and controller.camera not in (Camera(), goal)
    settle(controller)
    assert controller.camera == goal and not controller.is_moving
    controller.fly_to(Camera())
    controller.update(0.2)
    here = controller.camera
    controller.drag(0, 0, False)
    settle(controller)
    assert np.allclose(controller.camera._values(), here._values(), atol=1e-2)


def test_orbit_turns_about_the_target_and_fly_about_the_eye():
    controller = CameraController(Camera())
    controller.drag(0.2, 0.1, False)
    assert controller.goal.target == Camera().target and controller.goal.yaw != Camera().yaw
    controller = CameraController(Camera())
    controller.set_mode(Mode.FLY)
    before = controller.goal.eye()
    assert np.allclose(before, Camera().eye())
    controller.drag(0.2, 0.1, False)
    assert np.allclose(controller.goal.eye(), before) and controller.goal.yaw != Camera().yaw


def test_top_looks_down_and_a_drag_moves():
    controller = CameraController(Camera())
    controller.set_mode(Mode.TOP)
    settle(controller)
    assert controller.camera.pitch > 80
    controller.drag(0.1, 0.0, False)
    assert controller.goal.yaw == controller.camera.yaw and controller.goal.target != controller.camera.target


def test_top_shows_all_also_after_flying():
    controller = CameraController(Camera())
    controller.set_mode(Mode.FLY)
    controller.drag(0.5, 0.2, False)
    controller.set_mode(Mode.TOP)
    settle(controller)
    assert controller.camera.target == Camera().target and controller.camera.distance == Camera().distance


def test_held_keys_walk_while_flying_and_only_then():
    controller = CameraController(Camera())
    assert not controller.hold("forward", True)
    controller.set_mode(Mode.FLY)
    assert controller.hold("forward", True) and controller.is_moving
    before, forward = controller.camera.eye(), controller.camera.axes()[2]
    controller.update(0.1)
    controller.hold("forward", False)
    settle(controller)
    moved = controller.camera.eye() - before
    assert moved @ forward > 0 and np.allclose(np.cross(moved, forward), 0, atol=1e-3)
    assert not controller.is_moving
