"""The inspector's bytes: rows of hex around the pinned byte, and its values as plain types."""

from __future__ import annotations

from imgui_bundle import imgui

from qemu_bridge.memory.addresses import PAGE_SIZE
from viewer.app import selection
from viewer.app.pick import PickResult
from viewer.app.state import ViewerState
from viewer.view.inspector import ROW_BYTES, characters, entropy, find_text, typed_values
from viewer.view.palette import DIFFERENCE_COLOURS, material

from .theme import QUIET, TEXT, packed, plain, push_mono, quiet

_HEX_ROWS = 16


def draw_hex(state: ViewerState, picked: PickResult, page: bytes, before: bytes | None = None) -> None:
    """Draw the rows around the pinned byte; a click pins another, the wheel moves on.

    With `before`, what the page held in the capture that is compared with, these rows follow, and what differs stands out.
    """
    push_mono()
    cell, line = imgui.calc_text_size("0").x, imgui.get_text_line_height_with_spacing()
    width = imgui.get_content_region_avail().x
    # The characters beside them always show: in a narrow panel rows are half as long.
    row_bytes = ROW_BYTES if width >= cell * (6 + 4 * ROW_BYTES + 1) else ROW_BYTES // 2
    first = max(0, min(picked.offset // row_bytes - _HEX_ROWS // 3, PAGE_SIZE // row_bytes - _HEX_ROWS))
    origin = imgui.get_cursor_screen_pos()
    imgui.invisible_button("hex", imgui.ImVec2(max(width, 1), line * _HEX_ROWS))
    if imgui.is_item_clicked(0):
        mouse = imgui.get_io().mouse_pos
        row, column = int((mouse.y - origin.y) // line), int((mouse.x - origin.x - 6 * cell) // (3 * cell))
        if 0 <= row < _HEX_ROWS and 0 <= column < row_bytes:
            selection.select(state, (picked.page << 12) + (first + row) * row_bytes + column)
    if imgui.is_item_hovered() and (turned := imgui.get_io().mouse_wheel):
        moved = min(max(picked.offset - int(turned) * 4 * row_bytes, 0), PAGE_SIZE - 1)
        selection.select(state, (picked.page << 12) + moved)
    starts = [(first + row) * row_bytes for row in range(_HEX_ROWS)]
    for row, start in enumerate(starts):
        _draw_row(picked, page, before, start, row_bytes, (origin.x, origin.y + row * line))
    imgui.pop_font()
    quiet(f"entropy {entropy(page):.2f} bits a byte; {PAGE_SIZE - page.count(0)} bytes are not zero")
    if before is None or before == page:
        return
    changed = [place for place in range(PAGE_SIZE) if page[place] != before[place]]
    quiet(f"{len(changed)} bytes differ from the capture, where they are:")
    push_mono()
    origin = imgui.get_cursor_screen_pos()
    shown = [start for start in starts if page[start : start + row_bytes] != before[start : start + row_bytes]]
    imgui.dummy(imgui.ImVec2(max(width, 1), line * len(shown)))
    for row, start in enumerate(shown):
        _draw_row(picked, before, page, start, row_bytes, (origin.x, origin.y + row * line))
    imgui.pop_font()
    if not shown and imgui.small_button("next change"):
        after = next((place for place in changed if place > picked.offset), changed[0])
        selection.select(state, (picked.page << 12) + after)


def _draw_row(
    picked: PickResult, page: bytes, other: bytes | None, start: int, row_bytes: int, corner: tuple[float, float]
) -> None:
    pen, (left, y) = imgui.get_window_draw_list(), corner
    cell, line = imgui.calc_text_size("0").x, imgui.get_text_line_height_with_spacing()
    content, x = page[start : start + row_bytes], left + 6 * cell
    pen.add_text(imgui.ImVec2(left, y), packed(QUIET), f"{start:03x}")
    if start <= picked.offset < start + row_bytes:
        here = x + 3 * (picked.offset - start) * cell
        low, high = imgui.ImVec2(here - cell * 0.4, y - 1), imgui.ImVec2(here + cell * 2.4, y + line - 2)
        pen.add_rect_filled(low, high, packed(material(picked.page_class).colour, 0.55), 2)
    # Three layers of one line: zeros are dimmed, so that what is not zero is seen, and what differs has a colour.
    differs = [other is not None and byte != other[start + place] for place, byte in enumerate(content)]
    for tint, alpha, shows in (
        (TEXT, 1.0, [byte != 0 and not is_other for byte, is_other in zip(content, differs, strict=True)]),
        (QUIET, 0.45, [byte == 0 and not is_other for byte, is_other in zip(content, differs, strict=True)]),
        (DIFFERENCE_COLOURS[1], 1.0, differs),
    ):
        words = " ".join(f"{byte:02x}" if show else "  " for byte, show in zip(content, shows, strict=True))
        pen.add_text(imgui.ImVec2(x, y), packed(tint, alpha), words)
    pen.add_text(imgui.ImVec2(x + (3 * row_bytes + 1) * cell, y), packed(QUIET), characters(content))


def draw_values(page: bytes, at: int) -> None:
    """Draw what byte `at` begins, read as each plain type, and the text that it is part of."""
    values = typed_values(page, at)
    if imgui.begin_table("values", 4, imgui.TableFlags_.sizing_stretch_prop):
        # Numbers share what their names leave.
        for name_only in (True, False, True, False):
            flag = imgui.TableColumnFlags_.width_fixed if name_only else imgui.TableColumnFlags_.width_stretch
            imgui.table_setup_column("", flag)
        for value in values:
            imgui.table_next_column()
            quiet(value.name)
            imgui.table_next_column()
            imgui.text(plain(value.text))
        imgui.end_table()
    found = find_text(page, at)
    if found is not None:
        quiet(f"text from +{found[0]:#x}")
        imgui.push_text_wrap_pos(0.0)
        imgui.text(plain(found[1]))
        imgui.pop_text_wrap_pos()
