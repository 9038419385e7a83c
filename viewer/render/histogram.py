"""How frequent each byte is in the pages that show, worked out again only when they change."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from qemu_bridge.memory.addresses import PAGE_SIZE

from ..sources.page_bytes import page_bytes
from .scene import Scene

SAMPLE_PAGES = 256


def byte_histogram(scene: Scene, ram: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """How frequent bytes of 1 to 255 are in a sample of pages that show, by the logarithm: `float32` of shape (255,)."""
    page_map, visible = scene.page_map, [int(page_class) for page_class in scene.visible]
    if page_map is None:
        return np.zeros(255, np.float32)
    pages = np.flatnonzero(np.isin(page_map.entries["page_class"], visible))
    pages = pages[:: max(len(pages) // SAMPLE_PAGES, 1)][:SAMPLE_PAGES]
    pages = pages[pages < len(ram) // PAGE_SIZE]
    counts = page_bytes().counts(ram, pages)
    return np.log1p(counts[1:]).astype(np.float32)


class ByteHistogram:
    """The last histogram, for as long as it holds."""

    def __init__(self) -> None:
        self._key: object = None
        self._values = np.zeros(255, np.float32)

    def values(self, scene: Scene, ram: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """`byte_histogram` of now: the same array as last time unless bytes, classes or the choice of layers changed."""
        key = (scene, scene.content_revision, scene.visible)
        if key != self._key:
            self._key, self._values = key, byte_histogram(scene, ram)
        return self._values
