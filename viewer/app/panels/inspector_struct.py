"""The inspector's struct: the fields that the kernel has at the pinned byte, with pointers that can be followed."""

from __future__ import annotations

from imgui_bundle import imgui

from qemu_bridge.wire.records import Place, SlabObject, TypeLayout
from viewer.app import selection
from viewer.app.pick import PickResult
from viewer.app.state import ViewerState
from viewer.sources.queries import Topic
from viewer.view.inspector import FieldValue, decode_struct

from .theme import ACCENT, TEXT, colour, plain, quiet

_MOST_FIELDS = 400
_TYPE_NAMES: Topic[tuple[str, ...]] = Topic("types")


def draw_struct(state: ViewerState, picked: PickResult, place: Place | None, page: bytes) -> None:
    """Draw the fields of the struct at the pinned byte, by the slab cache's name or the one that the user typed."""
    slab = place.slab if place is not None else None
    imgui.set_next_item_width(200 * state.settings.ui_scale)
    changed, typed = imgui.input_text_with_hint("##type", "a struct's name", state.type_name)
    if changed:
        state.type_name = typed.strip()[:80]
        part = state.type_name
        state.queries.ask(_TYPE_NAMES, lambda client: client.type_names(part).value, part)
    _draw_type_names(state)
    names = (
        selection.slab_types(state, slab.cache) if slab is not None else (state.type_name,) if state.type_name else ()
    )
    if not names:
        quiet("Not in a slab: type a struct's name to read the byte as one.")
        return
    size = slab.size if slab is not None and not state.type_name else 0
    answer = state.queries.result(selection.TYPE)
    if answer is None or answer.key != (names, size):
        if not state.queries.is_pending(selection.TYPE):
            selection.ask_type(state, names, size)
        quiet("asking ...")
        return
    if answer.value is None:
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
    answer = state.queries.result(_TYPE_NAMES)
    if answer is None or answer.key != state.type_name or not state.type_name or not answer.value:
        return
    if state.type_name == answer.value[0]:
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
    state.queries.ask(selection.FOLLOW, lambda client: client.identify(f"va:{virtual:#x}").value, virtual)
