"""The way of an arc from above one box to above another."""

from __future__ import annotations

import numpy as np
import pytest

from viewer.view.arcs import POINTS, arc_in_picture, arc_points, arrow_head
from viewer.view.camera import Camera

BOXES = [(np.array([x, 0.0, 0.0]), np.array([x + 1.0, 0.8, 1.0])) for x in (0.0, 1.3)]


def test_an_arc_leads_from_the_top_of_its_sender_to_that_of_its_receiver_and_both_ways_are_apart():
    there, back = arc_points(BOXES[0], BOXES[1]), arc_points(BOXES[1], BOXES[0])
    assert there.shape == (POINTS, 3)
    for number, (low, high) in ((0, BOXES[0]), (-1, BOXES[1])):
        assert (there[number] >= low - 1e-9).all() and (there[number] <= high + 1e-9).all()
        assert there[number, 1] == pytest.approx(high[1])
    assert there[POINTS // 2, 1] > 1.0
    assert (np.diff(there[:, 0]) > 0).all() and (np.diff(back[:, 0]) < 0).all()
    assert np.abs(there[:, 2] - back[:, 2]).min() > 0.1


def test_a_picture_shows_the_places_that_the_camera_shows_there():
    camera, points = Camera(distance=5), arc_points(*BOXES)
    path = arc_in_picture(points, camera, (640, 360), (0.1, 0.0))
    x, y, _ = camera.project(points, 640 / 360).T
    assert np.allclose(path[:, 0], (x + 0.1 + 1) * 320) and np.allclose(path[:, 1], (1 - y) * 180)
    inside = Camera(distance=0.02, target=tuple(points[5].tolist()))
    assert arc_in_picture(points, inside, (640, 360), (0.0, 0.0)) is None


def test_the_head_points_where_the_path_goes():
    path = np.stack([np.linspace(0, 50, POINTS), np.zeros(POINTS)], axis=-1)
    tip, one, other = arrow_head(path, 10)
    assert tip.tolist() == [50, 0] and one[0] == other[0] == 40 and one[1] == -other[1] != 0
