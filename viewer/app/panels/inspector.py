"""The inspector of the pinned byte: whose it is, hex, values, text, code, and the struct that the kernel has there."""

from __future__ import annotations

from imgui_bundle import imgui

from qemu_bridge.memory.addresses import PAGE_SIZE, format_size
from qemu_bridge.wire.records import Place, PlaceMapping, SlabObject, TypeLayout
from viewer.app import navigation, selection
from viewer.app.pick import PickResult
from viewer.app.state import ViewerState
from viewer.view.inspector import (
    ROW_BYTES,
    FieldValue,
    characters,
    decode_struct,
    disassemble,
    entropy,
    find_text,
    hex_rows,
    typed_values,
)
from viewer.view.palette import material

from .theme import ACCENT, QUIET, TEXT, WARN, colour, packed, plain, push_mono, quiet

_HEX_ROWS = 16
_MOST_MAPPINGS = 40
_MOST_FIELDS = 400


def draw(state: ViewerState) -> None:
    """Draw the tab's body."""
    picked = selection.pinned(state)
    if picked is None:
        quiet("Click on a brick to inspect it, or press / and search.")
        return
    offset = (picked.page << 12) + picked.offset
    answer = state.queries.result("place")
    place = answer.value if answer is not None and answer.key == offset and isinstance(answer.value, Place) else None
    _draw_head(state, picked, place)
    if answer is not None and answer.key == offset and answer.error:
        imgui.push_text_wrap_pos(0.0)
        imgui.text_colored(colour(WARN), plain(answer.error))
        imgui.pop_text_wrap_pos()
    page = bytes(state.source.ram.view[picked.page << 12 : (picked.page + 1) << 12])
    open_first = imgui.TreeNodeFlags_.default_open
    if imgui.collapsing_header("Owners and mappings", open_first):
        _draw_place(state, place)
    if imgui.collapsing_header("Bytes", open_first):
        _draw_hex(state, picked, page)
    if imgui.collapsing_header("Values", open_first):
        _draw_values(page, picked.offset)
    if imgui.collapsing_header("Struct", open_first if place is not None and place.slab is not None else 0):
        _draw_struct(state, picked, place, page)
    is_code = picked.page_class.label.endswith("text") or picked.page_class.label == "module"
    if imgui.collapsing_header("Code", open_first if is_code else 0):
        _draw_code(state, picked, place, page)
    if imgui.collapsing_header("Last writers"):
        _draw_writers(state, offset)


def _draw_head(state: ViewerState, picked: PickResult, place: Place | None) -> None:
    pen, corner = imgui.get_window_draw_list(), imgui.get_cursor_screen_pos()
    height = imgui.get_text_line_height()
    end = imgui.ImVec2(corner.x + 4, corner.y + 2.3 * height)
    pen.add_rect_filled(corner, end, packed(material(picked.page_class).colour))
    imgui.indent(12)
    words = picked.page_class.label
    if picked.owner is not None and picked.owner.name and picked.owner.name not in words:
        words += f" of {picked.owner.name}" + (f" ({picked.owner.pid})" if picked.owner.pid else "")
    imgui.text(plain(words + (" and others" if picked.is_shared else "")))
    push_mono()
    where = f"page {picked.page:#x} + {picked.offset:#05x}"
    quiet(where if picked.physical is None else f"{picked.physical:#x}   {where}")
    imgui.pop_font()
    imgui.unindent(12)
    if imgui.small_button("< page"):
        navigation.step_page(state, -1)
    imgui.same_line()
    if imgui.small_button("page >"):
        navigation.step_page(state, 1)
    imgui.same_line()
    if imgui.small_button("frame"):
        navigation.frame(state)
    imgui.same_line()
    if imgui.small_button("copy"):
        state.copy(report(state, picked, place), "what is known of this page")
    imgui.same_line()
    if imgui.small_button("again"):
        selection.ask_place(state)
    imgui.same_line()
    if imgui.small_button("let go"):
        selection.select(state, None)


