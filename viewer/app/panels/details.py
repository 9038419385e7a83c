"""The panel at the right: a tab each for the inspector, hits, processes, overlays, launches, the GPU and views. Its left edge can be dragged."""

from __future__ import annotations

from dataclasses import replace

from imgui_bundle import imgui

from viewer.app.state import ViewerState

from . import gpu, hits, inspector, launches, overlays, processes, views
from .layout import Layout
from .theme import ACCENT, fixed_window, packed

_GRIP = 6.0
_TABS = (
    ("Inspector", inspector.draw),
    ("Hits", hits.draw),
    ("Processes", processes.draw),
    ("Overlays", overlays.draw),
    ("Launches", launches.draw),
    ("GPU", gpu.draw),
    ("Views", views.draw),
)


def draw(state: ViewerState, layout: Layout) -> None:
    """Draw the panel."""
    left = layout.width - layout.right
    fixed_window("details", (left, layout.bar), (layout.right, layout.body_height), imgui.WindowFlags_.no_scrollbar)
    _draw_grip(state, left, layout)
    if imgui.begin_tab_bar("tabs"):
        for name, draw_tab in _TABS:
            flags = imgui.TabItemFlags_.set_selected if state.tab == name else 0
            if imgui.begin_tab_item(name, None, flags)[0]:
                if imgui.begin_child("body"):
                    draw_tab(state)
                imgui.end_child()
                imgui.end_tab_item()
        state.tab = ""
        imgui.end_tab_bar()
    imgui.end()


def _draw_grip(state: ViewerState, left: float, layout: Layout) -> None:
    kept = imgui.get_cursor_pos()
    imgui.set_cursor_screen_pos(imgui.ImVec2(left, layout.bar))
    imgui.invisible_button("grip", imgui.ImVec2(_GRIP, layout.body_height))
    if imgui.is_item_hovered() or imgui.is_item_active():
        imgui.set_mouse_cursor(imgui.MouseCursor_.resize_ew)
        low, high = imgui.ImVec2(left, layout.bar), imgui.ImVec2(left + 2, layout.bar + layout.body_height)
        imgui.get_window_draw_list().add_rect_filled(low, high, packed(ACCENT))
    if imgui.is_item_active() and imgui.get_io().mouse_delta.x:
        wanted = (layout.width - imgui.get_io().mouse_pos.x) / state.settings.ui_scale
        state.settings = replace(state.settings, details_width=int(min(max(wanted, 200), 4000)))
        state.is_dirty_settings = True
    imgui.set_cursor_pos(kept)
