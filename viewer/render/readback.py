"""Reading textures back from the graphics device."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import wgpu

RGBA = np.dtype(("u1", 4))
"""A texel of eight bits a channel."""


def read_texture(device: wgpu.GPUDevice, texture: wgpu.GPUTexture, texel: np.dtype[Any]) -> npt.NDArray[Any]:
    """A texture as an array of shape (height, width) + the shape of a `texel`, such as ``np.dtype(("u1", 4))``."""
    width, height = texture.size[:2]
    # Rows of a copy are multiples of 256 bytes; the padding is cut off here.
    row_bytes = -(-texel.itemsize * width // 256) * 256
    buffer = device.create_buffer(size=row_bytes * height, usage=wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.MAP_READ)
    encoder = device.create_command_encoder()
    encoder.copy_texture_to_buffer(
        {"texture": texture},
        {"buffer": buffer, "bytes_per_row": row_bytes, "rows_per_image": height},
        (width, height, 1),
    )
    device.queue.submit([encoder.finish()])
    buffer.map_sync("READ")
    rows = np.frombuffer(buffer.read_mapped(), np.uint8).reshape(height, row_bytes)[:, : texel.itemsize * width]
    texels = np.ascontiguousarray(rows).view(texel.base)
    buffer.unmap()
    return texels.reshape(height, width, *texel.shape)
