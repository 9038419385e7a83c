"""The GPU that guests share: who has it when, tenants with shares asked and got, and their jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgui_bundle import imgui

from viewer.app.state import ViewerState

from ...sources.gpu import SHOWN_NS, GpuState
from .launches import format_size, format_time
from .theme import ACCENT, QUIET, SORTED_TABLE, WARN, colour, draw_filter, packed, plain, push_mono, quiet, sort_order

if TYPE_CHECKING:
    from gpu_hypervisor.engine import JobRow, TenantUsage

EXAMPLES = ("glassbox gpu serve &", "glassbox start a --gpu --gpu-weight 60")
_COLUMNS = ("tenant", "class", "asked", "got", "queue", "run", "p50", "p99", "memory", "ended", "refused")
_JOBS = ("job", "tenant", "kernel", "process", "state", "waited", "on device")
_TINTS = (
    (86, 156, 214),
    (244, 160, 70),
    (110, 190, 120),
    (200, 120, 190),
    (220, 205, 90),
    (90, 200, 200),
    (210, 110, 100),
)
_ROW, _GAP = 16.0, 3.0
_MOST_STRIPS = 12


def draw(state: ViewerState) -> None:
    """Draw the tab's body."""
    watch = state.gpu
    if watch is None:
        quiet("No machine runs here.")
        return
    watch.look()
    found = watch.state
    if found is None:
        _explain(state, watch.problem)
        return
    stats = found.stats
    busy = stats.busy_seconds / stats.uptime_seconds if stats.uptime_seconds else 0.0
    _wrapped(
        f"{stats.device}: busy {busy:.0%}, switches p50 {stats.switch_p50_us:.0f} us, p99 {stats.switch_p99_us:.0f} us"
    )
    memory = f"{format_size(stats.memory_bytes)} of {format_size(stats.memory_limit_bytes)}"
    quiet(plain(f"memory {memory}, {stats.evictions} evictions"))
    if not stats.tenants:
        quiet("no tenants")
    _draw_strips(found)
    _draw_tenants(stats.tenants)
    imgui.separator_text("jobs")
    _draw_jobs(state, found.jobs)


def _explain(state: ViewerState, problem: str) -> None:
    if problem:
        quiet(plain(problem))
    _wrapped("Machines share a GPU, and this shows who has it when:")
    push_mono()  # in the other font two dashes look like one
    for command in EXAMPLES:
        _wrapped(command)
    imgui.pop_font()
    if imgui.small_button("copy"):
        state.copy("\n".join(EXAMPLES), "the commands")


def tint_of(found: GpuState, tenant: str) -> tuple[int, int, int]:
    """The colour of a tenant, by its place among those that are open; grey for one that is gone."""
    names = [each.name for each in found.stats.tenants]
    return _TINTS[names.index(tenant) % len(_TINTS)] if tenant in names else QUIET


def strips(found: GpuState) -> dict[str, list[tuple[float, float]]]:
    """For each tenant the parts of the time that shows, 0 to 1, in which it had the device; parts closer than a pixel are joined."""
    parts: dict[str, list[tuple[float, float]]] = {each.name: [] for each in found.stats.tenants[:_MOST_STRIPS]}
    begin = found.now_ns - SHOWN_NS
    for row in found.slices:
        if row.tenant not in parts:
            continue
        left, right = (max(row.began_ns - begin, 0) / SHOWN_NS, min((row.ended_ns - begin) / SHOWN_NS, 1.0))
        own = parts[row.tenant]
        if own and left - own[-1][1] < 0.001:
            own[-1] = own[-1][0], max(right, own[-1][1])
        elif right > left:
            own.append((left, right))
    return parts


def _draw_strips(found: GpuState) -> None:
    parts = strips(found)
    if not parts:
        return
    imgui.separator_text(f"the last {SHOWN_NS // 1_000_000_000} s")
    names = max(imgui.calc_text_size(plain(name[:20])).x for name in parts) + 2 * _GAP
    width, start = imgui.get_content_region_avail().x - names, imgui.get_cursor_screen_pos()
    line = imgui.get_text_line_height()
    paper = imgui.get_window_draw_list()
    for place, (name, spans) in enumerate(parts.items()):
        top = start.y + place * (line + _GAP)
        paper.add_text(imgui.ImVec2(start.x, top), packed(QUIET), plain(name[:20]))
        left = start.x + names
        paper.add_rect_filled(imgui.ImVec2(left, top), imgui.ImVec2(left + width, top + line), packed((40, 42, 48)))
        for begin, end in spans:
            low = imgui.ImVec2(left + begin * width, top)
            high = imgui.ImVec2(left + max(end * width, begin * width + 1.0), top + line)
            paper.add_rect_filled(low, high, packed(tint_of(found, name)))
    imgui.dummy(imgui.ImVec2(names + width, len(parts) * (line + _GAP)))


