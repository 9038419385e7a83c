"""``trace functions FILE``: how often each function was called, what it cost, and who called whom."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import EXIT_FAILED, UsageError
from .options import Verbs, add_json, add_verb, print_json, print_lines, print_table, say
from .trace_names import add_names, add_process, names_from

if TYPE_CHECKING:
    from ..trace.analysis.functions import Edge, FunctionRow, Functions
    from ..trace.analysis.naming import Naming

_MOST_EDGES = 8
"""Callers and callees that --of prints; --json has all."""


def add_verbs(actions: Verbs) -> None:
    """Add ``functions`` to the actions of ``trace``."""
    parser = add_verb(
        actions, "functions", functions, "glassbox trace functions demo.gbt --symbols demo --sort inclusive"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace")
    parser.add_argument("-n", "--count", type=int, default=20, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument(
        "--sort", choices=("own", "inclusive", "calls"), default="own", help="order of the rows (default: %(default)s)"
    )
    parser.add_argument("--of", metavar="NAME", help="this function's callers and callees")
    parser.add_argument("--by-process", action="store_true", help="a row for each process that executed a function")
    add_process(parser)
    add_names(parser)
    add_json(parser)


def functions(options: argparse.Namespace) -> int:
    """Count calls of functions, their own instructions and those with what they called; exit status 1 if there is none."""
    # See trace_read: the parser must not wait for NumPy.
    from ..trace.analysis.functions import count_functions
    from ..trace.file.reader import TraceReader

    if options.count < 1:
        raise UsageError(f"{options.count} functions cannot be listed; give -n a number from 1 up")
    naming = names_from(options.symbols, options.file)
    begun = time.monotonic()
    with TraceReader(options.file) as trace:
        chosen = _chosen(options, naming.during(trace.info.about))
        found = count_functions(trace, naming, options.by_process, chosen)
        info = trace.info
    rate = info.instructions / max(time.monotonic() - begun, 1e-9) / 1e6
    rows = found.rows if options.of is None else [row for row in found.rows if row.name == options.of]
    rows.sort(key=lambda row: -getattr(row, options.sort))
    if options.json:
        print_json([_as_row(row) for row in rows])
    elif options.of is not None:
        for row in rows:
            _print_one(row)
    else:
        _print_table(rows[: options.count], found, options.by_process)
        if len(rows) > options.count:
            say(f"{len(rows) - options.count} more functions; -n N lists more")
    if not rows:
        say(f"no function {options.of or ''} was executed by what was chosen")
    say(f"{info.instructions} instructions counted ({rate:.0f} M/s)")
    if not info.is_complete:
        say("the file was cut off; its whole frames were counted")
    return 0 if rows else EXIT_FAILED


def _chosen(options: argparse.Namespace, naming: Naming) -> tuple[str, ...]:
    """Names of the processes that are asked for; none: all."""
    from ..trace.analysis.call_trees import name_process

    root = naming.root(options.pid) if options.pid is not None else options.root
    return () if root is None else (name_process(naming, root),)


def _print_table(rows: list[FunctionRow], found: Functions, by_process: bool) -> None:
    total = max(found.instructions, 1)
    cells = [
        [row.calls, row.own, f"{100 * row.own / total:.1f}%", row.inclusive, f"{100 * row.inclusive / total:.1f}%"]
        + ([row.name, row.process] if by_process else [row.name])
        for row in rows
    ]
    names = ("calls", "own", "share", "inclusive", "share", "function", *(("process",) if by_process else ()))
    print_table(cells, names)


def _print_one(row: FunctionRow) -> None:
    where = f"  [{row.process}]" if row.process else ""
    print_lines(f"{row.name}: {row.calls} calls, {row.own} instructions of its own, {row.inclusive} inclusive{where}")
    for title, edges in (("called by", row.edges(True)), ("calls", row.edges(False))):
        print_lines(f"  {title}")
        for edge in edges[:_MOST_EDGES]:
            print_lines(f"    {edge.calls:10} x  {edge.inclusive:14}  {edge.name}")
        if len(edges) > _MOST_EDGES:
            print_lines(f"    … {len(edges) - _MOST_EDGES} more")
        if not edges:
            print_lines("    nothing that is known")


def _as_row(row: FunctionRow) -> dict[str, object]:
    def edges(found: list[Edge]) -> list[dict[str, object]]:
        return [{"name": edge.name, "calls": edge.calls, "inclusive": edge.inclusive} for edge in found]

    return {
        "name": row.name,
        "process": row.process,
        "calls": row.calls,
        "own": row.own,
        "inclusive": row.inclusive,
        "callers": edges(row.edges(True)),
        "callees": edges(row.edges(False)),
    }
