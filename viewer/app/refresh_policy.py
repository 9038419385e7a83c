"""How soon the next frame is drawn that nobody but the guest wants.

While the user looks on, what the guest writes shows at once. A guest that only ticks along, and a user who has not
touched the window for a while, are no reason to draw many pictures a second: the pause grows to `LONGEST_S`, until there
is input or the guest does something new.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LONGEST_S = 1.0
GROWTH = 1.15
NEW_PAGES = 64
"""So many pages at once that were not written for `FORGET_S` are something new."""
FORGET_S = 30.0


class Cadence:
    """The pause before the next frame; it grows from frame to frame."""

    def __init__(self) -> None:
        self._least_s = 0.0

    @property
    def is_slow(self) -> bool:
        """Whether a picture of now would come late."""
        return self._least_s > LONGEST_S / 4

    def hurry(self) -> None:
        """Somebody looks on."""
        self._least_s = 0.0

    def see(self, last_written_s: npt.NDArray[np.float64], now_s: float) -> None:
        """The guest wrote some pages now, and before that last at these times."""
        if np.count_nonzero(now_s - last_written_s > FORGET_S) >= NEW_PAGES:
            self.hurry()

    def pause_s(self, frame_s: float) -> float:
        """Seconds to wait after a frame that took `frame_s`.

        Two thirds of the time at least are left to the guest: its processors and a software driver's renderer are the same.
        """
        self._least_s = min(max(self._least_s * GROWTH, 2 * frame_s), LONGEST_S)
        return self._least_s

    def share(self, waited_s: float) -> float:
        """How much of the picture the newest pass is, `waited_s` after the last: an eighth, and a half of a rare one."""
        return min(max(1 / 8, waited_s), 1 / 2)
