"""Which pages of several machines in one picture hold the same bytes: kept up while the look colours that."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..sources.content import count_holders
from ..view.look import Mode
from .scene import Scene

_PAGES_A_FRAME = 1024
"""A few milliseconds."""


class EqualPages:
    """Compares the pages of all scenes of a picture; of one scene alone there is nothing to compare."""

    def __init__(self, period_s: float = 0.25) -> None:
        """Count again every `period_s` at most: a guest that runs writes some pages all the time."""
        self._period_s, self._counted_s = period_s, -math.inf
        self._key: object = None

    def update(self, scenes: Sequence[Scene], rams: Sequence[npt.NDArray[np.uint8]], now_s: float) -> bool:
        """Look at some of the pages that changed, and count again; return whether something is left to do.

        `rams` are the bytes of each scene's machine, `now_s` counts seconds from anywhere.
        """
        if len(scenes) < 2 or scenes[0].look.mode is not Mode.EQUAL:
            return False
        digests = [scene.page_style.digests for scene in scenes]
        for each, ram in zip(digests, rams, strict=True):
            each.refresh(ram, _PAGES_A_FRAME)
        key = [(each, each.revision) for each in digests]
        is_due = key != self._key and now_s >= self._counted_s + self._period_s
        if is_due:
            self._key, self._counted_s = key, now_s
            for scene, counts in zip(scenes, count_holders([each.values for each in digests]), strict=True):
                scene.set_holders(counts)
        # What was counted now is still to be drawn.
        return is_due or key != self._key or any(each.stale_count for each in digests)
