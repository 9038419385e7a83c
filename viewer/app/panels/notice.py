"""Over the picture: why a colouring has nothing to show and the way on, what is being read, and a hint for the first minute."""

from __future__ import annotations

import time
from dataclasses import replace

from imgui_bundle import imgui

from viewer.app import appearance
from viewer.app.commands import Commands
from viewer.app.state import ViewerState
from viewer.picture.legend import format_bytes
from viewer.picture.legend_entries import explain
from viewer.view.look import Mode

from .layout import Layout
from .marks import GUIDE_LINES
from .theme import TEXT, WARN, colour

HINT = "Drag to turn, turn the wheel to go nearer, click a brick to inspect it. ? lists all keys."
_FLAGS = (
    imgui.WindowFlags_.no_decoration
    | imgui.WindowFlags_.always_auto_resize
    | imgui.WindowFlags_.no_saved_settings
    | imgui.WindowFlags_.no_focus_on_appearing
    | imgui.WindowFlags_.no_bring_to_front_on_focus
)


def draw(state: ViewerState, layout: Layout, commands: Commands) -> None:
    """Draw the box in the free part of the picture, and below it the hint of the first minute; nothing where there is nothing to say."""
    if loading := loading_words(state):
        # By itself a box is as wide as its words of the frame before, and these grow while they are read.
        imgui.set_next_window_content_size(imgui.calc_text_size(loading, wrap_width=_wrap(layout.middle_width)))
        _begin("loading", layout, 1 / 3)
        imgui.text_colored(colour(TEXT), loading)
        imgui.pop_text_wrap_pos()
        imgui.end()
    elif explain(state.scene, *state.others)[0]:
        _draw_explanation(state, layout, commands)
    # What has just happened is told where the hint is.
    if state.is_open("hint") and not state.recent_messages(time.monotonic()):
        # Beside the guide to addresses, which has the lower right corner, where there is room beside it.
        guide = GUIDE_LINES * imgui.get_text_line_height()
        _begin("hint", layout, 0.9, guide if layout.middle_width > 2 * guide else 0.0)
        imgui.text_colored(colour(TEXT), HINT)
        imgui.pop_text_wrap_pos()
        imgui.end()


def loading_words(state: ViewerState) -> str:
    """What of memory is still to be read before the picture is whole; empty when it is."""
    if state.watcher.is_following or state.watcher.error is not None or not state.watcher.is_started:
        return ""
    return f"Reading memory: {format_bytes(state.watcher.scanned_bytes)} of {format_bytes(len(state.source.ram.view))}"


def _begin(name: str, layout: Layout, height: float, reserved: float = 0.0) -> None:
    """A box at `height` of the free part of the picture, of which `reserved` pixels at its right belong to others."""
    width = layout.middle_width - reserved
    place = imgui.ImVec2(layout.left + width / 2, layout.bar + layout.body_height * height)
    imgui.set_next_window_pos(place, 0, imgui.ImVec2(0.5, 0.5))
    imgui.begin(name, None, _FLAGS)
    imgui.push_text_wrap_pos(_wrap(width))


def _wrap(width: float) -> float:
    return 0.8 * width


def _draw_explanation(state: ViewerState, layout: Layout, commands: Commands) -> None:
    why, way_on = explain(state.scene, *state.others)
    _begin("notice", layout, 1 / 3)
    imgui.text_colored(colour(WARN), why)
    imgui.text_colored(colour(TEXT), way_on)
    imgui.pop_text_wrap_pos()
    if state.scene.look.mode is Mode.EXECUTION:
        if imgui.button("watch execution"):
            commands.press(state, "g")
        imgui.same_line()
    if imgui.button("colour by class"):
        appearance.set_look(state, replace(state.scene.look, mode=Mode.CLASS))
    imgui.end()
