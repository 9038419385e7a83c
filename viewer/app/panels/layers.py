"""The legend: what colours mean, how much there is of each, what shows. A click hides, a right click isolates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from imgui_bundle import imgui

from qemu_bridge.memory.addresses import PAGE_SIZE
from qemu_bridge.wire.records import PageClass
from viewer.app import appearance, highlighting
from viewer.app.state import ViewerState
from viewer.picture.legend import format_bytes, legend_classes, shorten, voxels
from viewer.picture.legend_entries import GLOW, glow_bytes, scale_ticks
from viewer.view.look import Layer, Mode, Slice, value_ramp
from viewer.view.palette import GLOW_COLOUR, HIGHLIGHT_COLOUR, PALETTES, Rgb, colour_of

from . import transfer
from .layout import Layout
from .theme import QUIET, TEXT, colour, fixed_window, packed, plain, quiet


def draw(state: ViewerState, layout: Layout) -> None:
    """Draw the panel at the left."""
    fixed_window("layers", (0, layout.bar), (layout.left, layout.body_height))
    headline, _, rest = state.source.title.partition(" · ")
    imgui.push_font(None, imgui.get_style().font_size_base * 1.5)
    imgui.text(plain(headline))
    imgui.pop_font()
    for words in filter(None, rest.split(" · ")):
        quiet(plain(words))
    imgui.dummy(imgui.ImVec2(1, 6))
    if state.scene.look.mode is not Mode.CLASS:
        _draw_legend_entries(state)
    counts = state.scene.page_map.counts() if state.scene.page_map is not None else {}
    for number, page_class in enumerate(legend_classes(state.scene), 1):
        _draw_class(state, page_class, counts.get(page_class, 0), number)
    title, pages = state.scene.highlighted
    if title:
        _draw_entry(title, HIGHLIGHT_COLOUR, pages * PAGE_SIZE)
    if (glowing := glow_bytes(state.scene)) is not None:
        _draw_entry(GLOW, GLOW_COLOUR, glowing)
    imgui.dummy(imgui.ImVec2(1, 4))
    if imgui.small_button("show all"):
        appearance.show_all(state)
    _draw_colouring(state)
    _draw_voxels(state)
    imgui.end()


def _draw_legend_entries(state: ViewerState) -> None:
    """The legend of the mode, where colours are not those of the classes below."""
    look = state.scene.look
    imgui.separator_text(look.mode.label)
    rows = state.legend_cache.rows(*(state.scenes if look.mode is Mode.EQUAL else [state.scene]))
    for row in rows:
        _draw_entry(row.label, row.colour, row.size_bytes)
    if not rows and (scale := scale_ticks(look.mode, look.transfer)):
        _draw_ramp(state)
        quiet(f"{scale[-1][1]}  to  {scale[0][1]}")
    imgui.separator_text("layers")


def _draw_entry(label: str, tint: Rgb, size_bytes: int) -> None:
    place, height = imgui.get_cursor_screen_pos(), imgui.get_text_line_height()
    pen, edge = imgui.get_window_draw_list(), 0.62 * height
    corner = imgui.ImVec2(place.x + 2, place.y + (height - edge) / 2)
    pen.add_rect_filled(corner, imgui.ImVec2(corner.x + edge, corner.y + edge), packed(tint), 2)
    size = format_bytes(size_bytes)
    right = imgui.get_content_region_avail().x - imgui.calc_text_size(size).x
    imgui.set_cursor_pos_x(imgui.get_cursor_pos_x() + edge + 10)
    imgui.text(plain(shorten(label, 18)))
    imgui.same_line(right + 8)
    quiet(size)


def _draw_colouring(state: ViewerState) -> None:
    look = state.scene.look
    imgui.separator_text("colour")
    imgui.set_next_item_width(-1)
    if imgui.begin_combo("##mode", look.mode.label):
        for mode in Mode:
            if imgui.selectable(mode.label, mode is look.mode)[0]:
                appearance.set_look(state, replace(look, mode=mode))
        imgui.end_combo()
    if look.mode is Mode.BYTES:
        transfer.draw(state)
    imgui.set_next_item_width(-1)
    if imgui.begin_combo("##palette", f"palette {look.palette}"):
        for name in PALETTES:
            if imgui.selectable(name, name == look.palette)[0]:
                appearance.set_look(state, replace(look, palette=name))
        imgui.end_combo()
    for name, label in (("owner_edges", "owner boundaries"), ("shading", "shading"), ("heat", "glow of writes")):
        changed, is_on = imgui.checkbox(label, getattr(look, name))
        if changed:
            switched: dict[str, Any] = {name: is_on}
            appearance.set_look(state, replace(look, **switched))
    _draw_slice(state)


def _draw_ramp(state: ViewerState) -> None:
    place, width = imgui.get_cursor_screen_pos(), imgui.get_content_region_avail().x
    height = imgui.get_text_line_height() * 0.6
    pen, steps = imgui.get_window_draw_list(), value_ramp(state.scene.look)
    for number in range(64):
        low = imgui.ImVec2(place.x + width * number / 64, place.y)
        # To the end, under those that follow: where smoothed edges met, the background would show.
        high = imgui.ImVec2(place.x + width, place.y + height)
        red, green, blue = steps[number * 4].tolist()
        pen.add_rect_filled(low, high, packed((red, green, blue)))
    imgui.dummy(imgui.ImVec2(width, height))


def _draw_slice(state: ViewerState) -> None:
    if not imgui.tree_node("slice"):
        return
    look, box = state.scene.look, state.scene.look.box
    for axis, name in enumerate("xyz"):
        low, high = box.low[axis], box.high[axis]
        imgui.set_next_item_width(-24)
        changed, values = imgui.slider_float2(name, [low, high], 0.0, 1.0, "%.2f")
        if changed:
            first = min(max(values[0], 0.0), 0.98)
            past = min(max(values[1], first + 0.02), 1.0)
            lows, highs = list(box.low), list(box.high)
            lows[axis], highs[axis] = first, past
            appearance.set_look(
                state, replace(look, box=Slice((lows[0], lows[1], lows[2]), (highs[0], highs[1], highs[2])))
            )
    imgui.tree_pop()


def _draw_class(state: ViewerState, page_class: PageClass, pages: int, number: int) -> None:
    layer = state.scene.look.layer(page_class)
    shows = page_class in state.scene.visible
    place = imgui.get_cursor_screen_pos()
    height = imgui.get_text_line_height()
    width = imgui.get_content_region_avail().x
    imgui.push_id(int(page_class))
    imgui.selectable("##row", False, 0, imgui.ImVec2(width, height))
    if imgui.is_item_hovered():
        imgui.set_tooltip(
            "click: show or hide\nright click: show only this, or all again\nshift click: dim it\nmiddle click: fly there"
        )
    if imgui.is_item_clicked(0):
        if imgui.get_io().key_shift:
            appearance.dim(state, page_class)
        else:
            appearance.toggle(state, [page_class])
    if imgui.is_item_clicked(1):
        appearance.isolate(state, page_class)
    if imgui.is_item_clicked(2):
        highlighting.highlight_class(state, page_class, fly=True)
    imgui.pop_id()
    pen = imgui.get_window_draw_list()
    # Where colours are not those of classes, that of a class would mislead.
    look = state.scene.look
    tint = colour_of(page_class, look.palette) if look.mode is Mode.CLASS else QUIET
    edge = height * 0.62
    corner = imgui.ImVec2(place.x + 2, place.y + (height - edge) / 2)
    end = imgui.ImVec2(corner.x + edge, corner.y + edge)
    if shows:
        pen.add_rect_filled(corner, end, packed(tint, 0.4 if layer is Layer.DIMMED else 1.0), 2)
    else:
        pen.add_rect(corner, end, packed(tint, 0.7), 2)
    name = f"{number}  {page_class.label}" if number < 10 else f"    {page_class.label}"
    pen.add_text(imgui.ImVec2(end.x + 8, place.y), packed(TEXT if shows else QUIET, 1.0 if shows else 0.6), name)
    size = format_bytes(pages * PAGE_SIZE)
    right = place.x + width - imgui.calc_text_size(size).x
    pen.add_text(imgui.ImVec2(right, place.y), packed(QUIET, 1.0 if shows else 0.6), size)


def _draw_voxels(state: ViewerState) -> None:
    pool = state.scene.pool
    voxel = "1 byte" if pool.coarsening == 0 else f"{8**pool.coarsening} bytes, the largest"
    imgui.push_text_wrap_pos(0.0)
    imgui.push_style_color(imgui.Col_.text, colour(QUIET))
    imgui.text(
        f"voxel: {voxel}; brick: a page of 4 KiB; Hilbert curve of order {pool.order}, {voxels(state.scene)} voxels"
    )
    imgui.pop_style_color()
    imgui.pop_text_wrap_pos()
