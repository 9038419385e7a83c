"""Every key, over the picture; made from the table that binds them."""

from __future__ import annotations

from imgui_bundle import imgui

from viewer.app.commands import Commands
from viewer.app.state import ViewerState

from .layout import Layout
from .theme import ACCENT, colour, quiet


def draw(state: ViewerState, layout: Layout, commands: Commands) -> None:
    """Draw the list of keys in the middle of the window."""
    size = (min(layout.width * 0.94, 860 * state.settings.ui_scale), min(layout.body_height * 0.96, 1000.0))
    place = ((layout.width - size[0]) / 2, layout.bar + (layout.body_height - size[1]) / 2)
    imgui.set_next_window_pos(imgui.ImVec2(*place))
    imgui.set_next_window_size(imgui.ImVec2(*size))
    flags = imgui.WindowFlags_.no_move | imgui.WindowFlags_.no_collapse | imgui.WindowFlags_.no_resize
    is_shown, is_open = imgui.begin("Keys", True, flags | imgui.WindowFlags_.no_saved_settings)
    if is_shown:
        columns = 2 if size[0] > 560 * state.settings.ui_scale else 1
        if imgui.begin_table("keys", 2 * columns, imgui.TableFlags_.sizing_stretch_prop):
            for _ in range(columns):
                imgui.table_setup_column("", imgui.TableColumnFlags_.width_stretch, 1.0)
                imgui.table_setup_column("", imgui.TableColumnFlags_.width_stretch, 1.5)
            for _, keys, effect in commands.help_lines():
                imgui.table_next_column()
                imgui.text_colored(colour(ACCENT), keys)
                imgui.table_next_column()
                imgui.text(effect)
            imgui.end_table()
        quiet("docs/viewer.md says more. ? or Esc closes this.")
    imgui.end()
    if not is_open:
        state.is_help_open = False
