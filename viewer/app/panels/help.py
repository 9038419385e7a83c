"""Every key, over the picture, made from the table that binds them; a click on a command's keys gives it another."""

from __future__ import annotations

from imgui_bundle import imgui

from viewer.app.commands import GESTURES, Commands
from viewer.app.state import ViewerState

from .layout import Layout
from .theme import ACCENT, QUIET, WARN, colour, quiet

_TITLE = "Keys"


def draw(state: ViewerState, layout: Layout, commands: Commands) -> None:
    """Draw the list of keys in the middle of the window, and change those that are chosen in it."""
    size = (min(layout.width * 0.94, 900 * state.settings.ui_scale), min(layout.body_height * 0.96, 1000.0))
    place = ((layout.width - size[0]) / 2, layout.bar + (layout.body_height - size[1]) / 2)
    imgui.set_next_window_pos(imgui.ImVec2(*place))
    imgui.set_next_window_size(imgui.ImVec2(*size))
    imgui.set_next_window_bg_alpha(1.0)  # words behind would show between its own
    flags = imgui.WindowFlags_.no_move | imgui.WindowFlags_.no_collapse | imgui.WindowFlags_.no_resize
    is_shown, is_open = imgui.begin(_TITLE, True, flags | imgui.WindowFlags_.no_saved_settings)
    if is_shown:
        imgui.push_text_wrap_pos(0.0)
        quiet("Click on a command's keys to give it another. They are kept in viewer.toml; docs/viewer.md says more.")
        imgui.pop_text_wrap_pos()
        columns = 2 if size[0] > 560 * state.settings.ui_scale else 1
        if imgui.begin_table("keys", 2 * columns, imgui.TableFlags_.sizing_stretch_prop):
            for _ in range(columns):
                imgui.table_setup_column("", imgui.TableColumnFlags_.width_stretch, 1.0)
                imgui.table_setup_column("", imgui.TableColumnFlags_.width_stretch, 1.6)
            for keys, effect in GESTURES:
                imgui.table_next_column()
                imgui.text_colored(colour(QUIET), keys)
                imgui.table_next_column()
                imgui.text_wrapped(effect)
            for name, title, menu in commands.help_lines():
                imgui.table_next_column()
                _draw_keys(state, commands, name)
                imgui.table_next_column()
                imgui.text_wrapped(title)
                if imgui.is_item_hovered():
                    imgui.set_tooltip(f"menu {menu}; {name} in viewer.toml")
            imgui.end_table()
    imgui.end()
    if not is_open:
        state.is_help_open, state.rebinding = False, ""


def _draw_keys(state: ViewerState, commands: Commands, name: str) -> None:
    is_waiting = state.rebinding == name
    words = "press a key" if is_waiting else commands.key_names(name) or "none"
    tint = WARN if is_waiting else ACCENT if commands.keys(name) else QUIET
    imgui.push_style_color(imgui.Col_.text, colour(tint))
    if imgui.selectable(f"{words}##{name}", is_waiting)[0]:
        state.rebinding = "" if is_waiting else name
    imgui.pop_style_color()
    if imgui.is_item_hovered():
        imgui.set_tooltip(
            "Esc: as before, Backspace: no key" if is_waiting else "click: another key; right click: as at first"
        )
    if imgui.is_item_clicked(imgui.MouseButton_.right) and commands.is_changed(name):
        state.set_keys(commands.bind(name, None))
