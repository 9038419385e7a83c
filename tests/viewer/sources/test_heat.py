"""Heat, age and entropy of pages."""

from __future__ import annotations

import numpy as np

from viewer.sources.heat import HALF_LIFE_S, EntropyCache, Heat, scale_counts


def test_heat_falls_by_time_and_not_by_frames():
    few, many = Heat(8), Heat(8)
    page = np.array([3])
    for heat in (few, many):
        heat.touch(page, 0.0)
    few.cool(2.0)
    for step in range(1, 201):
        many.cool(step / 100)
    assert abs(int(few.brightness(page)[0]) - int(many.brightness(page)[0])) <= 1
    assert abs(int(few.brightness(page)[0]) - 255 * 0.5 ** (2 / HALF_LIFE_S)) <= 1


def test_a_page_grows_cold_and_is_then_forgotten():
    heat = Heat(8)
    heat.touch(np.array([1, 5]), 0.0)
    assert heat.hot.tolist() == [1, 5]
    assert heat.cool(20.0).tolist() == [1, 5]
    assert not len(heat.hot)
    assert not len(heat.cool(21.0))
    assert heat.recency(np.array([1, 2]), 20.0)[1] == 0 < heat.recency(np.array([1, 2]), 20.0)[0]


def test_a_page_written_all_the_time_is_cold_ten_seconds_later():
    heat, page = Heat(1), np.array([0])
    for moment in range(1000):
        heat.touch(page, moment / 50)
    heat.cool(30.0)
    assert not len(heat.hot)


def test_a_page_written_often_has_a_higher_rate():
    heat = Heat(2)
    for moment in range(10):
        heat.touch(np.array([0]), moment / 10)
    heat.touch(np.array([1]), 1.0)
    assert heat.rate(np.array([0]))[0] > 2 * heat.rate(np.array([1]))[0] > 0


def test_entropy_is_worked_out_for_changed_pages_only():
    ram = np.random.default_rng(1).integers(0, 256, 8 * 4096, np.uint8)
    cache = EntropyCache(8)
    cache.mark(np.array([2, 5, 7]))
    assert cache.refresh(ram, 2).tolist() == [2, 5]
    assert cache.is_stale
    assert cache.refresh(ram, 2).tolist() == [7]
    assert not cache.is_stale
    assert (cache.values > 0).nonzero()[0].tolist() == [2, 5, 7]


def test_counts_are_scaled_by_their_logarithm():
    assert scale_counts(np.array([0, 1, 1000], np.uint32), 1000).tolist() == [0, 26, 255]
    assert scale_counts(np.array([0, 5], np.uint32), 0).max() == 255
