"""Pointer and keys of a window: what an event of the canvas does to the viewer's state.

ImGui takes an event first, where it is for a panel. What is left moves the camera (`viewer.app.camera_controller`), selects
a byte or is a command's key (`viewer.app.commands`). What is typed for a field that is not there yet waits for it, in order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from qemu_bridge.memory.addresses import PAGE_SIZE

from . import glow, navigation, selection
from .commands import Commands
from .gui import Gui
from .key_names import ENDS, key_text, parse_key
from .pick import PickResult, pick_lines
from .schedule import Schedule
from .state import ViewerState

log = logging.getLogger(__name__)

CLICK_PIXELS = 4
FRAMES_TO_FOCUS = 2
"""After ImGui has handled a click or Enter, until it has given the keyboard to another field, or to none."""
PASTE_KEYS = ("ctrl-v", "shift-Insert")
_POINTER = ("pointer_down", "pointer_move", "pointer_up", "pointer_leave")
_KEYBOARD = ("key_down", "key_up", "char")
_ARROWS = ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown")


class InputHandler:
    """Applies the events of a canvas to the viewer's state."""

    def __init__(
        self,
        canvas: Any,  # noqa: ANN401  # of rendercanvas, which has no types
        state: ViewerState,
        gui: Gui,
        commands: Commands,
        schedule: Schedule,
        pick: Callable[[tuple[int, int]], PickResult | None],
    ) -> None:
        """`pick` says what is at a place of the picture, in physical pixels."""
        self._canvas, self._state, self._gui = canvas, state, gui
        self._commands, self._schedule, self._pick = commands, schedule, pick
        self._drag: tuple[float, float] | None = None
        self._pressed = (0.0, 0.0)
        # Where the wheel was turned last, and what was there: what moves under a pointer at rest is still the goal.
        self._zoomed: tuple[tuple[float, float], npt.NDArray[np.float64]] | None = None
        self._typed_early: list[dict[str, Any]] = []
        self._frames_to_focus = 0
        self._is_character_used = False
        canvas.add_event_handler(self._on_pointer, *_POINTER)
        canvas.add_event_handler(self._on_wheel, "wheel")
        canvas.add_event_handler(self._on_key, "key_down", "key_up")
        canvas.add_event_handler(lambda _: schedule.request(), "resize")
        # Before ImGui takes an event for itself: whatever it is, it may change what the panels show.
        canvas.add_event_handler(self._on_any, *_POINTER, "wheel", *_KEYBOARD, order=-100)

    def _on_any(self, event: dict[str, Any]) -> None:
        kind = event["event_type"]
        if kind != "wheel":
            self._zoomed = None
        if kind == "pointer_leave":
            self._gui.forget_pointer()
        elif kind == "pointer_move" and self._gui.wants_mouse:
            self._state.cursor = None
        elif kind in _KEYBOARD and self._takes_first(kind, event):
            event["stop_propagation"] = True
        elif (kind == "pointer_down" and self._gui.wants_mouse) or (kind == "key_down" and event["key"] in ENDS):
            self._frames_to_focus = FRAMES_TO_FOCUS
        elif kind == "key_down" and event["modifiers"] and self._gui.wants_text:
            # ImGui looks whether Control or Shift is held when it draws, by when it may be released again.
            self._frames_to_focus = max(self._frames_to_focus, 1)
        self._schedule.add_event()
        for machine in self._state.machines:
            machine.watcher.scan_soon()

    def _takes_first(self, kind: str, event: dict[str, Any]) -> bool:
        """Whether ImGui is not to have a keyboard event."""
        if kind == "char" and self._is_character_used:
            # The character of a key that was a command is not text of the field that the command opened.
            self._is_character_used = False
            return True
        if kind == "key_down":
            self._is_character_used = False
        if self._is_focus_moving() or self._typed_early or self._begins_paste(kind, event):
            self._typed_early.append(event)
            return True
        if kind == "key_down" and event["key"] == "Escape":
            # ImGui would keep it: in the search box it means to take back what was typed.
            return self._escape()
        if kind == "key_down" and self._state.rebinding:
            self._rebind(event)
            return True
        return kind != "char" and not self._gui.knows_key(event["key"])

    def _is_focus_moving(self) -> bool:
        box, clipboard = self._state.command_palette, self._gui.clipboard
        is_reading = clipboard is not None and clipboard.is_reading
        return box.is_open is not box.is_ready or self._frames_to_focus > 0 or is_reading

    def _begins_paste(self, kind: str, event: dict[str, Any]) -> bool:
        """Whether a key pastes into a field, for which the clipboard has to be read first: the key then comes again."""
        clipboard = self._gui.clipboard
        is_paste = kind == "key_down" and key_text(event) in PASTE_KEYS and self._gui.wants_text
        if clipboard is None or not is_paste or event.get("is_read"):
            return False
        event["is_read"] = True
        clipboard.read()
        return True

    def release_keyboard(self) -> None:
        """Pass on what was typed before the field that it is for was there; after each frame."""
        if not self._gui.has_input_waiting:
            self._frames_to_focus = max(self._frames_to_focus - 1, 0)
        if self._typed_early and not self._is_focus_moving():
            events, self._typed_early = self._typed_early, []
            for event in events:
                self._canvas.submit_event({name: event[name] for name in event if name != "stop_propagation"})
            self._schedule.request()

    def _rebind(self, event: dict[str, Any]) -> None:
        """Give the command that waits for a key the one that was pressed; none with Backspace."""
        state, key = self._state, key_text(event)
        if event["key"] in ("Backspace", "Delete"):
            keys: tuple[str, ...] = ()
        else:
            try:
                keys = (parse_key(key),)
            except ValueError:
                return  # a modifier, or a key that no command can have
        self._is_character_used = True
        name, state.rebinding = state.rebinding, ""
        state.set_keys(self._commands.bind(name, keys))

    def _on_pointer(self, event: dict[str, Any]) -> None:
        kind = event["event_type"]
        if kind == "pointer_leave":
            self._state.cursor = None
            return
        here = (float(event["x"]), float(event["y"]))
        if kind == "pointer_down":
            self._state.open_panel("hint", False)  # it has been found out how
            self._pressed = here
            self._hold(here)
            navigation.mark(self._state, "grasp")
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
            self._state.controller.drag(dx / height, dy / height, is_pan)

    def _hold(self, here: tuple[float, float] | None) -> None:
        self._drag, self._state.is_dragging = here, here is not None

    def _point_at(self, here: tuple[float, float]) -> tuple[int, int]:
        ratio = self._canvas.get_pixel_ratio()
        self._state.cursor = cursor = (int(here[0] * ratio), int(here[1] * ratio))
        return cursor

    def _click(self, here: tuple[float, float]) -> None:
        picked = self._pick(self._point_at(here))
        if picked is None:
            selection.select(self._state, None)
            return
        selection.select(self._state, picked.page * PAGE_SIZE + picked.offset, picked.machine)
        log.info("%s", "; ".join(pick_lines(picked)))

    def _on_wheel(self, event: dict[str, Any]) -> None:
        here = (float(event["x"]), float(event["y"]))
        if self._zoomed is None or here != self._zoomed[0]:
            self._zoomed = here, self._place_at(here)
        navigation.mark(self._state, "wheel")
        self._state.controller.wheel(-float(event["dy"]) / 100, self._zoomed[1])

    def _place_at(self, here: tuple[float, float]) -> npt.NDArray[np.float64]:
        width, height = self._canvas.get_logical_size()
        x, y = 2 * here[0] / max(width, 1) - 1, 1 - 2 * here[1] / max(height, 1)
        picked = self._pick(self._point_at(here))
        return navigation.place_at(self._state, picked, x, y, self._gui.layout().shift)

    def _on_key(self, event: dict[str, Any]) -> None:
        key, state = key_text(event), self._state
        # Walking keys are held with Shift, too.
        move = key if key in _ARROWS else self._commands.walk(str(event["key"]).lower())
        if event["event_type"] == "key_up":
            state.controller.hold(move, False)
        elif event.get("repeat") or state.command_palette.is_open or self._gui.wants_text:
            pass
        elif "-" not in key[1:] and state.controller.hold(move, True):
            navigation.mark(state, "walk")
        else:
            state.attempt(lambda: self._press(key))

    def _press(self, key: str) -> None:
        # Before the command, which may open a field.
        self._is_character_used = True
        self._commands.press(self._state, key)

    def _escape(self) -> bool:
        """Close what is on top; return whether that was for us to do, and not for a field of a panel."""
        state = self._state
        if state.rebinding:
            state.rebinding = ""
        elif state.command_palette.is_open:
            state.command_palette.is_open = False
        elif self._gui.is_menu_open:
            self._gui.close_menus()
        elif self._gui.wants_text:
            return False
        elif state.is_help_open:
            state.is_help_open = False
        elif state.pin is not None:
            selection.select(state, None)
        elif any(machine.highlight is not None for machine in state.machines):
            glow.clear_highlight(state)
        else:
            keys = self._commands.key_names("close")
            state.notify(f"nothing is open that Esc could close; {keys or 'the menu Machine'} closes the window")
        return True
