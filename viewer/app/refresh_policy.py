"""How soon the next frame is drawn that only the guest's writes ask for.

While the user interacts, what the guest writes shows at once. A guest that writes the same few pages over and over, and a
user who has not touched the window for a while, are no reason for many frames a second: the pause grows to `LONGEST_S`,
until there is input or the guest writes pages that were quiet before.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LONGEST_S = 1.0
GROWTH = 1.15
NEW_PAGES = 64
"""So many pages at once that were not written for `FORGET_S` are new activity."""
FORGET_S = 30.0


class RefreshPolicy:
    """The pause before the next frame; it grows from frame to frame."""

    def __init__(self) -> None:
        self._least_s = 0.0

    @property
    def is_slow(self) -> bool:
        """Whether changes would be drawn late."""
        return self._least_s > LONGEST_S / 4

    def reset(self) -> None:
        """There was input, or new activity: draw the next changes at once."""
        self._least_s = 0.0

    def note_writes(self, last_written_s: npt.NDArray[np.float64], now_s: float) -> None:
        """The guest wrote some pages now, and before that last at these times, in seconds."""
        if np.count_nonzero(now_s - last_written_s > FORGET_S) >= NEW_PAGES:
            self.reset()

    def pause_s(self, frame_s: float) -> float:
        """Seconds to wait after a frame that took `frame_s`.

        Two thirds of the time at least are left to the guest: it shares the processors with a software renderer.
        """
        self._least_s = min(max(self._least_s * GROWTH, 2 * frame_s), LONGEST_S)
        return self._least_s

    def newest_weight(self, waited_s: float) -> float:
        """Weight of the newest pass in the picture, `waited_s` after the last: an eighth, up to a half of a rare one."""
        return min(max(1 / 8, waited_s), 1 / 2)
