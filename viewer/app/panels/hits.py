"""The hits of a search: where each is, whose memory that is, and what stands there."""

from __future__ import annotations

from imgui_bundle import imgui

from viewer.app import hits, selection
from viewer.app.state import ViewerState

from .theme import plain, push_mono, quiet

_PREVIEW = 24


def draw(state: ViewerState) -> None:
    """Draw the tab's body."""
    found = state.hits
    if found is None:
        quiet('Press / and search: an address, a symbol, a target, "text, x:bytes or r:regex.')
        return
    imgui.text(plain(hits.summary(state)))
    if imgui.small_button("< previous"):
        hits.step(state, -1)
    imgui.same_line()
    if imgui.small_button("next >"):
        hits.step(state, 1)
    imgui.same_line()
    if imgui.small_button("clear"):
        hits.show(state, None)
        return
    flags = imgui.TableFlags_.scroll_y | imgui.TableFlags_.row_bg | imgui.TableFlags_.resizable
    if not imgui.begin_table("hits", 3, flags):
        return
    imgui.table_setup_scroll_freeze(0, 1)
    for title, weight in (("address", 1.0), ("what, and whose", 1.3), ("bytes", 1.6)):
        imgui.table_setup_column(title, imgui.TableColumnFlags_.width_stretch, weight)
    imgui.table_headers_row()
    clipper = imgui.ListClipper()
    clipper.begin(len(found.offsets))
    while clipper.step():
        for number in range(clipper.display_start, clipper.display_end):
            _draw_row(state, number, found.machine_of(number), int(found.offsets[number]))
    imgui.end_table()


def _draw_row(state: ViewerState, number: int, machine: int, offset: int) -> None:
    ram = state.machines[machine].source.ram.view
    picked = selection.describe(state, machine, offset)
    imgui.table_next_row()
    imgui.table_next_column()
    push_mono()
    where = f"{picked.name} {offset if picked.physical is None else picked.physical:#x}".lstrip()
    if imgui.selectable(f"{plain(where)}##{number}", number == state.hit, imgui.SelectableFlags_.span_all_columns)[0]:
        hits.choose(state, number)
    imgui.pop_font()
    imgui.table_next_column()
    owner = picked.owner
    name = owner.name if owner is not None and owner.name not in picked.page_class.label else ""
    whose = f" of {name}" if name else ""
    imgui.text(plain(picked.page_class.label + whose + (f" ({owner.pid})" if owner is not None and owner.pid else "")))
    imgui.table_next_column()
    push_mono()
    content = bytes(ram[offset : offset + _PREVIEW])
    imgui.text(plain("".join(chr(byte) if 32 <= byte < 127 else "." for byte in content)))
    imgui.pop_font()
