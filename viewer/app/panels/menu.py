"""The menu bar: every command by menu, and the machine's name at the right."""

from __future__ import annotations

from imgui_bundle import imgui

from viewer.app.commands import Commands
from viewer.app.state import ViewerState

from .theme import QUIET, colour

_CHECKED = {"layers": "layers", "details": "details", "labels": "labels"}


def draw(state: ViewerState, commands: Commands) -> None:
    """Draw the menu bar and do what is chosen from it."""
    if not imgui.begin_main_menu_bar():
        return
    for menu, rows in commands.menus().items():
        if imgui.begin_menu(menu):
            for command in rows:
                is_checked = _is_checked(state, command.name)
                keys = commands.key_names(command.name, 2)
                if imgui.menu_item(command.title, keys, is_checked)[0]:
                    command.run(state)
            imgui.end_menu()
    title = state.source.title
    space = imgui.get_content_region_avail().x - imgui.calc_text_size(title).x
    if space > 20:
        imgui.same_line(imgui.get_cursor_pos_x() + space - 8)
        imgui.text_colored(colour(QUIET), title)
    imgui.end_main_menu_bar()


def _is_checked(state: ViewerState, name: str) -> bool:
    return state.is_open(_CHECKED[name]) if name in _CHECKED else name == state.controller.mode.value
