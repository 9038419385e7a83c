"""The picture of a roofline: every kernel has its name, and no name covers another or a point."""

import itertools
import random

import numpy as np
import pytest
from benchmarks import a_benchmark, a_measurement

from pixel_cpu.benchmark import Unit
from pixel_cpu.benchmark.picture import PANEL_HEIGHT, WIDTH, Panel, draw_roofline


def crowd(seed, count):
    """Kernels near each other, as they are in reality."""
    rng = random.Random(seed)
    return [
        a_measurement(f"kernel_{number}", 2 ** rng.uniform(-2, 4), rng.uniform(0.02, 1.2), rng.choice(list(Unit)))
        for number in range(count)
    ]


def panel_of(benchmark):
    panel = Panel(benchmark.rooflines[0], benchmark.measurements, benchmark)
    panel.draw()
    return panel


@pytest.mark.parametrize("seed", range(4))
def test_names_cover_neither_each_other_nor_points(seed):
    panel = panel_of(a_benchmark(*crowd(seed, 20)))
    assert set(panel.labels) == {each.kernel for each in panel.points}
    points = [(panel.x.place(each.intensity), panel.y.place(each.rate / 1e9)) for each in panel.points]
    for (left, top, right, bottom), other in itertools.permutations(panel.labels.values(), 2):
        assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
    for left, top, right, bottom in panel.labels.values():
        assert panel.x.start <= left < right <= panel.x.end and panel.y.end <= top < bottom <= panel.y.start
        assert not any(left < x < right and top < y < bottom for x, y in points)


def test_points_and_roofs_stand_where_their_numbers_say():
    benchmark = a_benchmark()
    panel, pixels = panel_of(benchmark), np.asarray(draw_roofline(benchmark))
    for each in benchmark.measurements:
        x, y = round(panel.x.place(each.intensity) / 2), round(panel.y.place(each.rate / 1e9) / 2)
        red, _, blue = (int(part) for part in pixels[y, x])
        assert (blue > red) if each.unit is Unit.FLOP else (red > blue)
    # A decade more is as far up as every other decade; four times as far is the same step to the right.
    assert panel.y.place(1) - panel.y.place(10) == pytest.approx(panel.y.place(10) - panel.y.place(100))
    assert panel.x.place(4) - panel.x.place(1) == pytest.approx(panel.x.place(64) - panel.x.place(16))


def test_each_device_has_a_panel():
    picture = draw_roofline(a_benchmark(a_measurement("saxpy", 1 / 6, 0.5, device="wgpu"), devices=("cpu", "wgpu")))
    assert picture.size == (WIDTH, 2 * PANEL_HEIGHT)
