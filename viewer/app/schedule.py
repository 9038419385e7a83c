"""When the next frame is drawn.

Frames are drawn on demand: an event, an answer or changed memory asks for one, from whatever thread, and while nothing
asks, nothing is drawn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .refresh_policy import RefreshPolicy

log = logging.getLogger(__name__)

UI_FRAMES, _MOST_UI_FRAMES = 3, 40


class Schedule:
    """Frames asked for on a canvas of rendercanvas and its event loop.

    Attributes:
        ui_frames: how many more frames the panels need, whether or not the picture changes.
        has_many_changes: tells whether more waits to be drawn than a guest writes that only scale_ticks along.
        refresh_policy: how soon frames follow each other that only the guest's writes ask for.
    """

    def __init__(self, canvas: Any, loop: Any) -> None:  # noqa: ANN401  # of rendercanvas, which has no types
        self.ui_frames = UI_FRAMES
        self.refresh_policy = RefreshPolicy()
        self.has_many_changes: Callable[[], bool] = lambda: False
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
            # rendercanvas takes a closed window's loop apart.
            log.debug("changes after the window was closed")

    def wake(self) -> None:
        """Draw what changed; on any thread."""
        self.call_soon(self.show_changes)

    def show_answer(self) -> None:
        """Draw what a panel asked for, and twice more: ImGui fits a table to its cells a frame later; on any thread."""
        self.call_soon(self._show_answer)

    def _show_answer(self) -> None:
        if not self.is_closed:
            self.request()

    def request(self) -> None:
        """Draw soon, and twice more: ImGui shows the effect of an event a frame later."""
        self.ui_frames = UI_FRAMES
        self._canvas.request_draw()

    def add_event(self) -> None:
        """An event came. ImGui handles one of several keys that come together in each frame, so each needs one more."""
        self.refresh_policy.reset()
        self.ui_frames = min(max(self.ui_frames + 1, UI_FRAMES), _MOST_UI_FRAMES)
        self._canvas.request_draw()

    def show_changes(self) -> None:
        """Draw once, unless that is put off already; many changes are not put off for long."""
        is_late = self._is_throttled and not (self.refresh_policy.is_slow and self.has_many_changes())
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
