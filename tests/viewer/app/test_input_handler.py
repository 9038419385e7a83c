"""Pointer and keys, sent to a window on an offscreen canvas."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.wire.records import PageClass
from viewer.view.look import Layer

pytestmark = pytest.mark.usefixtures("no_errors")


def middle(screen):
    """Where the picture has something, in logical pixels."""
    layout = screen.window.gui.layout()
    return layout.left + layout.middle_width / 2, layout.height / 2


def test_a_drag_turns_a_drag_with_the_right_button_moves_and_the_wheel_zooms(screen):
    x, y = middle(screen)
    start = screen.desk.eye.goal
    for button, changed in ((1, "yaw"), (2, "target")):
        before = screen.desk.eye.goal
        screen.send("pointer_down", x=x, y=y, button=button, buttons=(button,))
        assert screen.desk.is_dragging
        screen.send("pointer_move", x=x + 60, y=y + 10, button=0, buttons=(button,))
        screen.send("pointer_up", x=x + 60, y=y + 10, button=button)
        assert not screen.desk.is_dragging
        assert getattr(screen.desk.eye.goal, changed) != getattr(before, changed)
        assert screen.desk.pin is None
    screen.send("wheel", x=x, y=y, dx=0, dy=-200)
    assert screen.desk.eye.goal.distance < start.distance
    for _ in range(3):
        screen.desk.undo()
    screen.draw_until(lambda: not screen.desk.eye.is_moving)
    assert screen.desk.eye.goal == start


def test_the_pointer_at_rest_shows_what_is_there_and_a_click_selects_it(screen):
    x, y = middle(screen)
    screen.send("pointer_move", x=x, y=y)
    screen.draw_until(lambda: screen.desk.hover is not None)
    spot = screen.desk.hover
    screen.send("pointer_down", x=x, y=y, button=1, buttons=(1,))
    screen.send("pointer_up", x=x, y=y, button=1)
    assert screen.desk.pin == spot.page * 4096 + spot.offset
    assert screen.desk.is_open("details")
    screen.send("pointer_leave")
    screen.draw()
    assert screen.desk.hover is None


def test_escape_closes_what_lies_on_top_first(screen):
    desk = screen.desk
    desk.select(0x45010)
    desk.show_pages("some", np.array([0x45, 0x46]), fly=False)
    desk.is_help_open, desk.palette.is_open = True, True
    for state in ("palette", "help", "pin", "glow"):
        is_open = {
            "palette": desk.palette.is_open,
            "help": desk.is_help_open,
            "pin": desk.pin is not None,
            "glow": desk.glow is not None,
        }
        assert is_open[state]
        screen.press("Escape")
    assert desk.glow is None and not screen.window.schedule.is_closed


def test_digits_toggle_layers_and_a_wrong_key_does_nothing(screen):
    screen.press("1")
    assert screen.desk.scene.look.layer(PageClass.KERNEL_TEXT) is Layer.HIDDEN
    screen.press("1")
    for key in ("F17", "MediaPlay", "ß", ""):
        screen.press(key)
    assert screen.desk.scene.look.layer(PageClass.KERNEL_TEXT) is Layer.SHOWN


def test_a_canvas_without_a_clipboard_says_the_text(screen):
    screen.desk.clipboard("yaw=3")
    assert screen.desk.messages[-1].text == "yaw=3"
