"""The memory that a picture shows, brought into its scenes: of a machine elsewhere no other is fetched.

What a picture depends on is told by the page map before any byte is here: glass has none, and what is hidden, or out of sight, is not
looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..render.scene import Scene
from ..sources.source import Source
from ..view.camera import Camera
from .legend import legend_shift


def bring(
    scenes: Sequence[Scene], sources: Sequence[Source], camera: Camera | None = None, size: tuple[int, int] = (1, 1)
) -> None:
    """Draw the bytes of `sources` that `scenes` show as they look now: to `camera` in a picture of `size` (width, height), or to any."""
    for scene, source in zip(scenes, sources, strict=True):
        shown = source.ram.resident_pages()[: scene.page_count] & scene.pages_read()
        if camera is not None:
            pages = np.flatnonzero(shown)
            shown[pages] = scene.in_sight(pages, camera, size[0] / size[1], legend_shift(*size))
        brought = source.ram.want(shown)
        missing = shown & ~scene.has_bytes
        missing[brought[brought < scene.page_count]] = True
        scene.update_ram(source.ram, np.flatnonzero(missing))