def _draw_place(state: ViewerState, place: Place | None) -> None:
    if place is None:
        quiet("asking ..." if state.queries.is_pending("place") else "nobody to ask")
        return
    for line in place_lines(place):
        name, _, words = line.partition("  ")
        quiet(name)
        imgui.same_line(78 * state.settings.ui_scale)
        imgui.push_text_wrap_pos(0.0)
        imgui.text(plain(words.strip()))
        imgui.pop_text_wrap_pos()
    for number, row in enumerate(place.mappings[:_MOST_MAPPINGS]):
        if imgui.selectable(f"{plain(_mapping(row))}##{number}", row.pid == state.pid)[0]:
            state.pid = state.mapping_pid = row.pid
            state.tab = "Processes"
    if len(place.mappings) > _MOST_MAPPINGS:
        quiet(f"and {len(place.mappings) - _MOST_MAPPINGS} more")


def _mapping(row: PlaceMapping) -> str:
    return f"{row.name} ({row.pid})  {row.virtual:#x}  {row.permissions}  {row.area}"


def place_lines(place: Place) -> list[str]:
    """What is known of a place, a name and words on each line; mappings are left out."""
    lines = [f"physical  {place.physical:#x}, frame {place.frame:#x}"]
    if place.kernel_address is not None:
        lines.append(f"kernel  {place.kernel_address:#x}")
    if place.symbol is not None:
        lines.append(f"symbol  {place.symbol.name}" + (f" + {place.symbol.offset:#x}" if place.symbol.offset else ""))
    if place.slab is not None:
        slab = place.slab
        lines.append(f"object  {slab.cache} #{slab.index}, {slab.size} bytes from {slab.start:#x}, {slab.offset:#x} in")
    if place.file:
        inside = "" if place.file_offset is None else f" + {place.file_offset:#x}"
        lines.append(f"file  {place.file}{inside}")
    if place.table_level:
        lines.append(f"table  level {place.table_level}")
    if place.order is not None:
        lines.append(f"block  2^{place.order} pages, {format_size(PAGE_SIZE << min(place.order, 40))}")
    for owner in place.owners:
        kind = "" if owner.kind == owner.name else f"{owner.kind} "
        lines.append(f"owner  {kind}{owner.name}" + (f" ({owner.pid})" if owner.pid else ""))
    lines += [f"skipped  {sentence}" for sentence in place.skipped]
    return lines


def _draw_hex(state: ViewerState, picked: PickResult, page: bytes) -> None:
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


def _draw_values(page: bytes, at: int) -> None:
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


def _draw_struct(state: ViewerState, picked: PickResult, place: Place | None, page: bytes) -> None:
    slab = place.slab if place is not None else None
    imgui.set_next_item_width(200 * state.settings.ui_scale)
    changed, typed = imgui.input_text_with_hint("##type", "a struct's name", state.type_name)
    if changed:
        state.type_name = typed.strip()[:80]
        part = state.type_name
        state.queries.ask("types", lambda client: client.type_names(part), part)
    _draw_type_names(state)
    names = (
        selection.slab_types(state, slab.cache) if slab is not None else (state.type_name,) if state.type_name else ()
    )
    if not names:
        quiet("Not in a slab: type a struct's name to read the byte as one.")
        return
    size = slab.size if slab is not None and not state.type_name else 0
    answer = state.queries.result("type")
    if answer is None or answer.key != (names, size):
        if not state.queries.is_pending("type"):
            selection.ask_type(state, names, size)
        quiet("asking ...")
        return
    if not isinstance(answer.value, TypeLayout):
        quiet(plain(answer.error or f"this kernel has no struct like {names[0]}; type another name"))
        return
    fields = struct_fields(state, picked, slab, page, answer.value)
    quiet(
        f"{answer.value.name}, {answer.value.size} bytes"
        + ("" if state.type_name else f", guessed from {slab.cache}" if slab else "")
    )
    inside = slab.offset if slab is not None else 0
    _draw_fields(state, fields, inside)


def _draw_type_names(state: ViewerState) -> None:
    answer = state.queries.result("types")
    if answer is None or answer.key != state.type_name or not state.type_name or not isinstance(answer.value, list):
        return
    if [state.type_name] == answer.value or state.type_name in answer.value[:1]:
        return
    for number, name in enumerate(answer.value[:6]):
        if number:
            imgui.same_line()
            if imgui.get_content_region_avail().x < imgui.calc_text_size(name).x + 16:
                imgui.new_line()
        if imgui.small_button(plain(name)):
            state.type_name = name


