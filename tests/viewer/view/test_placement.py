"""Boxes side by side, and which of them stands before which."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from viewer.view.camera import Camera
from viewer.view.placement import GAP, far_to_near, outline_in_picture, place_boxes


def test_one_box_stays_where_it_is():
    assert place_boxes(np.array([[1.0, 1.0, 0.5]])).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8, 19])
def test_no_two_boxes_touch_and_the_first_is_at_the_upper_left(count):
    sizes = np.random.default_rng(count).choice([0.5, 1.0], (count, 3))
    low = place_boxes(sizes)
    for one, other in itertools.combinations(range(count), 2):
        apart = np.maximum(low[one] - low[other] - sizes[other], low[other] - low[one] - sizes[one])
        assert apart.max() >= GAP - 1e-9
    assert low[0, 0] == 0 and low[0, 1] == low[:, 1].max()
    assert count > 4 or (low[:, 1] == 0).all()


@pytest.mark.parametrize("count", [2, 4, 7, 12])
def test_what_a_ray_meets_first_is_painted_last(count):
    random = np.random.default_rng(count)
    sizes = random.uniform(0.3, 1.0, (count, 3))
    low = place_boxes(sizes)
    high = low + sizes
    for eye in random.uniform(-2, 6, (60, 3)):
        order = far_to_near(low, eye)
        assert sorted(order) == list(range(count))
        for aim in random.uniform(low.min(0), high.max(0), (60, 3)):
            with np.errstate(divide="ignore"):
                sides = np.stack([(low - eye) / (aim - eye), (high - eye) / (aim - eye)])
            enters, leaves = sides.min(0).max(1), sides.max(0).min(1)
            met = [n for n in range(count) if enters[n] < leaves[n] and leaves[n] > 0]
            met.sort(key=lambda n: -enters[n])
            assert [n for n in order if n in met] == met


def test_the_outline_holds_every_point_of_a_box():
    camera, size, shift = Camera(yaw=20, distance=4), (640, 360), (0.1, 0.02)
    low, high = np.array([0.2, 0.0, 0.1]), np.array([1.4, 0.8, 0.6])
    left, top, right, bottom = outline_in_picture(camera, low, high, size, shift)
    points = np.random.default_rng(1).uniform(low, high, (500, 3))
    x, y, _ = camera.project(points, 640 / 360).T
    across, down = (x + shift[0] + 1) / 2 * 640, (1 - y - shift[1]) / 2 * 360
    assert left <= across.min() and across.max() <= right and top <= down.min() and down.max() <= bottom
    assert across.max() - across.min() > 0.7 * (right - left)


def test_a_box_around_the_eye_has_no_outline():
    camera = Camera(distance=0.1)
    assert outline_in_picture(camera, np.zeros(3), np.ones(3), (640, 360), (0.0, 0.0)) is None
