"""Jobs along the curve."""

from __future__ import annotations

import numpy as np
import wgpu

from viewer.render.curve_jobs import CurveJobs
from viewer.view.curve import to_xyz


def test_words_are_scattered_to_their_places_on_the_curve(device):
    order, pages = 3, np.array([0, 5, 77, 511], np.uint32)
    usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC
    words = device.create_buffer_with_data(data=pages + np.uint32(1000), usage=usage)
    places = device.create_buffer_with_data(data=pages, usage=usage)
    target = device.create_buffer(size=4 * 8**order, usage=usage)
    jobs = CurveJobs(device)
    jobs.run("scatter_pages", jobs.bind(words, places, target), (order, 0, 0, len(pages)), 1)
    table = np.frombuffer(device.queue.read_buffer(target), np.uint32).reshape(8, 8, 8)
    x, y, z = to_xyz(pages, order).T
    assert table[z, y, x].tolist() == (pages + 1000).tolist()
    assert np.count_nonzero(table) == len(pages)
