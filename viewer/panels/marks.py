"""What is written into the picture: labels, the selected page, pages that glow, what the cursor is over, messages."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from imgui_bundle import imgui

from viewer.curve import to_xyz
from viewer.desk import Desk
from viewer.labels import Label
from viewer.legend import HALO
from viewer.palette import material
from viewer.spot import LINE_BYTES, Spot, spot_lines

from . import Layout
from .theme import QUIET, TEXT, WARN, colour, packed, plain, push_mono

GLOW = (255, 250, 190)
_MOST_MARKS = 120
_CORNERS = np.array([[n & 1, n >> 1 & 1, n >> 2] for n in range(8)], np.float64)
_EDGES = [(a, a | 1 << axis) for a in range(8) for axis in range(3) if not a >> axis & 1]


def draw(desk: Desk, layout: Layout, labels: Sequence[Label], ratio: float, with_glow: bool = True) -> None:
    """Draw behind the panels; `labels` have places in physical pixels, `ratio` of them to a logical one."""
    pen = imgui.get_background_draw_list()
    if desk.glow is not None and with_glow:
        _draw_glow(desk, layout, pen)
    if desk.pin is not None:
        _draw_box(desk, layout, pen)
    taken: list[tuple[float, float, float, float]] = []
    for label in labels:
        _draw_label(pen, label, ratio, layout.width - layout.right, taken)
    _draw_messages(desk, layout)


def _to_screen(layout: Layout, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shift = np.array(layout.shift)
    x = (points[:, 0] + shift[0] + 1) / 2 * layout.width
    y = (1 - points[:, 1] - shift[1]) / 2 * layout.height
    return np.stack([x, y], axis=-1)


def _draw_glow(desk: Desk, layout: Layout, pen: imgui.ImDrawList) -> None:
    # The pages shine by themselves; a few that something may stand before get a dot as well.
    assert desk.glow is not None
    pages = desk.glow.pages
    if len(pages) > _MOST_MARKS:
        return
    edge = desk.scene.edge
    places = (to_xyz(pages.astype(np.uint64), desk.scene.page_order).astype(np.float64) + 0.5) / edge
    points = desk.project(places)
    screen = _to_screen(layout, points)
    ink, shade = packed(GLOW, 0.85), packed(HALO, 0.45)
    for (x, y), depth in zip(screen.tolist(), points[:, 2].tolist(), strict=True):
        if depth > 0.01 and 0 <= x <= layout.width and 0 <= y <= layout.height:
            radius = min(max(0.12 * layout.height / (edge * depth * 0.54), 1.5), 5.0)
            pen.add_circle_filled(imgui.ImVec2(x, y), radius + 1, shade, 8)
            pen.add_circle_filled(imgui.ImVec2(x, y), radius, ink, 8)


def _draw_box(desk: Desk, layout: Layout, pen: imgui.ImDrawList) -> None:
    assert desk.pin is not None
    low, high = desk.box_of(np.array([desk.pin >> 12]))
    points = desk.project(low + _CORNERS * (high - low))
    if points[:, 2].min() <= 0.002:
        return
    corners = [imgui.ImVec2(x, y) for x, y in _to_screen(layout, points).tolist()]
    for first, last in _EDGES:
        pen.add_line(corners[first], corners[last], packed(HALO, 0.8), 3.5)
    for first, last in _EDGES:
        pen.add_line(corners[first], corners[last], packed((255, 255, 255), 0.95), 1.5)


def _draw_label(
    pen: imgui.ImDrawList, label: Label, ratio: float, right: float, taken: list[tuple[float, float, float, float]]
) -> None:
    # `taken` holds left, top, right and bottom of the labels drawn before: one that would lie on them moves up.
    x, y = label.x / ratio, label.y / ratio
    words = plain(label.text)
    size = imgui.calc_text_size(words)
    place = (
        imgui.ImVec2(x - size.x / 2, y - size.y / 2) if label.is_block else imgui.ImVec2(x + 22, y - 18 - size.y / 2)
    )
    place = imgui.ImVec2(min(place.x, right - size.x - 8), place.y)
    for _ in range(4):
        box = (place.x - 6, place.y - 2, place.x + size.x + 6, place.y + size.y + 2)
        hit = [b for b in taken if box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3]]
        if not hit:
            break
        place = imgui.ImVec2(place.x, min(b[1] for b in hit) - size.y - 3)
    taken.append((place.x - 6, place.y - 2, place.x + size.x + 6, place.y + size.y + 2))
    if not label.is_block:
        end = imgui.ImVec2(place.x - 3, place.y + size.y / 2)
        pen.add_line(imgui.ImVec2(x, y), end, packed(HALO, 0.9), 3.0)
        pen.add_line(imgui.ImVec2(x, y), end, packed(label.colour), 1.3)
        pen.add_circle_filled(imgui.ImVec2(x, y), 2.5, packed(label.colour))
    pad = 4.0
    low, high = imgui.ImVec2(place.x - pad, place.y - 1), imgui.ImVec2(place.x + size.x + pad, place.y + size.y + 1)
    pen.add_rect_filled(low, high, packed(HALO, 0.72), 3)
    pen.add_text(place, packed(TEXT), words)


def _draw_messages(desk: Desk, layout: Layout) -> None:
    news = desk.news(time.monotonic())[-4:]
    if not news:
        return
    width = layout.middle_width * 0.9
    flags = imgui.WindowFlags_.no_decoration | imgui.WindowFlags_.no_inputs | imgui.WindowFlags_.always_auto_resize
    flags |= imgui.WindowFlags_.no_saved_settings | imgui.WindowFlags_.no_focus_on_appearing
    place = imgui.ImVec2(layout.left + layout.middle_width / 2, layout.height - layout.bar - 10)
    imgui.set_next_window_pos(place, 0, imgui.ImVec2(0.5, 1.0))
    imgui.begin("messages", None, flags)
    imgui.push_text_wrap_pos(width)
    for message in news:
        imgui.text_colored(colour(WARN if message.is_problem else TEXT), plain(message.text))
    imgui.pop_text_wrap_pos()
    imgui.end()


def draw_hover(spot: Spot) -> None:
    """The box beside the cursor: kind and owner, page and address, the bytes around."""
    if not imgui.begin_tooltip():
        return
    kind, address, _, _ = spot_lines(spot)
    here = spot.offset % LINE_BYTES
    tint = material(spot.page_class).colour
    pen, place = imgui.get_window_draw_list(), imgui.get_window_pos()
    low, high = place, imgui.ImVec2(place.x + 4, place.y + imgui.get_window_size().y)
    pen.add_rect_filled(low, high, packed(tint))
    imgui.text(plain(kind))
    push_mono()
    imgui.text_colored(colour(QUIET), address)
    cell, line = imgui.calc_text_size("0").x, imgui.get_text_line_height()
    origin = imgui.get_cursor_screen_pos()
    imgui.dummy(imgui.ImVec2(3 * cell * LINE_BYTES, 2 * line))
    x = origin.x + 3 * cell * here
    mark = imgui.ImVec2(x - cell * 0.3, origin.y), imgui.ImVec2(x + cell * 2.3, origin.y + 2 * line)
    pen.add_rect_filled(*mark, packed(tint, 0.5), 2)
    for number, byte in enumerate(spot.content):
        left = origin.x + 3 * cell * number
        ink = packed(TEXT if number == here else QUIET)
        pen.add_text(imgui.ImVec2(left, origin.y), ink, f"{byte:02x}")
        letter = chr(byte) if 32 < byte < 127 else "."
        pen.add_text(imgui.ImVec2(left + cell / 2, origin.y + line), ink, letter)
    imgui.pop_font()
    imgui.end_tooltip()
