"""When the next frame is drawn, and how large while something moves.

Frames are drawn on demand: an event, an answer or changed memory asks for one, from whatever thread, and while nothing
asks, nothing is drawn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .cadence import Cadence

log = logging.getLogger(__name__)

TARGET_FRAME_S = 0.030
MAX_REDUCTION = 8
UI_FRAMES, _MOST_UI_FRAMES = 3, 40


class FramePace:
    """How much smaller than the window pictures are drawn while something moves.

    A frame time over the target makes them smaller at once, a window of six good frames larger again.
    """

    def __init__(self) -> None:
        self.reduction = 2
        self._times: list[float] = []

    def add(self, frame_s: float) -> None:
        """Take note of one frame's time in seconds."""
        self._times = [*self._times[-5:], frame_s]
        if len(self._times) < 6:
            return
        mean = sum(self._times) / len(self._times)
        if mean > 1.1 * TARGET_FRAME_S and self.reduction < MAX_REDUCTION:
            self.reduction, self._times = self.reduction + 1, []
        elif mean < 0.5 * TARGET_FRAME_S and self.reduction > 1:
            self.reduction, self._times = self.reduction - 1, []

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The size to draw at for a window of this size."""
        return max(width // self.reduction, 16), max(height // self.reduction, 16)


class Schedule:
    """Frames asked for on a canvas of rendercanvas and its event loop.

    Attributes:
        ui_frames: how many frames more the panels want, whether or not the picture changes.
        is_much_new: tells whether more waits to be drawn than a guest writes that only ticks along.
        cadence: how soon frames follow each other that only the guest wants.
    """

    def __init__(self, canvas: Any, loop: Any) -> None:  # noqa: ANN401  # of rendercanvas, which has no types
        self.ui_frames = UI_FRAMES
        self.cadence = Cadence()
        self.is_much_new: Callable[[], bool] = lambda: False
        self._canvas, self._loop = canvas, loop
        self._is_throttled = False

    @property
    def is_closed(self) -> bool:
        """Whether there is no window any more."""
        return bool(self._canvas.get_closed())

    def call_soon(self, action: Callable[[], None]) -> None:
        """Do `action` on the loop's thread; on any thread."""
        try:
            self._loop.call_soon_threadsafe(action)
        except (RuntimeError, AttributeError):
            # The loop of a window that was closed has no inside any more.
            log.debug("news after the window was closed")

    def wake(self) -> None:
        """Draw what is new; on any thread."""
        self.call_soon(self.show_news)

    def request(self) -> None:
        """Draw soon, and twice more: ImGui shows the effect of an event a frame later."""
        self.ui_frames = UI_FRAMES
        self._canvas.request_draw()

    def add_event(self) -> None:
        """An event came. ImGui takes one of several keys that come together in each frame, so each wants one more."""
        self.cadence.hurry()
        self.ui_frames = min(max(self.ui_frames + 1, UI_FRAMES), _MOST_UI_FRAMES)
        self._canvas.request_draw()

    def show_news(self) -> None:
        """Draw once, unless that is put off already; much that is new is not put off for long."""
        is_late = self._is_throttled and not (self.cadence.is_slow and self.is_much_new())
        if not is_late and not self.is_closed:
            self.ui_frames = max(self.ui_frames, 1)
            self._canvas.request_draw()

    def go_on(self) -> None:
        """Draw the next frame right after this one."""
        self.ui_frames -= 1
        self._canvas.request_draw()

    def draw_later(self, seconds: float) -> None:
        """Draw in so many seconds; until then only an event makes a frame."""
        if not self._is_throttled:
            self._is_throttled = True
            self._loop.call_later(seconds, self._end_throttle)

    def _end_throttle(self) -> None:
        self._is_throttled = False
        if not self.is_closed:
            self._canvas.request_draw()
