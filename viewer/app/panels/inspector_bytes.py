"""The inspector's bytes: rows of hex around the pinned byte, and its values as plain types."""

from __future__ import annotations

from imgui_bundle import imgui

from qemu_bridge.memory.addresses import PAGE_SIZE
from viewer.app import selection
from viewer.app.pick import PickResult
from viewer.app.state import ViewerState
from viewer.view.inspector import ROW_BYTES, characters, entropy, find_text, typed_values
from viewer.view.palette import material

from .theme import QUIET, TEXT, packed, plain, push_mono, quiet

_HEX_ROWS = 16


def draw_hex(state: ViewerState, picked: PickResult, page: bytes) -> None:
    """Draw the rows around the pinned byte; a click pins another, the wheel moves on."""
    first = max(0, min(picked.offset // ROW_BYTES - _HEX_ROWS // 3, PAGE_SIZE // ROW_BYTES - _HEX_ROWS))
    push_mono()
    cell, line = imgui.calc_text_size("0").x, imgui.get_text_line_height_with_spacing()
    letters_at = imgui.get_content_region_avail().x
    is_wide = letters_at >= cell * (6 + 3 * ROW_BYTES + ROW_BYTES + 2)
    pen, origin = imgui.get_window_draw_list(), imgui.get_cursor_screen_pos()
    imgui.invisible_button("hex", imgui.ImVec2(max(letters_at, 1), line * _HEX_ROWS))
    if imgui.is_item_clicked(0):
        mouse = imgui.get_io().mouse_pos
        row, column = int((mouse.y - origin.y) // line), int((mouse.x - origin.x - 6 * cell) // (3 * cell))
        if 0 <= row < _HEX_ROWS and 0 <= column < ROW_BYTES:
            selection.select(state, (picked.page << 12) + (first + row) * ROW_BYTES + column)
    if imgui.is_item_hovered() and (turned := imgui.get_io().mouse_wheel):
        moved = min(max(picked.offset - int(turned) * 4 * ROW_BYTES, 0), PAGE_SIZE - 1)
        selection.select(state, (picked.page << 12) + moved)
    for row in range(_HEX_ROWS):
        start = (first + row) * ROW_BYTES
        content = page[start : start + ROW_BYTES]
        y = origin.y + row * line
        pen.add_text(imgui.ImVec2(origin.x, y), packed(QUIET), f"{start:03x}")
        if start <= picked.offset < start + ROW_BYTES:
            x = origin.x + (6 + 3 * (picked.offset - start)) * cell
            low, high = imgui.ImVec2(x - cell * 0.4, y - 1), imgui.ImVec2(x + cell * 2.4, y + line - 2)
            pen.add_rect_filled(low, high, packed(material(picked.page_class).colour, 0.55), 2)
        # Zeros are dimmed, so that what is not zero is seen: two layers of one line.
        rest = " ".join("  " if not byte else f"{byte:02x}" for byte in content)
        zeros = " ".join("00" if not byte else "  " for byte in content)
        x = origin.x + 6 * cell
        pen.add_text(imgui.ImVec2(x, y), packed(TEXT), rest)
        pen.add_text(imgui.ImVec2(x, y), packed(QUIET, 0.45), zeros)
        if is_wide:
            pen.add_text(imgui.ImVec2(x + 3 * ROW_BYTES * cell + cell, y), packed(QUIET), characters(content))
    imgui.pop_font()
    quiet(f"entropy {entropy(page):.2f} bits a byte; {PAGE_SIZE - page.count(0)} bytes are not zero")


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