def struct_fields(
    state: ViewerState, picked: PickResult, slab: SlabObject | None, page: bytes, layout: TypeLayout
) -> list[FieldValue]:
    """The fields of the struct at the pinned byte, or of the slab object that it is part of."""
    start = (picked.page << 12) + picked.offset - (slab.offset if slab is not None else 0)
    view = state.source.ram.view
    end = min(start + layout.size, len(view))
    return decode_struct(layout, bytes(view[max(start, 0) : end]) if start >= 0 else page)


def _draw_fields(state: ViewerState, fields: list[FieldValue], inside: int) -> None:
    flags = imgui.TableFlags_.row_bg | imgui.TableFlags_.sizing_fixed_fit | imgui.TableFlags_.scroll_y
    flags |= imgui.TableFlags_.scroll_x
    height = imgui.get_text_line_height_with_spacing() * min(len(fields) + 2, 18)
    if not imgui.begin_table("fields", 4, flags, imgui.ImVec2(0, height)):
        return
    for name in ("", "field", "value", "type"):
        imgui.table_setup_column(name)
    here = max((field.offset for field in fields if field.offset <= inside), default=-1)
    clipper = imgui.ListClipper()
    clipper.begin(min(len(fields), _MOST_FIELDS))
    while clipper.step():
        for number in range(clipper.display_start, clipper.display_end):
            field = fields[number]
            imgui.table_next_row()
            imgui.table_next_column()
            quiet(f"{field.offset:#05x}")
            imgui.table_next_column()
            imgui.text_colored(colour(ACCENT if field.offset == here else TEXT), plain(field.path))
            imgui.table_next_column()
            if field.pointer:
                if imgui.text_link(f"{plain(field.text)}##{number}"):
                    follow(state, field.pointer)
            else:
                imgui.text(plain(field.text))
            imgui.table_next_column()
            quiet(plain(field.type_name))
    imgui.end_table()


def follow(state: ViewerState, virtual: int) -> None:
    """Select what a kernel pointer points at."""
    state.notify(f"following {virtual:#x}")
    state.queries.ask("follow", lambda client: client.whose(f"va:{virtual:#x}"), virtual)


def _draw_code(state: ViewerState, picked: PickResult, place: Place | None, page: bytes) -> None:
    address = code_address(picked, place)
    push_mono()
    for step in disassemble(page, picked.offset, address - picked.offset):
        quiet(f"{address - picked.offset + step.offset:x}")
        imgui.same_line()
        imgui.text(plain(step.text))
    imgui.pop_font()


def code_address(picked: PickResult, place: Place | None) -> int:
    """Where the code at the pinned byte runs: the kernel's address, else the first process's, else the offset."""
    if place is not None and place.symbol is not None and place.kernel_address is not None:
        return int(place.kernel_address)
    if place is not None and place.mappings:
        return int(place.mappings[0].virtual)
    return (picked.page << 12) + picked.offset


def _draw_writers(state: ViewerState, offset: int) -> None:
    if state.writers is None:
        quiet("Not watched; watch what executes.")
        return
    for line in state.writers(offset):
        imgui.text(plain(line))


def report(state: ViewerState, picked: PickResult, place: Place | None) -> str:
    """All of it as text, for a bug report."""
    page = bytes(state.source.ram.view[picked.page << 12 : (picked.page + 1) << 12])
    lines = [state.source.title, f"{picked.page_class.label}, page {picked.page:#x} + {picked.offset:#05x}"]
    if place is not None:
        lines += [*place_lines(place), *(f"mapped  {_mapping(row)}" for row in place.mappings)]
    lines += [f"{value.name}  {value.text}" for value in typed_values(page, picked.offset)]
    start = picked.offset & ~0xFF
    base = (picked.physical if picked.physical is not None else (picked.page << 12) + picked.offset) - picked.offset
    lines += ["", *hex_rows(page[start : start + 256], base + start)]
    return "\n".join(lines) + "\n"
