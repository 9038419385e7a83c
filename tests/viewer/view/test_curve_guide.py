"""How addresses run, as a small cube shows it."""

from __future__ import annotations

import math

import pytest

from viewer.view.camera import Camera
from viewer.view.curve_guide import curve_guide


@pytest.mark.parametrize(
    ("extent", "ram_bytes", "eighths"), [((1.0, 1.0, 1.0), 128 << 20, 8), ((0.5, 1.0, 1.0), 64 << 20, 4)]
)
def test_the_line_begins_at_address_0_and_visits_each_eighth_that_ram_fills(extent, ram_bytes, eighths):
    guide = curve_guide(Camera(0, 0), extent, ram_bytes, 5)
    assert guide.step_bytes == 16 << 20
    assert len(guide.path) == 1 + eighths and len(guide.edges) == 12
    # From the front x is to the right and y up: address 0 is at the lower left, a corner of the box.
    size = math.hypot(*extent) / 2
    assert guide.path[0] == pytest.approx((-extent[0] / 2 / size, -0.5 / size))
    assert all(abs(x) <= 1 and abs(y) <= 1 for x, y in guide.path)
    assert guide.path[0] in [point for edge in guide.edges for point in edge]


def test_it_turns_with_the_picture():
    assert (
        curve_guide(Camera(0, 0), (1, 1, 1), 1 << 27, 5).path != curve_guide(Camera(40, 20), (1, 1, 1), 1 << 27, 5).path
    )
