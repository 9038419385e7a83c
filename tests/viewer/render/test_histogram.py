"""How frequent each byte is in what shows."""

from __future__ import annotations

from collections import Counter

import numpy as np

from viewer.app import appearance
from viewer.render.histogram import byte_histogram
from viewer.view.look import Mode


def test_the_histogram_counts_bytes_of_pages_that_show(state, source):
    shown = np.isin(source.entries["page_class"], list(state.scene.visible))
    counted = Counter(source.ram.memory[shown].tobytes())
    histogram = byte_histogram(state.scene, source.ram.view)
    # Of so few pages the sample holds all, or every other.
    assert histogram.shape == (255,)
    assert abs(np.expm1(histogram).sum() - sum(n for byte, n in counted.items() if byte)) < 0.5 * sum(counted.values())
    appearance.toggle(state, list(state.scene.visible))
    assert byte_histogram(state.scene, source.ram.view).max() == 0


def test_the_histogram_is_kept_until_bytes_or_layers_change(state, source):
    def values():
        return state.histogram.values(state.scene, source.ram.view)

    first = values()
    state.controller.aim(state.controller.goal.orbit(5, 0))
    assert values() is first
    appearance.toggle(state, [next(iter(state.scene.visible))])
    second = values()
    assert second is not first and values() is second
    pages = np.flatnonzero(source.ram.touched).astype(np.int64)
    source.ram.memory[pages] = 7
    state.scene.update_pages(source.ram.view, pages, np.ones(len(pages), np.bool_), 1.0)
    third = values()
    assert third is not second and np.flatnonzero(third).tolist() == [6]
    source.entries["page_class"] = 0
    state.scene.set_page_map(source.page_map())
    assert values().max() == 0
    assert state.scene.look.mode is Mode.CLASS