def tenant_cells(tenant: TenantUsage) -> tuple[str, ...]:
    """The cells of a tenant's row."""
    return (
        tenant.name,
        ", ".join(tenant.classes) or "-",
        f"{tenant.asked:.1%}",
        f"{tenant.share:.1%}",
        str(tenant.building + tenant.queued),
        str(tenant.running),
        format_time(tenant.queue_p50_ms / 1e3),
        format_time(tenant.queue_p99_ms / 1e3),
        f"{format_size(tenant.memory_bytes)} of {format_size(tenant.memory_limit_bytes)}",
        str(tenant.ended),
        str(tenant.refused),
    )


def _draw_tenants(tenants: tuple[TenantUsage, ...]) -> None:
    flags = imgui.TableFlags_.row_bg | imgui.TableFlags_.sizing_fixed_fit | imgui.TableFlags_.scroll_x
    height = (min(len(tenants), _MOST_STRIPS) + 1) * _line() + float(imgui.get_style().scrollbar_size) + 2.0
    if tenants and imgui.begin_table("tenants", len(_COLUMNS), flags, imgui.ImVec2(0, height)):
        for name in _COLUMNS:
            imgui.table_setup_column(name)
        imgui.table_headers_row()
        for tenant in tenants:
            imgui.table_next_row()
            for text in tenant_cells(tenant):
                imgui.table_next_column()
                imgui.text(plain(text))
        imgui.end_table()


def job_cells(job: JobRow) -> tuple[str, ...]:
    """The cells of a job's row."""
    who = ", ".join(f"{process.name} ({process.pid})" for process in job.processes) or job.label or "-"
    waited = format_time(max(job.began_ns - job.ready_ns, 0) / 1e9) if job.began_ns else "-"
    return str(job.number), job.tenant, job.kernel or "-", who, str(job.state), waited, format_time(job.device_seconds)


def _values(job: JobRow) -> tuple[object, ...]:
    """The cells of a row as values to sort by and to look for words in."""
    cells = job_cells(job)
    return (job.number, *cells[1:5], max(job.began_ns - job.ready_ns, 0), job.device_seconds, job.error)


def _draw_jobs(state: ViewerState, jobs: tuple[JobRow, ...]) -> None:
    if not jobs:
        quiet("none yet")
        return
    view = state.table_views["gpu jobs"]
    draw_filter(view, "gpu jobs")
    if imgui.begin_table("gpu jobs", len(_JOBS), SORTED_TABLE):
        imgui.table_setup_scroll_freeze(0, 1)
        for name in _JOBS:
            imgui.table_setup_column(name)
        imgui.table_headers_row()
        rows = view.rows(jobs[::-1], _values, *sort_order())
        clipper = imgui.ListClipper()
        clipper.begin(len(rows))
        while clipper.step():
            for job in rows[clipper.display_start : clipper.display_end]:
                _draw_job(job)
        imgui.end_table()


def _draw_job(job: JobRow) -> None:
    imgui.table_next_row()
    for place, text in enumerate(job_cells(job)):
        imgui.table_next_column()
        if job.error and _JOBS[place] == "state":
            imgui.text_colored(colour(WARN), plain(text))
            if imgui.is_item_hovered():
                imgui.set_tooltip(plain(job.error))
        elif job.state == "running" and _JOBS[place] == "state":
            imgui.text_colored(colour(ACCENT), plain(text))
        else:
            imgui.text(plain(text))


def _line() -> float:
    return float(imgui.get_text_line_height() + 2 * imgui.get_style().cell_padding.y)


def _wrapped(text: str) -> None:
    imgui.push_text_wrap_pos(0.0)
    imgui.text(plain(text))
    imgui.pop_text_wrap_pos()
