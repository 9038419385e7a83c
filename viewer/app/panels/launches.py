"""Launches of kernels by any program of this user: a row for each, and what the chosen one did."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from imgui_bundle import imgui

from viewer.app.state import ViewerState

from .theme import ACCENT, QUIET, SORTED_TABLE, WARN, colour, draw_filter, plain, push_mono, quiet, sort_order

if TYPE_CHECKING:
    from pixel_cpu.runtime.events import BufferUse, LaunchEvent

EXAMPLE = "glassbox gpu run saxpy.gpk --counts --set a=2 --new x=1000000 --new y=1000000"
_COLUMNS = ("kernel", "device", "lanes", "time", "traps", "GB/s", "diverged", "in use")
_LONGEST = "branches that diverge"
"""Of the words beside a bar."""


def draw(state: ViewerState) -> None:
    """Draw the tab's body."""
    launches = state.launches
    if launches.problem:
        _wrapped(f"Launches cannot be heard: {launches.problem}", WARN)
        return
    if not launches.events:
        _explain(state)
        return
    lost = f", {launches.lost} more were too fast to be seen" if launches.lost else ""
    imgui.text(plain(f"{launches.seen} launch{'es' * (launches.seen != 1)}{lost}"))
    imgui.same_line()
    if imgui.small_button("clear"):
        launches.clear()
        return
    view = state.table_views["launches"]
    draw_filter(view, "launches")
    # As high as its rows, as far as that leaves room for the details.
    height = min(_table_height(len(launches.events)), imgui.get_content_region_avail().y * 0.4)
    shown = launches.shown()
    if imgui.begin_table("launches", len(_COLUMNS), SORTED_TABLE, imgui.ImVec2(0, height)):
        imgui.table_setup_scroll_freeze(0, 1)
        for name in _COLUMNS:
            imgui.table_setup_column(name)
        imgui.table_headers_row()
        rows = view.rows(launches.events, _values, *sort_order())
        clipper = imgui.ListClipper()
        clipper.begin(len(rows))
        while clipper.step():
            for event in rows[clipper.display_start : clipper.display_end]:
                _draw_row(state, event, event is shown)
        imgui.end_table()
    if shown is not None and imgui.begin_child("launch"):
        _draw_details(shown)
        imgui.end_child()


def _table_height(rows: int) -> float:
    """Height of a table of so many rows, with its titles and the scroll bar below."""
    line = float(imgui.get_text_line_height() + 2 * imgui.get_style().cell_padding.y)
    return (rows + 1) * line + float(imgui.get_style().scrollbar_size) + 2.0


def _explain(state: ViewerState) -> None:
    _wrapped("What programs of yours launch while this window is open shows here: kernels on CPU lanes or a GPU. Try")
    push_mono()
    _wrapped(EXAMPLE)
    imgui.pop_font()
    if imgui.small_button("copy"):
        state.copy(EXAMPLE, "the command")
    _wrapped("or a notebook that uses pixel_cpu; docs/kernels.md says how.")


def _values(event: LaunchEvent) -> tuple[object, ...]:
    """The cells of a row as values to sort by and to look for words in."""
    counters = event.counters if event.is_counted else None
    return (
        event.kernel,
        event.device,
        event.lanes,
        event.seconds,
        event.traps,
        event.bytes_per_second,
        event.divergence if counters else None,
        counters.utilisation if counters and counters.slots else None,
        event.backend,
        event.program,
        event.error,
    )


def cells(event: LaunchEvent) -> tuple[str, ...]:
    """The cells of a row as they show."""
    counters = event.counters if event.is_counted else None
    return (
        event.kernel,
        event.device,
        f"{event.lanes:,}",
        "failed" if event.error else format_time(event.seconds),
        f"{event.traps:,}" if event.traps else "",
        f"{event.bytes_per_second / 1e9:.3g}" if event.bytes_per_second else "",
        f"{event.divergence:.1%}" if counters else "",
        f"{counters.utilisation:.1%}" if counters and counters.slots else "",
    )


def format_time(seconds: float) -> str:
    """A duration with three digits: ``31.2 us``."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def format_size(size_bytes: int) -> str:
    """A number of bytes with three digits: ``4.19 MB``; a thousand of them are a kB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.3g} {unit}"
    return f"{size_bytes} B"


def _draw_row(state: ViewerState, event: LaunchEvent, is_shown: bool) -> None:
    imgui.table_next_row()
    imgui.table_next_column()
    name, *others = cells(event)
    key = event.pid, event.number
    if imgui.selectable(f"{plain(name)}##{key}", is_shown, imgui.SelectableFlags_.span_all_columns)[0]:
        # Chosen again, the newest one shows from here on.
        state.launches.chosen = None if state.launches.chosen == key else key
    is_bad = bool(event.error or event.traps)
    for place, text in enumerate(others, 1):
        imgui.table_next_column()
        if is_bad and _COLUMNS[place] in ("time", "traps"):
            imgui.text_colored(colour(WARN), plain(text))
        else:
            imgui.text(plain(text))


