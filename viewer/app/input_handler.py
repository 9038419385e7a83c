"""Pointer and keys of a window: what an event of the canvas does to the desk.

ImGui takes an event first, where it is for a panel. What is left turns the eye (`viewer.app.input`), selects a byte or is a
command's key (`viewer.app.commands`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from qemu_bridge.memory.addresses import PAGE_SIZE

from .commands import Commands
from .desk import Desk
from .gui import Gui
from .input import key_text
from .schedule import Schedule
from .spot import Spot, spot_lines

log = logging.getLogger(__name__)

CLICK_PIXELS = 4
_POINTER = ("pointer_down", "pointer_move", "pointer_up", "pointer_leave")
_KEYS = ("key_down", "key_up")


class Controller:
    """Listens to a canvas on behalf of a desk."""

    def __init__(
        self,
        canvas: Any,  # noqa: ANN401  # of rendercanvas, which has no types
        desk: Desk,
        gui: Gui,
        commands: Commands,
        schedule: Schedule,
        pick: Callable[[tuple[int, int]], Spot | None],
    ) -> None:
        """`pick` says what is at a place of the picture, in physical pixels."""
        self._canvas, self._desk, self._gui = canvas, desk, gui
        self._commands, self._schedule, self._pick = commands, schedule, pick
        self._drag: tuple[float, float] | None = None
        self._pressed = (0.0, 0.0)
        canvas.add_event_handler(self._on_pointer, *_POINTER)
        canvas.add_event_handler(self._on_wheel, "wheel")
        canvas.add_event_handler(self._on_key, *_KEYS)
        canvas.add_event_handler(lambda _: schedule.request(), "resize")
        # Before ImGui takes an event for itself: whatever it is, it may change what the panels show.
        canvas.add_event_handler(self._on_any, *_POINTER, "wheel", *_KEYS, "char", order=-100)

    def set_clipboard(self, text: str) -> None:
        """Put `text` on the clipboard, or before the user where the canvas has none."""
        if (window := getattr(self._canvas, "_window", None)) is None:
            self._desk.say(text)  # to be copied by hand
            return
        import glfw

        glfw.set_clipboard_string(window, text)

    def _on_any(self, event: dict[str, Any]) -> None:
        kind = event["event_type"]
        if kind == "pointer_leave":
            self._gui.forget_pointer()
        elif kind == "pointer_move" and self._gui.wants_mouse:
            self._desk.cursor = None
        elif kind == "key_down" and event["key"] == "Escape" and self._desk.palette.is_open:
            # ImGui would keep it: in a field it means to take back what was typed.
            self._desk.palette.is_open = False
            event["stop_propagation"] = True
        elif kind in _KEYS and not self._gui.knows_key(event["key"]):
            event["stop_propagation"] = True
        self._schedule.add_event()
        self._desk.feed.hurry()

    def _on_pointer(self, event: dict[str, Any]) -> None:
        kind = event["event_type"]
        if kind == "pointer_leave":
            self._desk.cursor = None
            return
        here = (float(event["x"]), float(event["y"]))
        if kind == "pointer_down":
            self._pressed = here
            self._hold(here)
            self._desk.mark("grasp")
        elif kind == "pointer_up":
            is_ours = self._drag is not None
            self._hold(None)
            if is_ours and max(abs(here[0] - self._pressed[0]), abs(here[1] - self._pressed[1])) < CLICK_PIXELS:
                self._click(here)
        elif self._drag is None or not event["buttons"]:
            self._hold(None)
            self._point_at(here)
        else:
            dx, dy = here[0] - self._drag[0], here[1] - self._drag[1]
            self._hold(here)
            height = max(self._canvas.get_logical_size()[1], 1)
            is_pan = 1 not in event["buttons"] or "Shift" in event["modifiers"]
            self._desk.eye.drag(dx / height, dy / height, is_pan)

    def _hold(self, here: tuple[float, float] | None) -> None:
        self._drag, self._desk.is_dragging = here, here is not None

    def _point_at(self, here: tuple[float, float]) -> tuple[int, int]:
        ratio = self._canvas.get_pixel_ratio()
        self._desk.cursor = cursor = (int(here[0] * ratio), int(here[1] * ratio))
        return cursor

    def _click(self, here: tuple[float, float]) -> None:
        spot = self._pick(self._point_at(here))
        self._desk.select(None if spot is None else spot.page * PAGE_SIZE + spot.offset)
        if spot is not None:
            log.info("%s", "; ".join(spot_lines(spot)))

    def _on_wheel(self, event: dict[str, Any]) -> None:
        self._desk.mark("wheel")
        self._desk.eye.wheel(-float(event["dy"]) / 100)

    def _on_key(self, event: dict[str, Any]) -> None:
        key, desk = key_text(event), self._desk
        if event["event_type"] == "key_up":
            desk.eye.hold(str(event["key"]), False)
            return
        if key == "Escape":
            self._escape()
        elif desk.palette.is_open:
            return
        elif "-" not in key[1:] and desk.eye.hold(key, True):
            desk.mark("walk")
        else:
            desk.attempt(lambda: self._commands.press(desk, key))

    def _escape(self) -> None:
        """Close what lies on top; the window itself when nothing does."""
        desk = self._desk
        if desk.palette.is_open:
            desk.palette.is_open = False
        elif desk.is_help_open:
            desk.is_help_open = False
        elif desk.pin is not None:
            desk.select(None)
        elif desk.glow is not None:
            desk.drop_glow()
        else:
            self._canvas.close()
