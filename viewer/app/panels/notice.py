"""Over the picture, where a colouring has nothing to show: why, and the way on."""

from __future__ import annotations

from dataclasses import replace

from imgui_bundle import imgui

from viewer.app import appearance
from viewer.app.commands import Commands
from viewer.app.state import ViewerState
from viewer.picture.legend_entries import explain
from viewer.view.look import Mode

from .layout import Layout
from .theme import TEXT, WARN, colour

_FLAGS = (
    imgui.WindowFlags_.no_decoration
    | imgui.WindowFlags_.always_auto_resize
    | imgui.WindowFlags_.no_saved_settings
    | imgui.WindowFlags_.no_focus_on_appearing
    | imgui.WindowFlags_.no_bring_to_front_on_focus
)


def draw(state: ViewerState, layout: Layout, commands: Commands) -> None:
    """Draw the box in the free part of the picture; nothing where the colouring shows what it means."""
    why, way_on = explain(state.scene)
    if not why:
        return
    place = imgui.ImVec2(layout.left + layout.middle_width / 2, layout.bar + layout.body_height / 3)
    imgui.set_next_window_pos(place, 0, imgui.ImVec2(0.5, 0.5))
    imgui.begin("notice", None, _FLAGS)
    imgui.push_text_wrap_pos(0.8 * layout.middle_width)
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
