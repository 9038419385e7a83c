"""The process table and the memory areas of one process. A row selects its pages in the picture, a pinned byte its row."""

from __future__ import annotations

import time

from imgui_bundle import imgui

from qemu_bridge.wire.records import MemoryMapping, Process
from viewer.app import glow
from viewer.app.state import ViewerState
from viewer.picture.legend import format_bytes
from viewer.sources.queries import Topic

from .theme import SORTED_TABLE, WARN, colour, draw_filter, plain, quiet, sort_order

REFRESH_S = 3.0
_MOST_ROWS = 5000
PROCESSES: Topic[tuple[Process, ...]] = Topic("ps")
_MAPPINGS: Topic[tuple[MemoryMapping, ...]] = Topic("maps")


def draw(state: ViewerState) -> None:
    """Draw the tab's body."""
    rows = _rows(state)
    if not rows:
        return
    view = state.table_views["processes"]
    draw_filter(view, "processes")
    height = imgui.get_content_region_avail().y * (0.55 if state.mapping_pid else 1.0)
    if imgui.begin_table("processes", 5, SORTED_TABLE, imgui.ImVec2(0, height)):
        imgui.table_setup_scroll_freeze(0, 1)
        for name in ("pid", "name", "state", "resident", "command line"):
            imgui.table_setup_column(name, imgui.TableColumnFlags_.no_sort if name == "state" else 0)
        imgui.table_headers_row()
        for process in view.rows(rows, _cells, *sort_order())[:_MOST_ROWS]:
            _draw_row(state, process)
        imgui.end_table()
    if state.mapping_pid:
        _draw_mappings(state)


def _cells(process: Process) -> tuple[object, ...]:
    return process.pid, process.name, process.state, process.resident_pages, process.command_line


def user_first(processes: tuple[Process, ...]) -> tuple[Process, ...]:
    """Those with memory of their own before kernel threads, of which there are many more."""
    return tuple(sorted(processes, key=lambda process: (process.page_table is None, process.pid)))


def _rows(state: ViewerState) -> tuple[Process, ...]:
    answer = state.queries.result(PROCESSES)
    is_old = answer is None or time.monotonic() - answer.time_s > REFRESH_S
    if is_old and not state.queries.is_pending(PROCESSES):
        state.queries.ask(PROCESSES, lambda client: user_first(client.ps().value))
    if answer is None:
        quiet("asking ...")
        return ()
    if answer.error:
        imgui.push_text_wrap_pos(0.0)
        imgui.text_colored(colour(WARN), plain(answer.error))
        imgui.pop_text_wrap_pos()
    return answer.value or ()


def _draw_row(state: ViewerState, process: Process) -> None:
    imgui.table_next_row()
    imgui.table_next_column()
    flags = imgui.SelectableFlags_.span_all_columns | imgui.SelectableFlags_.allow_double_click
    is_selected = process.pid == state.pid
    if imgui.selectable(f"{process.pid}", is_selected, flags)[0]:
        select_process(state, process, fly=imgui.is_mouse_double_clicked(0))
    for text in (
        process.name,
        process.state,
        format_bytes(process.resident_pages << 12) if process.resident_pages else "",
        process.command_line,
    ):
        imgui.table_next_column()
        imgui.text(plain(text))


def select_process(state: ViewerState, process: Process, *, fly: bool) -> None:
    """Highlight the pages of a process, of a kernel thread its stack, and list its memory areas."""
    state.pid = state.mapping_pid = process.pid
    is_kernel = process.page_table is None
    target = f"pid:{process.pid}" + ("/kernelstack" if is_kernel else "")
    glow.highlight_target(state, target, f"{process.name} ({process.pid})", fly=fly)
    state.queries.ask(_MAPPINGS, lambda client: client.maps(process.pid).value, process.pid)


def _draw_mappings(state: ViewerState) -> None:
    answer = state.queries.result(_MAPPINGS)
    pid = state.mapping_pid
    if (answer is None or answer.key != pid) and not state.queries.is_pending(_MAPPINGS):
        state.queries.ask(_MAPPINGS, lambda client: client.maps(pid).value, pid)
    imgui.separator_text(f"memory areas of process {pid}")
    if answer is None or answer.key != pid:
        quiet("asking ...")
        return
    if answer.value is None:
        quiet(plain(answer.error))
        return
    flags = imgui.TableFlags_.row_bg | imgui.TableFlags_.scroll_y | imgui.TableFlags_.sizing_fixed_fit
    flags |= imgui.TableFlags_.scroll_x
    if imgui.begin_table("areas", 4, flags):
        imgui.table_setup_scroll_freeze(0, 1)
        for name in ("start", "size", "", "what"):
            imgui.table_setup_column(name)
        imgui.table_headers_row()
        for number, row in enumerate(answer.value[:_MOST_ROWS]):
            _draw_area(state, pid, number, row)
        imgui.end_table()


def _draw_area(state: ViewerState, pid: int, number: int, row: MemoryMapping) -> None:
    imgui.table_next_row()
    imgui.table_next_column()
    flags = imgui.SelectableFlags_.span_all_columns | imgui.SelectableFlags_.allow_double_click
    if imgui.selectable(f"{row.start:#x}##{number}", False, flags)[0]:
        target = f"va:{row.start:#x}+{row.end - row.start:#x}@pid:{pid}"
        glow.highlight_target(state, target, row.path or "anonymous memory", fly=imgui.is_mouse_double_clicked(0))
    for text in (format_bytes(row.end - row.start), row.permissions, row.path):
        imgui.table_next_column()
        imgui.text(plain(text))
