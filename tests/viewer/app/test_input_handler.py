"""Pointer and keys, sent to a window on an offscreen canvas."""

from __future__ import annotations

import numpy as np
import pytest

from qemu_bridge.wire.records import PageClass
from viewer.app import highlighting, navigation, selection
from viewer.view.look import Layer

pytestmark = pytest.mark.usefixtures("no_errors")


def middle(screen):
    """Where the picture has something, in logical pixels."""
    layout = screen.window.gui.layout()
    return layout.left + layout.middle_width / 2, layout.height / 2


def test_a_drag_turns_a_drag_with_the_right_button_moves_and_the_wheel_zooms(screen):
    x, y = middle(screen)
    start = screen.state.controller.goal
    for button, changed in ((1, "yaw"), (2, "target")):
        before = screen.state.controller.goal
        screen.send("pointer_down", x=x, y=y, button=button, buttons=(button,))
        assert screen.state.is_dragging
        screen.send("pointer_move", x=x + 60, y=y + 10, button=0, buttons=(button,))
        screen.send("pointer_up", x=x + 60, y=y + 10, button=button)
        assert not screen.state.is_dragging
        assert getattr(screen.state.controller.goal, changed) != getattr(before, changed)
        assert screen.state.pin is None
    screen.send("wheel", x=x, y=y, dx=0, dy=-200)
    assert screen.state.controller.goal.distance < start.distance
    for _ in range(3):
        navigation.undo(screen.state)
    screen.draw_until(lambda: not screen.state.controller.is_moving)
    assert screen.state.controller.goal == start


def test_the_wheel_goes_to_what_is_under_the_pointer(screen):
    layout = screen.window.gui.layout()
    x, y = middle(screen)
    here = (x + 60, y + 40)
    shown = np.array([2 * here[0] / layout.width - 1 - layout.shift[0], 1 - 2 * here[1] / layout.height])
    screen.send("wheel", x=here[0], y=here[1], dx=0, dy=0)
    place = screen.state.controller.camera.at(*shown, screen.state.aspect)
    picked = screen.window.frames.pick(tuple(int(v * screen.window.canvas.get_pixel_ratio()) for v in here))
    if picked is not None:
        place = np.mean(navigation.box_of(screen.state, np.array([picked.page])), axis=0)
    before = navigation.project(screen.state, place[None])[0, :2]
    assert np.abs(before - shown).max() < 0.1
    for _ in range(3):
        screen.send("wheel", x=here[0], y=here[1], dx=0, dy=-100)
    screen.draw_until(lambda: not screen.state.controller.is_moving)
    assert np.allclose(navigation.project(screen.state, place[None])[0, :2], before, atol=0.01)
    navigation.go_home(screen.state)
    screen.draw_until(lambda: not screen.state.controller.is_moving)


def test_the_first_view_stays_in_what_panels_leave_free(screen):
    def edges():
        screen.draw()
        screen.draw_until(lambda: not screen.state.controller.is_moving)
        low, high = screen.state.scene.content_box()
        corners = low + np.array([[n & 1, n >> 1 & 1, n >> 2] for n in range(8)]) * (high - low)
        layout = screen.window.gui.layout()
        across = (navigation.project(screen.state, corners)[:, 0] + layout.shift[0] + 1) / 2 * layout.width
        return across.min() - layout.left, layout.width - layout.right - across.max()

    screen.state.open_panel("details", False)
    assert min(edges()) > 0
    wide = screen.state.controller.goal.distance
    screen.state.open_panel("details")
    assert min(edges()) > 0 and screen.state.controller.goal.distance > wide
    screen.state.open_panel("details", False)
    assert min(edges()) > 0 and screen.state.controller.goal.distance == wide
    screen.state.controller.aim(screen.state.controller.goal.orbit(10, 0))
    moved = screen.state.controller.goal
    screen.state.open_panel("details")
    screen.draw()
    assert screen.state.controller.goal == moved
    screen.state.open_panel("details", False)
    navigation.go_home(screen.state)
    screen.draw_until(lambda: not screen.state.controller.is_moving)


def test_the_pointer_at_rest_shows_what_is_there_and_a_click_selects_it(screen):
    x, y = middle(screen)
    screen.send("pointer_move", x=x, y=y)
    screen.draw_until(lambda: screen.state.hover is not None)
    picked = screen.state.hover
    screen.send("pointer_down", x=x, y=y, button=1, buttons=(1,))
    screen.send("pointer_up", x=x, y=y, button=1)
    assert screen.state.pin == picked.page * 4096 + picked.offset
    assert screen.state.is_open("details")
    screen.send("pointer_leave")
    screen.draw()
    assert screen.state.hover is None


def test_escape_closes_what_lies_on_top_first(screen):
    state = screen.state
    selection.select(state, 0x45010)
    highlighting.highlight_pages(state, "some", np.array([0x45, 0x46]), fly=False)
    state.is_help_open, state.command_palette.is_open = True, True
    for name in ("palette", "help", "pin", "glow"):
        is_open = {
            "palette": state.command_palette.is_open,
            "help": state.is_help_open,
            "pin": state.pin is not None,
            "glow": state.highlight is not None,
        }
        assert is_open[name]
        screen.press("Escape")
    screen.press("Escape")
    assert state.highlight is None and not screen.window.schedule.is_closed
    assert "ctrl-q" in state.messages[-1].text


def test_digits_toggle_layers_and_a_wrong_key_does_nothing(screen):
    screen.press("1")
    assert screen.state.scene.look.layer(PageClass.KERNEL_TEXT) is Layer.HIDDEN
    screen.press("1")
    for key in ("F17", "MediaPlay", "ß", ""):
        screen.press(key)
    assert screen.state.scene.look.layer(PageClass.KERNEL_TEXT) is Layer.SHOWN


def test_a_command_gets_the_next_key_that_is_pressed_and_the_settings_keep_it(screen):
    state, commands = screen.state, screen.window.commands
    screen.press("?")
    assert state.is_help_open
    state.rebinding = "frame"
    screen.press("Escape")
    assert not state.rebinding and state.is_help_open and commands.keys("frame") == ("f",)
    for key, modifiers, keys in (("Control", (), ("f",)), ("é", (), ("é",)), ("Backspace", (), ())):
        state.rebinding = "frame"
        screen.press(key, *modifiers)
        assert commands.keys("frame") == keys
        state.rebinding = ""
    state.rebinding = "frame"
    screen.press("f", "Control")
    assert state.settings.keys == {"frame": ("ctrl-f",)}
    screen.press("Escape")
    screen.draw()
    assert '"frame" = ["ctrl-f"]' in screen.window._settings_path.read_text()
    state.set_keys(commands.bind("frame", None))


def test_what_is_typed_into_a_field_is_no_command(screen):
    screen.press("/")
    screen.draw_until(lambda: screen.state.command_palette.is_ready)
    for key in ("-", " ", "?", "q", "é"):
        screen.send("key_down", key=key)
        screen.send("char", data=key)
        screen.send("key_up", key=key)
    screen.draw_until(lambda: screen.state.command_palette.query == "- ?qé")
    assert not screen.window.schedule.is_closed and not screen.state.is_help_open
    screen.press("Escape")
    screen.draw_until(lambda: not screen.state.command_palette.is_ready)


def test_a_canvas_without_a_clipboard_says_the_text(screen):
    screen.state.clipboard("yaw=3")
    assert screen.state.messages[-1].text == "yaw=3"
