"""The flat map."""

from __future__ import annotations

import numpy as np
import pytest

from viewer.picture.minimap import EMPTY, Minimap, map_order, map_size, page_to_xy, to_index, to_xy, xy_to_page
from viewer.picture.offscreen import load_scene
from viewer.render.page_colours import page_colours


@pytest.mark.parametrize("order", range(8))
def test_the_curve_visits_every_pixel_once_in_steps_of_one(order):
    index = np.arange(4**order)
    x, y = to_xy(index, order)
    assert len(set(zip(x.tolist(), y.tolist(), strict=True))) == 4**order
    assert (np.abs(np.diff(x)) + np.abs(np.diff(y)) == 1).all()
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 2**order - 1, 0)
    assert np.array_equal(to_index(x, y, order), index)


@pytest.mark.parametrize("order", range(2, 8))
def test_longer_curves_begin_like_shorter_ones_turned(order):
    # A quarter of a curve is the curve of the order below it, mirrored at the diagonal.
    quarter = to_xy(np.arange(4 ** (order - 1)), order)
    whole = to_xy(np.arange(4 ** (order - 1)), order - 1)
    assert np.array_equal(quarter[0], whole[1])
    assert np.array_equal(quarter[1], whole[0])


@pytest.mark.parametrize(("pages", "size"), [(1, (1, 1)), (512, (16, 32)), (32768, (128, 256)), (262144, (512, 512))])
def test_the_map_is_cut_to_what_ram_fills(pages, size):
    assert sorted(map_size(pages)) == sorted(size)
    width, height = map_size(pages)
    x, y = to_xy(np.arange(pages), map_order(pages))
    assert x.max() < width
    assert y.max() < height


@pytest.mark.parametrize("pages", [1, 3, 512, 700])
def test_pages_and_pixels_name_each_other(pages):
    for page in range(pages):
        assert xy_to_page(*page_to_xy(page, pages), pages) == page
    assert xy_to_page(-1, 0, pages) is None
    assert xy_to_page(9999, 0, pages) is None


def test_the_map_has_the_colours_of_the_look(device, source):
    scene = load_scene(source, device)
    minimap = Minimap(scene)
    image, colours = minimap.draw(), page_colours(scene)
    assert image.shape[1::-1] == minimap.size
    for page in range(0, scene.page_count, 7):
        x, y = page_to_xy(page, scene.page_count)
        expected = colours[page] if colours[page, 3] else EMPTY
        assert image[y, x].tolist() == list(expected)
    before = image.copy()
    scene.select(np.arange(70, 90))
    assert not np.array_equal(minimap.draw(), before)
