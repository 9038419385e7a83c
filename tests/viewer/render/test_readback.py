"""Textures read back."""

from __future__ import annotations

import numpy as np
import wgpu

from viewer.render.readback import RGBA, read_texture


def test_rows_are_read_without_their_padding(device):
    written = np.random.default_rng(1).integers(0, 256, (5, 7, 4), np.uint8)
    usage = wgpu.TextureUsage.COPY_DST | wgpu.TextureUsage.COPY_SRC
    texture = device.create_texture(size=(7, 5, 1), format="rgba8unorm", usage=usage)
    layout = {"offset": 0, "bytes_per_row": 28, "rows_per_image": 5}
    device.queue.write_texture({"texture": texture}, written, layout, (7, 5, 1))
    assert np.array_equal(read_texture(device, texture, RGBA), written)
