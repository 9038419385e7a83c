"""``trace syscalls FILE``: the system calls of a trace, as ``strace`` would have shown them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .options import Verbs, add_json, add_verb, print_json, print_lines, print_table, say
from .trace_names import add_names, add_process, names_from

if TYPE_CHECKING:
    from ..trace.calls.system_call import SystemCall

_COLUMNS = ("calls", "errors", "total us", "mean us", "longest us", "name")


def add_verbs(actions: Verbs) -> None:
    """Add ``syscalls`` to the actions of ``trace``."""
    parser = add_verb(actions, "syscalls", syscalls, "glassbox trace syscalls demo.gbt --name openat,execve")
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace")
    add_process(parser, "only this process")
    parser.add_argument("--name", metavar="NAME,…", help="only these calls")
    parser.add_argument("--failed", action="store_true", help="only calls that returned an error")
    parser.add_argument("-c", "--count", action="store_true", help="a table with a row for each call, by total time")
    add_names(parser)
    add_json(parser)


def syscalls(options: argparse.Namespace) -> None:
    """List the system calls of a trace: process, name, arguments, result and seconds."""
    # See trace_read: the parser must not wait for NumPy.
    from ..trace.calls.matching import iter_calls
    from ..trace.file.reader import TraceReader

    naming = names_from(options.symbols, options.file)
    begun = time.monotonic()
    with TraceReader(options.file) as trace:
        found = list(_chosen(iter_calls(trace, naming), options))
        info = trace.info
    rate = info.instructions / max(time.monotonic() - begun, 1e-9) / 1e6
    if options.count:
        _print_counts(found, options.json)
    else:
        found.sort(key=lambda call: call.time_ns)
        _print_calls(found, info.time_ns, options.json)
    say(f"{len(found)} system calls in {info.instructions} instructions ({rate:.0f} M/s)")
    if not info.is_complete:
        say("the file was cut off; its whole frames were read")


def _chosen(calls: Iterable[SystemCall], options: argparse.Namespace) -> Iterator[SystemCall]:
    from ..trace.calls.events import ROOT_MASK

    names = frozenset(options.name.split(",")) if options.name else None
    root = None if options.root is None else options.root & ROOT_MASK
    kept = list(calls) if options.pid is not None else calls  # a child's pid is known when its parent's call returns
    for call in kept:
        if (
            (options.pid is None or call.process.pid.value == options.pid)
            and (root is None or call.root == root)
            and (names is None or call.name in names)
            and (not options.failed or call.is_error)
        ):
            yield call


def _print_calls(calls: list[SystemCall], start_ns: int, as_json: bool) -> None:
    from ..trace.calls.printing import format_call

    if as_json:
        print_json([_as_row(call) for call in calls])
        return
    for call in calls:
        spent = "" if call.duration_ns is None else f" <{call.duration_ns / 1e9:.6f}>"
        who = str(call.process) if call.process.name or call.process.pid.value else f"root {call.root:#x}"
        print_lines(f"{(call.time_ns - start_ns) / 1e9:12.6f} [{who}] {format_call(call)}{spent}")


def _as_row(call: SystemCall) -> dict[str, Any]:
    from ..trace.calls.printing import format_call, quote

    return {
        "name": call.name,
        "number": call.number if call.call else None,
        "gate": call.gate.name.lower(),
        "pid": call.process.pid.value,
        "process": call.process.name,
        "root": call.root,
        "vcpu": call.vcpu,
        "time_ns": call.time_ns,
        "duration_ns": call.duration_ns,
        "instruction": call.instruction,
        "instructions": call.instructions,
        "address": call.address,
        "arguments": list(call.arguments),
        "texts": {str(place): quote(*text) for place, text in call.texts.items()},
        "result": call.result,
        "is_error": call.is_error,
        "outcome": str(call.outcome),
        "text": format_call(call),
    }


def _print_counts(calls: list[SystemCall], as_json: bool) -> None:
    groups: dict[str, list[SystemCall]] = {}
    for call in calls:
        groups.setdefault(call.name, []).append(call)
    rows = []
    for name, group in groups.items():
        times = [call.duration_ns for call in group if call.duration_ns is not None]
        errors = sum(call.is_error for call in group)
        rows.append((len(group), errors, sum(times), sum(times) // max(len(times), 1), max(times, default=0), name))
    rows.sort(key=lambda row: -row[2])
    if as_json:
        names = ("calls", "errors", "total_ns", "mean_ns", "longest_ns", "name")
        print_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    print_table([[*row[:2], *(each // 1000 for each in row[2:5]), row[5]] for row in rows], _COLUMNS)