def _draw_details(event: LaunchEvent) -> None:
    imgui.separator_text(f"{plain(event.kernel)} on {plain(event.device)}")
    if event.error:
        _wrapped(event.error, WARN)
    else:
        _wrapped(f"ran on {event.backend}, {summary(event)}")
    groups = -(-event.lanes // max(event.group, 1))
    _wrapped(f"{event.lanes:,} lanes in {groups:,} groups of {event.group}")
    when = time.strftime("%H:%M:%S", time.localtime(event.begun))
    quiet(plain(f"launch {event.number} of {event.program} ({event.pid}), {when}"))
    if event.scalars:
        _wrapped(", ".join(f"{name} = {value}" for name, value in event.scalars.items()))
    if event.trap is not None:
        line = "" if event.trap.line is None else f", line {event.trap.line}"
        more = f" ({event.traps:,} lanes ended by a trap)" if event.traps > 1 else ""
        _wrapped(f"lane {event.trap.lane}{line}: {event.trap.reason}{more}", WARN)
    if event.printed:
        quiet(f"{event.printed:,} lines printed")
    _draw_counters(event)
    _draw_buffers(event)


def summary(event: LaunchEvent) -> str:
    """What a launch cost, in words."""
    parts = [format_time(event.seconds)]
    if event.device_seconds is not None:
        parts.append(f"{format_time(event.device_seconds)} of it on the device")
    if event.build_seconds:
        parts.append(f"built in {format_time(event.build_seconds)} before")
    if event.bytes_per_second:
        what = "loaded and stored" if event.is_counted else "of its buffers"
        parts.append(f"{format_size(event.moved_bytes)} {what}, {event.bytes_per_second / 1e9:.3g} GB/s")
    return ", ".join(parts)


def _draw_counters(event: LaunchEvent) -> None:
    imgui.separator_text("counters")
    counters = event.counters
    if counters is None or not event.is_counted:
        quiet("What lanes do is counted where that is asked for:")
        push_mono()  # in the other font two dashes look like one
        _wrapped("gpu run --counts, or Device('cpu', counts=True)", QUIET)
        imgui.pop_font()
        return
    if counters.branches:
        _draw_bar(_LONGEST, event.divergence, f"{counters.divergent:,} of {counters.branches:,}", WARN)
    else:
        quiet("no branches")
    if counters.slots:
        _draw_bar("lanes in use", counters.utilisation, f"{counters.utilisation:.1%}", ACCENT)
    if imgui.begin_table("counters", 4, imgui.TableFlags_.sizing_fixed_fit):
        for name, value in (
            ("instructions", f"{counters.instructions:,}"),
            ("barriers", f"{counters.barriers:,}"),
            ("loads", f"{counters.loads:,}"),
            ("loaded", format_size(counters.bytes_loaded)),
            ("stores", f"{counters.stores:,}"),
            ("stored", format_size(counters.bytes_stored)),
        ):
            imgui.table_next_column()
            quiet(name)
            imgui.table_next_column()
            imgui.text(value)
        imgui.end_table()


def _draw_bar(name: str, share: float, text: str, tint: tuple[int, int, int]) -> None:
    imgui.push_style_color(imgui.Col_.plot_histogram, colour(tint, 0.55))
    width = imgui.get_content_region_avail().x - imgui.calc_text_size(_LONGEST).x - imgui.get_style().item_spacing.x
    imgui.progress_bar(share, imgui.ImVec2(width, imgui.get_text_line_height_with_spacing()), text)
    imgui.pop_style_color()
    imgui.same_line()
    imgui.text(name)


def _draw_buffers(event: LaunchEvent) -> None:
    imgui.separator_text("buffers")
    if not event.buffers:
        quiet("none")
        return
    flags = imgui.TableFlags_.row_bg | imgui.TableFlags_.sizing_fixed_fit | imgui.TableFlags_.resizable
    flags |= imgui.TableFlags_.scroll_x
    if imgui.begin_table("buffers", 5, flags, imgui.ImVec2(0, _table_height(len(event.buffers)))):
        for name in ("name", "elements", "bytes", "use", "where"):
            imgui.table_setup_column(name)
        imgui.table_headers_row()
        for buffer in event.buffers:
            for text in buffer_cells(buffer):
                imgui.table_next_column()
                imgui.text(plain(text))
        imgui.end_table()


def buffer_cells(buffer: BufferUse) -> tuple[str, ...]:
    """The row of a buffer."""
    use = {(True, True): "load, store", (True, False): "load", (False, True): "store", (False, False): "none"}
    where = f"{buffer.place}, {buffer.address:#x}" if buffer.address else buffer.place
    elements = f"{buffer.elements:,} {buffer.type}"
    return buffer.name, elements, format_size(buffer.bytes), use[buffer.is_loaded, buffer.is_stored], where


def _wrapped(text: str, tint: tuple[int, int, int] | None = None) -> None:
    imgui.push_text_wrap_pos(0.0)
    if tint is None:
        imgui.text(plain(text))
    else:
        imgui.text_colored(colour(tint), plain(text))
    imgui.pop_text_wrap_pos()
