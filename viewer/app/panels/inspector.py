"""The inspector of the pinned byte: what it belongs to, its bytes, values, struct and code, and who wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgui_bundle import imgui

from qemu_bridge.wire.records import Place
from viewer.app import navigation, selection
from viewer.app.pick import PickResult
from viewer.app.state import ViewerState
from viewer.sources.queries import Topic
from viewer.view.inspector import disassemble
from viewer.view.palette import material

from . import inspector_bytes, inspector_struct
from .inspector_report import code_address, mapping_line, place_lines, report
from .theme import ACCENT, WARN, colour, packed, plain, push_mono, quiet

if TYPE_CHECKING:
    from qemu_bridge.client import Client

_MOST_MAPPINGS = 40
_CALLS: Topic[dict[int, str]] = Topic("calls")


def draw(state: ViewerState) -> None:
    """Draw the tab's body."""
    picked = selection.pinned(state)
    if picked is None:
        quiet("Click on a brick to inspect it, or press / and search.")
        return
    offset = (picked.page << 12) + picked.offset
    answer = state.queries.result(selection.PLACE)
    place = answer.value if answer is not None and answer.key == offset else None
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
        comparison = state.source.comparison
        before = None if comparison is None else comparison.before(picked.page)
        inspector_bytes.draw_hex(state, picked, page, before)
    if imgui.collapsing_header("Values", open_first):
        inspector_bytes.draw_values(page, picked.offset)
    if imgui.collapsing_header("Struct", open_first if place is not None and place.slab is not None else 0):
        inspector_struct.draw_struct(state, picked, place, page)
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
    if imgui.small_button("refresh"):
        selection.ask_place(state)
    imgui.same_line()
    if imgui.small_button("deselect"):
        selection.select(state, None)


def _draw_place(state: ViewerState, place: Place | None) -> None:
    if place is None:
        quiet("asking ..." if state.queries.is_pending(selection.PLACE) else "no daemon to query")
        return
    for line in place_lines(place):
        name, _, words = line.partition("  ")
        quiet(name)
        imgui.same_line(78 * state.settings.ui_scale)
        imgui.push_text_wrap_pos(0.0)
        imgui.text(plain(words.strip()))
        imgui.pop_text_wrap_pos()
    for number, row in enumerate(place.mappings[:_MOST_MAPPINGS]):
        if imgui.selectable(f"{plain(mapping_line(row))}##{number}", row.pid == state.pid)[0]:
            state.pid = state.mapping_pid = row.pid
            state.tab = "Processes"
    if len(place.mappings) > _MOST_MAPPINGS:
        quiet(f"and {len(place.mappings) - _MOST_MAPPINGS} more")


def _draw_code(state: ViewerState, picked: PickResult, place: Place | None, page: bytes) -> None:
    address = code_address(picked, place)
    steps = disassemble(page, picked.offset, address - picked.offset)
    targets = tuple(sorted({step.target for step in steps if step.target is not None and step.target >> 63}))
    answer = state.queries.result(_CALLS)
    if targets and (answer is None or answer.key != targets) and not state.queries.is_pending(_CALLS):
        state.queries.ask(_CALLS, lambda client: name_addresses(client, targets), targets)
    names = answer.value if answer is not None and answer.key == targets and answer.value else {}
    push_mono()
    for step in steps:
        quiet(f"{address - picked.offset + step.offset:x}")
        imgui.same_line()
        imgui.text(plain(step.text))
        if step.target in names:
            imgui.same_line()
            imgui.text_colored(colour(ACCENT), plain(names[step.target]))
    imgui.pop_font()


def name_addresses(client: Client, addresses: tuple[int, ...]) -> dict[int, str]:
    """The symbol that covers each of the kernel's `addresses`, ``vfs_read`` or ``vfs_read+0x1c``; those without are left out."""
    names: dict[int, str] = {}
    for address in addresses:
        for symbol in client.sym(f"{address:#x}").value[:1]:
            names[address] = f"{symbol.name}+{symbol.offset:#x}" if symbol.offset else symbol.name
    return names


def _draw_writers(state: ViewerState, offset: int) -> None:
    if state.writers is None:
        quiet("Execution is not watched; press g to watch it.")
        return
    for line in state.writers(offset):
        imgui.text(plain(line))
