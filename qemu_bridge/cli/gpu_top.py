"""``gpu top``: tenants of the GPU service, on a screen of any size, anew each second."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..memory.addresses import format_size
from .gpu_activity import add_socket
from .options import Verbs, add_json, add_verb, end_tidily, print_json, print_lines

if TYPE_CHECKING:
    from gpu_hypervisor import Stats, TenantUsage

_HOME, _REST = "\x1b[H", "\x1b[J"
_LEAST_WIDTH = 60
_NAME_WIDTH = 8
"""Letters of a tenant's name and classes that a narrow screen shows at least."""


def add_verbs(actions: Verbs) -> None:
    """Add this module's verbs to those of ``gpu``."""
    parser = add_verb(actions, "top", top, "glassbox gpu top --once")
    parser.description = (
        "Show who shares the GPU: shares of device time asked and got, jobs that wait and run, how long they waited for their first slice, memory, "
        "refusals. A terminal that is narrow shows fewer columns, one that is low the busiest tenants."
    )
    add_socket(parser)
    parser.add_argument("--once", action="store_true", help="print it once")
    parser.add_argument("--interval", type=float, default=1.0, metavar="S", help="seconds (default: %(default)s)")
    add_json(parser)


def top(options: argparse.Namespace) -> None:
    """Show tenants of the service: shares, queues, latencies, memory; anew each second until Ctrl-C."""
    from gpu_hypervisor.service import Client

    if not 0.05 <= options.interval <= 3600:
        raise UsageError(f"--interval is 0.05 to 3600 seconds, not {options.interval:g}")
    end_tidily()
    with Client(options.socket) as client:
        while True:
            stats = client.stats()
            if options.json:
                print_json(stats, one_line=not options.once)
            else:
                _print(stats, is_live=not options.once)
            if options.once:
                return
            time.sleep(options.interval)


def _print(stats: Stats, *, is_live: bool) -> None:
    width, height = shutil.get_terminal_size() if sys.stdout.isatty() else (0, 0)
    lines = screen(stats, width, height if is_live else 0)
    heading = next((line for line in lines if line.startswith("TENANT ")), "")
    begin = _HOME + _REST if is_live and sys.stdout.isatty() else ""
    sys.stdout.write(begin)
    print_lines("\n".join(lines), at_once=True, heading=heading)


Column = tuple[str, int, Callable[["TenantUsage"], str]]
_COLUMNS: Sequence[Column] = (
    ("TENANT", 0, lambda each: each.name),
    ("CLASS", 0, lambda each: ",".join(each.classes) or "-"),
    ("WEIGHT", 3, lambda each: f"{each.weight:g}"),
    ("ASKED", 0, lambda each: f"{each.asked:.1%}"),
    ("GOT", 0, lambda each: f"{each.share:.1%}"),
    ("QUEUE", 0, lambda each: str(each.building + each.queued)),
    ("RUN", 0, lambda each: str(each.running)),
    ("P50", 0, lambda each: _milliseconds(each.queue_p50_ms)),
    ("P99", 0, lambda each: _milliseconds(each.queue_p99_ms)),
    ("MEMORY", 0, lambda each: f"{_size(each.memory_bytes)}/{_size(each.memory_limit_bytes)}"),
    ("REFUSED", 0, lambda each: str(each.refused)),
    ("ENDED", 1, lambda each: str(each.ended)),
    ("FAILED", 2, lambda each: str(each.failed)),
)
"""Head, which of them goes first where there is no room (those with 0 stay), and the cell."""


def screen(stats: Stats, width: int = 0, height: int = 0) -> list[str]:
    """Lines of ``gpu top``, none longer than `width` and no more than `height`; 0: whatever they need."""
    tenants = sorted(stats.tenants, key=lambda each: (-(each.running + each.queued + each.building), -each.share))
    head = _head(stats, width)
    room = max(height - len(head) - 3, 1) if height else len(tenants)
    shown, left = tenants[:room], len(tenants) - room
    lines = [*head, *_table(shown, width)]
    if left > 0 and height:
        lines.append(f"and {left} tenants more, of which {sum(bool(each.running) for each in tenants[room:])} run")
    return [line[:width] if width else line for line in lines]


def _head(stats: Stats, width: int) -> list[str]:
    busy = stats.busy_seconds / stats.uptime_seconds if stats.uptime_seconds else 0.0
    parts = [
        stats.device,
        f"up {stats.uptime_seconds:.0f} s, busy {busy:.0%}",
        f"{stats.slices} slices, {stats.stops} stopped",
        f"switch p50 {stats.switch_p50_us:.0f} us p99 {stats.switch_p99_us:.0f} us",
        f"memory {format_size(stats.memory_bytes)} of {format_size(stats.memory_limit_bytes)}, {stats.evictions} evictions",
        "classes: " + ", ".join(f"{each.name} {each.share:.0%} ({each.jobs})" for each in stats.classes),
    ]
    if len(stats.devices) > 1:
        shown = (
            f"{each.name} {'drained' if each.is_drained else f'busy {each.busy_seconds / stats.uptime_seconds:.0%}'} ({each.jobs} jobs)"
            for each in stats.devices
        )
        parts.append("devices: " + ", ".join(shown))
    lines = [parts[0]]
    for part in parts[1:]:
        joined = f"{lines[-1]}; {part}"
        if len(lines) > 1 and len(joined) <= (width or 120):
            lines[-1] = joined
        else:
            lines.append(part)
    return lines


def _table(tenants: Sequence[TenantUsage], width: int) -> list[str]:
    if not tenants:
        return ["no tenants: start a machine with --gpu, or open one from a program"]
    columns = list(_COLUMNS)
    while True:
        rows = [[head for head, _, _ in columns], *([cell(each) for _, _, cell in columns] for each in tenants)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        gap = 2 if not width or sum(widths) + 2 * len(widths) - 2 <= width else 1
        over = sum(widths) + gap * (len(widths) - 1) - width if width else 0
        optional = [column for column in columns if column[1]]
        if over <= 0 or not optional:
            break
        columns.remove(min(optional, key=lambda column: column[1]))
    for place in (1, 0):  # classes are cut before names
        cut = min(max(over, 0), max(widths[place] - _NAME_WIDTH, 0))
        widths[place] -= cut
        over -= cut
    return [
        (" " * gap).join(f"{_cut(cell, size):<{size}}" for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1] + "…"


def _milliseconds(value: float) -> str:
    return f"{value:.3g}ms" if value < 1000 else f"{value / 1000:.3g}s"


def _size(size_bytes: int) -> str:
    return format_size(size_bytes).replace(" ", "").replace("iB", "").replace("B", "")
