"""Where one is and where one was: the view as text, undo and redo, and the bookmarks of this machine."""

from __future__ import annotations

from functools import partial

from imgui_bundle import imgui

from viewer.app.desk import Desk
from viewer.view.views import Mode, format_view

from .theme import WARN, colour, plain, push_mono, quiet


def draw(desk: Desk) -> None:
    """Draw the tab's body."""
    for mode in Mode:
        if imgui.radio_button(mode.value, desk.eye.mode == mode):
            desk.set_mode(mode)
        imgui.same_line()
    imgui.new_line()
    if imgui.button("undo"):
        desk.undo()
    imgui.same_line()
    if imgui.button("redo"):
        desk.redo()
    imgui.same_line()
    if imgui.button("first view"):
        desk.mark("home")
        desk.eye.fly_to(desk.eye.home)
    imgui.same_line()
    if imgui.button("copy text"):
        desk.copy(format_view(desk.view), "this view: glassbox view NAME --at TEXT")
    imgui.separator_text("this view")
    push_mono()
    imgui.push_text_wrap_pos(0.0)
    imgui.text(format_view(desk.view).replace(",", ", "))
    imgui.pop_text_wrap_pos()
    imgui.pop_font()
    imgui.separator_text("go to a view")
    imgui.set_next_item_width(-1)
    is_entered, typed = imgui.input_text_with_hint(
        "##go", "paste a view and press Enter", "", imgui.InputTextFlags_.enter_returns_true
    )
    if is_entered and typed.strip():
        desk.jump(typed.strip())
    _draw_bookmarks(desk)


def _draw_bookmarks(desk: Desk) -> None:
    imgui.separator_text(f"bookmarks of {plain(desk.name)}")
    imgui.set_next_item_width(-1)
    is_entered, typed = imgui.input_text_with_hint(
        "##name", "name this view and press Enter", "", imgui.InputTextFlags_.enter_returns_true
    )
    if is_entered:
        desk.add_bookmark(typed)
    if desk.bookmarks.problem:
        imgui.push_text_wrap_pos(0.0)
        imgui.text_colored(colour(WARN), plain(desk.bookmarks.problem))
        imgui.pop_text_wrap_pos()
    if not desk.bookmarks.views:
        quiet("none yet; b keeps a view")
    for number, (name, view) in enumerate(list(desk.bookmarks.views.items())):
        if imgui.small_button(f"x##{number}"):
            desk.attempt(partial(desk.bookmarks.remove, name))
        imgui.same_line()
        if imgui.selectable(f"{plain(name)}##{number}", False)[0]:
            desk.jump(view)
        if imgui.is_item_hovered():
            imgui.set_tooltip(plain(view))
