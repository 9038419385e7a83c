"""What is written into the picture: labels, the selected page, highlighted pages, what the cursor is over, messages."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from imgui_bundle import imgui

from viewer.app import navigation
from viewer.app.pick import LINE_BYTES, PickResult, pick_lines
from viewer.app.state import ViewerState
from viewer.picture.arcs import PlacedArc, place_arcs, place_words
from viewer.picture.legend import HALO, name_labels, scene_guide
from viewer.render.scene import Scene
from viewer.view.arcs import COLOUR as ARC_COLOUR
from viewer.view.arcs import arrow_head
from viewer.view.curve import to_xyz
from viewer.view.labels import Box, Label, arrange
from viewer.view.palette import material

from .layout import Layout
from .theme import QUIET, TEXT, WARN, colour, packed, plain, push_mono

HIGHLIGHT = (255, 250, 190)
LABEL_GAP = 3.0
_PAD = 4.0
_LEAST_STRENGTH = 0.45
"""Of words of arcs: as long as they are there they can be read."""
_MOST_MARKS = 120
GUIDE_LINES = 13.0
"""Width of the guide to the curve, in lines of text."""
_LEAST_HEIGHT = 360.0
"""Of the picture in a window, in logical pixels, for the guide to the curve."""
_CORNERS = np.array([[n & 1, n >> 1 & 1, n >> 2] for n in range(8)], np.float64)
_EDGES = [(a, a | 1 << axis) for a in range(8) for axis in range(3) if not a >> axis & 1]


def draw(
    state: ViewerState, layout: Layout, labels: Sequence[Label], ratio: float, with_highlight: bool = True
) -> None:
    """Draw behind the panels; `labels` have places in physical pixels, `ratio` of them to a logical one."""
    pen = imgui.get_background_draw_list()
    for machine in state.machines:
        if machine.highlight is not None and with_highlight:
            _draw_highlight(state, machine.scene, machine.highlight.pages, layout, pen)
    _draw_arcs(state, layout, pen)
    _draw_names(state, layout, pen)
    if state.pin is not None:
        _draw_box(state, layout, pen)
    _draw_labels(pen, labels, ratio, layout)
    if state.is_open("labels") and not state.is_open("minimap") and layout.body_height > _LEAST_HEIGHT:
        _draw_guide(state, layout, pen)
    _draw_messages(state, layout)


def _to_screen(layout: Layout, points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shift = np.array(layout.shift)
    x = (points[:, 0] + shift[0] + 1) / 2 * layout.width
    y = (1 - points[:, 1] - shift[1]) / 2 * layout.height
    return np.stack([x, y], axis=-1)


def _draw_arcs(state: ViewerState, layout: Layout, pen: imgui.ImDrawList) -> None:
    # What machines send each other: from sender to receiver, fainter as it grows older.
    size, scale = (layout.width, layout.height), state.settings.ui_scale
    placed = place_arcs(state.scenes, state.arcs, state.controller.camera, size, layout.shift)
    for arc in placed:
        ink, width = packed(ARC_COLOUR, arc.strength), arc.width * scale
        path = [imgui.ImVec2(x, y) for x, y in arc.path.tolist()]
        for shade, extra in ((packed(HALO, 0.5 * arc.strength), 2), (ink, 0)):
            for one, other in itertools.pairwise(path):
                pen.add_line(one, other, shade, width + extra)
        tip, left_end, right_end = (
            imgui.ImVec2(x, y) for x, y in arrow_head(arc.path, 9 * scale + 2.5 * width).tolist()
        )
        pen.add_triangle_filled(tip, left_end, right_end, ink)
    _draw_words_of_arcs(placed, layout, _name_boxes(state, layout), pen)


def _draw_words_of_arcs(arcs: Sequence[PlacedArc], layout: Layout, taken: Sequence[Box], pen: imgui.ImDrawList) -> None:
    line = imgui.get_text_line_height()
    area = (layout.left + _PAD, layout.bar + _PAD, layout.width - layout.right - _PAD, layout.height - _PAD)
    for each in place_words(arcs, lambda words: imgui.calc_text_size(plain(words)).x + 2 * _PAD, line, area, taken):
        left, top, right, bottom = each.box
        strength = max(each.arc.strength, _LEAST_STRENGTH)
        pen.add_rect_filled(imgui.ImVec2(left, top), imgui.ImVec2(right, bottom), packed(HALO, 0.8 * strength), 3)
        for number, words in enumerate(each.lines):
            at = imgui.ImVec2((left + right - imgui.calc_text_size(plain(words)).x) / 2, top + number * line)
            pen.add_text(at, packed(ARC_COLOUR, strength), plain(words))


def _name_boxes(state: ViewerState, layout: Layout) -> list[Box]:
    """Where the names of machines stand."""
    size = (round(layout.width), round(layout.height))
    boxes = []
    for label in name_labels(state.scenes, state.controller.camera, size, layout.shift):
        extent = imgui.calc_text_size(plain(label.text))
        left = min(max(label.x - extent.x / 2, layout.left + 4), layout.width - layout.right - extent.x - 4)
        top = max(label.y - extent.y - 6, layout.bar + 4)
        boxes.append((left - _PAD, top - 1, left + extent.x + _PAD, top + extent.y + 1))
    return boxes


def _draw_names(state: ViewerState, layout: Layout, pen: imgui.ImDrawList) -> None:
    # Over the cubes, where there are several; that of the active machine is bright.
    size = (round(layout.width), round(layout.height))
    labels = name_labels(state.scenes, state.controller.camera, size, layout.shift)
    for label, (left, top, right, bottom) in zip(labels, _name_boxes(state, layout), strict=True):
        is_active = label.text == state.name
        pen.add_rect_filled(imgui.ImVec2(left, top), imgui.ImVec2(right, bottom), packed(HALO, 0.82), 3)
        pen.add_text(imgui.ImVec2(left + _PAD, top + 1), packed(TEXT if is_active else QUIET), plain(label.text))


def _draw_highlight(
    state: ViewerState, scene: Scene, pages: npt.NDArray[np.int64], layout: Layout, pen: imgui.ImDrawList
) -> None:
    # The renderer highlights the pages; a few of them, which other pages may hide, get a dot as well.
    if len(pages) > _MOST_MARKS:
        return
    places = scene.to_units(to_xyz(pages.astype(np.uint64), scene.page_order).astype(np.float64) + 0.5)
    points = navigation.project(state, places)
    screen = _to_screen(layout, points)
    ink, shade = packed(HIGHLIGHT, 0.85), packed(HALO, 0.45)
    for (x, y), depth in zip(screen.tolist(), points[:, 2].tolist(), strict=True):
        if depth > 0.01 and 0 <= x <= layout.width and 0 <= y <= layout.height:
            radius = min(max(0.12 * layout.height / (scene.unit * depth * 0.54), 1.5), 5.0)
            pen.add_circle_filled(imgui.ImVec2(x, y), radius + 1, shade, 8)
            pen.add_circle_filled(imgui.ImVec2(x, y), radius, ink, 8)


def _draw_box(state: ViewerState, layout: Layout, pen: imgui.ImDrawList) -> None:
    assert state.pin is not None
    low, high = navigation.box_of(state, np.array([state.pin >> 12]))
    points = navigation.project(state, low + _CORNERS * (high - low))
    if points[:, 2].min() <= 0.002:
        return
    corners = [imgui.ImVec2(x, y) for x, y in _to_screen(layout, points).tolist()]
    for first, last in _EDGES:
        pen.add_line(corners[first], corners[last], packed(HALO, 0.8), 3.5)
    for first, last in _EDGES:
        pen.add_line(corners[first], corners[last], packed((255, 255, 255), 0.95), 1.5)


def _draw_labels(pen: imgui.ImDrawList, labels: Sequence[Label], ratio: float, layout: Layout) -> None:
    # In what panels leave of the window; of two that would touch the larger region's stays where it is.
    labels = sorted(labels, key=lambda label: -label.size)
    area = (layout.left + 4, layout.bar + 4, layout.width - layout.right - 4, layout.height - layout.bar - 4)
    wanted = [_label_box(label, ratio) for label in labels]
    placed = [
        (label, box) for label, box in zip(labels, arrange(wanted, area, LABEL_GAP), strict=True) if box is not None
    ]
    # First all lines: none goes through words.
    for label, box in placed:
        _draw_leader(pen, label, ratio, box)
    for label, box in placed:
        low, high = imgui.ImVec2(box[0], box[1]), imgui.ImVec2(box[2], box[3])
        pen.add_rect_filled(low, high, packed(HALO, 0.82), 3)
        pen.add_text(imgui.ImVec2(box[0] + _PAD, box[1] + 1), packed(TEXT), plain(label.text))


def _draw_guide(state: ViewerState, layout: Layout, pen: imgui.ImDrawList) -> None:
    # How addresses run through the cube, in the free corner at the lower right.
    guide, words = scene_guide(state.scene, state.controller.camera)
    line = imgui.get_text_line_height()
    radius = 2.4 * line
    x, y = layout.width - layout.right - GUIDE_LINES / 2 * line, layout.height - layout.bar - radius - 3.2 * line

    def to_screen(point: tuple[float, float]) -> imgui.ImVec2:
        return imgui.ImVec2(x + radius * point[0], y - radius * point[1])

    half, top, foot = GUIDE_LINES / 2 * line, y - radius - 1.2 * line, y + radius + (1.0 + len(words)) * line
    pen.add_rect_filled(imgui.ImVec2(x - half + 4, top), imgui.ImVec2(x + half - 4, foot), packed(HALO, 0.6), 4)
    for one, other in guide.edges:
        pen.add_line(to_screen(one), to_screen(other), packed(QUIET, 0.5), 1.0)
    for one, other in itertools.pairwise(guide.path):
        pen.add_line(to_screen(one), to_screen(other), packed(TEXT), 1.5)
    for number, point in enumerate(guide.path):
        pen.add_circle_filled(to_screen(point), 2.0 if number else 3.5, packed(TEXT if number else WARN))
    start = to_screen(guide.path[0])
    pen.add_text(imgui.ImVec2(start.x + 6, start.y - line), packed(WARN), "0x0")
    for number, sentence in enumerate(words):
        left = x - imgui.calc_text_size(sentence).x / 2
        pen.add_text(imgui.ImVec2(left, y + radius + (0.7 + number) * line), packed(QUIET), sentence)


def _label_box(label: Label, ratio: float) -> Box:
    x, y = label.x / ratio, label.y / ratio
    size = imgui.calc_text_size(plain(label.text))
    if label.is_block:
        left, top = x - size.x / 2, y - size.y / 2
    else:
        left, top = x + 22, y - 18 - size.y / 2
    return (left - _PAD, top - 1, left + size.x + _PAD, top + size.y + 1)


def _draw_leader(pen: imgui.ImDrawList, label: Label, ratio: float, box: Box) -> None:
    # From the words to what they name, light on dark: a line of the region's own colour would not be seen on it.
    left, top, right, bottom = box
    here = imgui.ImVec2(label.x / ratio, label.y / ratio)
    if label.is_block and left <= here.x <= right and top <= here.y <= bottom:
        return
    end = imgui.ImVec2(min(max(here.x, left), right), (top + bottom) / 2)
    pen.add_line(here, end, packed(HALO, 0.9), 3.0)
    pen.add_line(here, end, packed(TEXT), 1.3)
    pen.add_circle_filled(here, 4.5, packed(HALO, 0.9))
    pen.add_circle_filled(here, 3.5, packed(TEXT))
    pen.add_circle_filled(here, 2.5, packed(label.colour))


def _draw_messages(state: ViewerState, layout: Layout) -> None:
    news = state.recent_messages(time.monotonic())[-4:]
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


def draw_hover(picked: PickResult) -> None:
    """The box beside the cursor: kind and owner, page and address, the bytes around."""
    if not imgui.begin_tooltip():
        return
    kind, address, _, _ = pick_lines(picked)
    here = picked.offset % LINE_BYTES
    tint = material(picked.page_class).colour
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
    for number, byte in enumerate(picked.content):
        left = origin.x + 3 * cell * number
        ink = packed(TEXT if number == here else QUIET)
        pen.add_text(imgui.ImVec2(left, origin.y), ink, f"{byte:02x}")
        letter = chr(byte) if 32 < byte < 127 else "."
        pen.add_text(imgui.ImVec2(left + cell / 2, origin.y + line), ink, letter)
    imgui.pop_font()
    imgui.end_tooltip()
