"""Any overlay of the daemon as a table. A row selects the memory that it is about, where a target says which that is."""

from __future__ import annotations

import time
from typing import Any

from imgui_bundle import imgui

from qemu_bridge.wire.records import OverlayInfo, OverlayTable
from viewer.app import glow
from viewer.app.state import ViewerState
from viewer.sources.queries import Topic

from .theme import SORTED_TABLE, WARN, colour, draw_filter, plain, quiet, sort_order

_MOST_ROWS = 20_000
_REFRESH_S = 5.0
_OVERLAYS: Topic[tuple[OverlayInfo, ...]] = Topic("overlays")
_TABLE: Topic[OverlayTable] = Topic("overlay")


def draw(state: ViewerState) -> None:
    """Draw the tab's body."""
    infos = _infos(state)
    if not infos:
        return
    if not state.overlay_name:
        state.overlay_name = infos[0].name
    imgui.set_next_item_width(-80 * state.settings.ui_scale)
    if imgui.begin_combo("##overlay", state.overlay_name):
        for info in infos:
            if imgui.selectable(plain(f"{info.name}:  {info.summary}"), info.name == state.overlay_name)[0]:
                state.overlay_name = info.name
        imgui.end_combo()
    imgui.same_line()
    is_refresh = imgui.button("refresh")
    table = _table(state, is_refresh)
    if table is not None:
        for sentence in table.skipped[:3]:
            quiet(plain(sentence))
        _draw_table(state, table)


def _infos(state: ViewerState) -> tuple[OverlayInfo, ...]:
    answer = state.queries.result(_OVERLAYS)
    is_old = answer is None or (answer.error and time.monotonic() - answer.time_s > _REFRESH_S)
    if is_old and not state.queries.is_pending(_OVERLAYS):
        state.queries.ask(_OVERLAYS, lambda client: client.overlays().value)
    if answer is None or answer.error:
        quiet("asking ..." if answer is None else plain(answer.error))
        return ()
    return answer.value or ()


def _table(state: ViewerState, is_refresh: bool) -> OverlayTable | None:
    name = state.overlay_name
    answer = state.queries.result(_TABLE)
    is_other = answer is None or answer.key != name
    if (is_other or is_refresh) and not state.queries.is_pending(_TABLE):
        state.queries.ask(_TABLE, lambda client: client.overlay(name).value, name)
    if answer is None or answer.key != name:
        quiet("asking ...")
        return None
    if answer.error:
        imgui.text_colored(colour(WARN), plain(answer.error))
        return None
    return answer.value


def _draw_table(state: ViewerState, table: OverlayTable) -> None:
    columns = [column.partition(":") for column in table.columns][:32]
    view = state.table_views[table.name]
    draw_filter(view, table.name)
    if not columns or not imgui.begin_table(f"rows of {table.name}", len(columns), SORTED_TABLE):
        return
    imgui.table_setup_scroll_freeze(0, 1)
    for name, _, _ in columns:
        imgui.table_setup_column(plain(name.replace("_", " ")))
    imgui.table_headers_row()
    names = [name for name, _, _ in columns]
    rows = view.rows(table.rows, lambda row: [row.get(name) for name in names], *sort_order())
    clipper = imgui.ListClipper()
    clipper.begin(min(len(rows), _MOST_ROWS))
    while clipper.step():
        for number in range(clipper.display_start, clipper.display_end):
            _draw_row(state, table.name, rows[number], columns, number)
    imgui.end_table()


def _draw_row(
    state: ViewerState, overlay: str, row: dict[str, Any], columns: list[tuple[str, str, str]], number: int
) -> None:
    imgui.table_next_row()
    for place, (name, _, form) in enumerate(columns):
        imgui.table_next_column()
        text = plain(format_cell(row.get(name), form))
        if place:
            imgui.text(text)
            continue
        flags = imgui.SelectableFlags_.span_all_columns | imgui.SelectableFlags_.allow_double_click
        if imgui.selectable(f"{text}##{number}", row.get("pid", 0) == state.pid and state.pid > 0, flags)[0]:
            _select(state, overlay, row, fly=imgui.is_mouse_double_clicked(0))


def _select(state: ViewerState, overlay: str, row: dict[str, Any], *, fly: bool) -> None:
    target = target_of(overlay, row)
    if isinstance(row.get("pid"), int):
        state.pid = row["pid"]
    if target:
        glow.highlight_target(state, target, target, fly=fly)


def target_of(overlay: str, row: dict[str, Any]) -> str:
    """The target that a row of an overlay is about; empty where it names no memory.

    >>> target_of("slabs", {"name": "dentry"})
    "slab:'dentry'"
    """
    name, path, pid = row.get("name"), row.get("path"), row.get("pid")
    if overlay == "slabs" and name:
        return f"slab:{_quoted(name)}"
    if overlay == "modules" and name:
        return f"module:{_quoted(name)}"
    if overlay == "learned" and isinstance(row.get("physical"), int):
        return f"pa:{row['physical']:#x}"
    if overlay == "areas" and isinstance(row.get("start"), int) and isinstance(row.get("end"), int):
        return f"va:{row['start']:#x}+{row['end'] - row['start']:#x}@pid:{pid}"
    if overlay in ("threads", "kernel-stacks") and isinstance(pid, int):
        return f"pid:{pid}/kernelstack"
    if isinstance(path, str) and path.startswith("/"):
        return f"file:{_quoted(path)}"
    if isinstance(pid, int):
        return f"pid:{pid}" if row.get("page_table", 1) is not None else f"pid:{pid}/kernelstack"
    return ""


def _quoted(name: str) -> str:
    escaped = "".join(
        f"\\{letter}" if letter in "'\\" else letter if letter.isprintable() else f"\\U{ord(letter):08x}"
        for letter in name
    )
    return f"'{escaped}'"


def format_cell(value: Any, form: str) -> str:  # noqa: ANN401  # a JSON value
    """A cell as text; `form` is a format specification as an overlay gives it, ignored where it does not fit."""
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(map(str, value[:20]))
    try:
        return format(value, form) if form and len(form) < 10 else str(value)
    except (ValueError, TypeError):
        return str(value)
