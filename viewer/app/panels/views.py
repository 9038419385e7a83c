"""The view as text, undo and redo, and the bookmarks of this machine."""

from __future__ import annotations

from functools import partial

from imgui_bundle import imgui

from viewer.app import navigation
from viewer.app.state import ViewerState
from viewer.view.views import Mode, format_view

from .theme import WARN, colour, plain, push_mono, quiet


def draw(state: ViewerState) -> None:
    """Draw the tab's body."""
    for mode in Mode:
        if imgui.radio_button(mode.value, state.controller.mode == mode):
            navigation.set_mode(state, mode)
        imgui.same_line()
    imgui.new_line()
    if imgui.button("undo"):
        navigation.undo(state)
    imgui.same_line()
    if imgui.button("redo"):
        navigation.redo(state)
    imgui.same_line()
    if imgui.button("first view"):
        navigation.mark(state, "home")
        state.controller.fly_to(state.controller.home)
    imgui.same_line()
    if imgui.button("copy text"):
        state.copy(format_view(state.view), "this view: glassbox view NAME --at TEXT")
    imgui.separator_text("this view")
    push_mono()
    imgui.push_text_wrap_pos(0.0)
    imgui.text(format_view(state.view).replace(",", ", "))
    imgui.pop_text_wrap_pos()
    imgui.pop_font()
    imgui.separator_text("go to a view")
    imgui.set_next_item_width(-1)
    is_entered, typed = imgui.input_text_with_hint(
        "##go", "paste a view and press Enter", "", imgui.InputTextFlags_.enter_returns_true
    )
    if is_entered and typed.strip():
        navigation.jump(state, typed.strip())
    _draw_bookmarks(state)


def _draw_bookmarks(state: ViewerState) -> None:
    imgui.separator_text(f"bookmarks of {plain(state.name)}")
    imgui.set_next_item_width(-1)
    is_entered, typed = imgui.input_text_with_hint(
        "##name", "name this view and press Enter", "", imgui.InputTextFlags_.enter_returns_true
    )
    if is_entered:
        navigation.add_bookmark(state, typed)
    if state.bookmarks.problem:
        imgui.push_text_wrap_pos(0.0)
        imgui.text_colored(colour(WARN), plain(state.bookmarks.problem))
        imgui.pop_text_wrap_pos()
    if not state.bookmarks.views:
        quiet("none yet; b keeps a view")
    for number, (name, view) in enumerate(list(state.bookmarks.views.items())):
        if imgui.small_button(f"x##{number}"):
            state.attempt(partial(state.bookmarks.remove, name))
        imgui.same_line()
        if imgui.selectable(f"{plain(name)}##{number}", False)[0]:
            navigation.jump(state, view)
        if imgui.is_item_hovered():
            imgui.set_tooltip(plain(view))
