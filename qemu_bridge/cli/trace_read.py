"""``trace info|check|show|diff|find|commands FILE``: what a recorded trace holds."""

from __future__ import annotations

import argparse
import dataclasses
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import EXIT_FAILED, UsageError
from .memory import add_pattern, parse_pattern
from .options import Verbs, add_json, add_verb, print_json, print_lines, say
from .trace_names import add_names, names_from

if TYPE_CHECKING:
    from ..trace.analysis.check import Report
    from ..trace.analysis.info import TraceMetadata

# Trace readers load NumPy, so the verbs import them: the parser of all other verbs must not wait for it.

_MOST_GAPS = 20
"""That `trace check` and `trace info` print; --json has more."""


def add_verbs(actions: Verbs) -> None:
    """Add ``info``, ``check``, ``show``, ``diff``, ``find`` and ``commands`` to the actions of ``trace``."""
    for name, function in (("info", info), ("check", check)):
        parser = add_verb(actions, name, function, f"glassbox trace {name} demo.gbt")
        parser.add_argument("file", type=Path, metavar="FILE", help="a trace")
        add_json(parser)
    parser = add_verb(actions, "show", show, "glassbox trace show demo.gbt --at 1000000 --count 40 --symbols demo")
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace")
    parser.add_argument("--at", type=int, default=0, metavar="N", help="the first instruction (default: %(default)s)")
    parser.add_argument("--count", type=int, default=40, metavar="N", help="how many (default: %(default)s)")
    parser.add_argument("--vcpu", type=int, default=0, metavar="N", help="of which vCPU (default: %(default)s)")
    add_names(parser)
    add_json(parser)
    parser = add_verb(actions, "diff", diff, "glassbox trace diff one.gbt other.gbt")
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace")
    parser.add_argument("other", type=Path, metavar="OTHER", help="another trace")
    parser.add_argument("--vcpu", type=int, default=0, metavar="N", help="of which vCPU (default: %(default)s)")
    add_json(parser)

    parser = add_verb(actions, "find", find, "glassbox trace find demo.gbt 'a needle' --symbols demo")
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace recorded with --values")
    add_pattern(parser, "text to look for in what was stored")
    add_names(parser)
    add_json(parser)
    parser = add_verb(actions, "commands", commands, "glassbox trace commands demo.gbt")
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace recorded with --values")
    add_names(parser)
    add_json(parser)


def info(options: argparse.Namespace) -> None:
    """Show trace metadata: machine, size, instructions, losses."""
    from ..trace.analysis.info import read_info

    found = read_info(options.file)
    if options.json:
        print_json(
            dataclasses.asdict(found.trace)
            | {
                "gaps": [dataclasses.asdict(gap) for gap in found.gaps],
                "bytes_per_instruction": found.bytes_per_instruction,
                "sections": found.sections,
            }
        )
    else:
        _print_info(found)


def _print_info(found: TraceMetadata) -> None:
    rows: dict[str, object] = dataclasses.asdict(found.trace)
    about, summary = found.trace.about, found.trace.summary
    del rows["about"], rows["summary"]
    rows["gaps"] = f"{len(found.gaps)}, of {sum(gap.words for gap in found.gaps)} words"
    rows["bytes_per_instruction"] = found.bytes_per_instruction
    rows |= {f"{name}_bytes": size for name, size in found.sections.items()}
    rows |= {f"about.{name}": _brief(value) for name, value in about.items()}
    rows |= {f"summary.{name}": value for name, value in summary.items()}
    print_lines("\n".join(f"{key!s:24} {value!s}" for key, value in rows.items()))
    for gap in found.gaps[:_MOST_GAPS]:
        print_lines("gap: " + ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(gap).items()))
    if len(found.gaps) > _MOST_GAPS:
        print_lines(f"… {len(found.gaps) - _MOST_GAPS} more gaps")


def _brief(value: object) -> object:
    """What is too long for a line as its parts and their number."""
    if not isinstance(value, dict):
        return value
    return ", ".join(
        f"{len(part)} {name}" if isinstance(part, list) else f"{name} {part}" for name, part in value.items()
    )


def check(options: argparse.Namespace) -> int:
    """Check that a trace is continuous, complete and counted right; exit status 1 if it is not."""
    from ..trace.analysis.check import check_trace
    from ..trace.file.reader import TraceReader

    with TraceReader(options.file) as trace:
        begun = time.monotonic()
        report = check_trace(trace)
        seconds = time.monotonic() - begun
        complete = trace.info.is_complete
    if options.json:
        print_json(dataclasses.asdict(report) | {"is_complete": complete})
    else:
        for found in report.findings:
            print_lines(f"frame {found.frame}, vCPU {found.vcpu}, block {found.block}: {found.kind}: {found.text}")
        rate = report.instructions / max(seconds, 1e-9) / 1e6
        say(
            f"{report.count} findings in {report.instructions} instructions, {report.blocks} blocks, {report.frames} frames; "
            f"{report.gaps} gaps, {report.windows} windows, {report.verified_windows} verified ({rate:.0f} M/s)"
        )
        _say_holes(report)
        if report.closed_windows < report.windows:
            say(f"{report.windows - report.closed_windows} windows have no end: what came last may be missing")
        if not complete:
            say("the file was cut off; its whole frames were checked")
    return 0 if report.is_sound else 1


def _say_holes(report: Report) -> None:
    for gap in report.gap_list[:_MOST_GAPS]:
        print_lines(
            f"frame {gap.frame}, vCPU {gap.vcpu}, block {gap.block}: gap: {gap.words} words in {gap.chunks} chunks were"
            f" dropped, {gap.instructions or 'an unknown number of'} instructions"
        )
    if report.gaps > _MOST_GAPS:
        print_lines(f"… {report.gaps - _MOST_GAPS} more gaps")
    if report.filter_holes:
        say(
            f"filters left out {report.filter_holes} stretches, with at most {report.left_out_instructions} instructions"
            " by privilege and address"
        )


def show(options: argparse.Namespace) -> None:
    """Print the instruction stream from a point on, disassembled and named."""
    from ..trace.analysis.show import show as lines_of
    from ..trace.file.reader import TraceReader

    if options.at < 0 or options.count < 1:
        raise UsageError("--at counts from 0 and --count from 1; give larger numbers")
    naming = names_from(options.symbols, options.file)
    with TraceReader(options.file) as trace:
        symbol = naming.during(trace.info.about).symbol
        lines = lines_of(trace, options.vcpu, options.at, options.count, symbol)
        if options.json:
            print_json(list(lines))
            return
        for line in lines:
            mark = " " if line.kind == "instruction" else "*"
            text = f"{line.instruction:12} {line.root:9x} {line.ring} {line.address:16x} {mark}{line.text}"
            print_lines(f"{text:76} {line.symbol}".rstrip())


def find(options: argparse.Namespace) -> int:
    """Find who wrote a text: the stores, their code and its process; exit status 1 when there is none."""
    from ..trace.analysis.written import find_written
    from ..trace.file.reader import TraceReader
    from ..wire.json_text import spell_addresses

    pattern = parse_pattern(options)
    wanted = pattern if isinstance(pattern, re.Pattern) else re.compile(re.escape(pattern))
    naming = names_from(options.symbols, options.file)
    with TraceReader(options.file) as trace:
        names = naming.during(trace.info.about)
        rows = [
            spell_addresses(found)
            | {
                "text": found.text.decode("utf-8", "replace"),
                "process": names.process(found.root),
                "symbol": names.symbol(found.code),
            }
            for found in find_written(trace, wanted)
        ]

    def describe(row: dict[str, Any]) -> str:
        who = f"{row['process'] or row['root']}: {row['symbol'] or row['code']}"
        return f"{row['instruction']:12} {row['address']:>18} {who}: {row['text']}"

    return _print_found(rows, options.json, describe, "nobody wrote this text while it was recorded")


def commands(options: argparse.Namespace) -> int:
    """List the programs that were started, with their arguments; exit status 1 when there is none."""
    from ..trace.analysis.written import find_commands
    from ..trace.file.reader import TraceReader
    from ..wire.json_text import spell_addresses

    naming = names_from(options.symbols, options.file)
    with TraceReader(options.file) as trace:
        names = naming.during(trace.info.about)
        rows = [spell_addresses(found) | {"process": names.process(found.root)} for found in find_commands(trace)]

    def describe(row: dict[str, Any]) -> str:
        who = row["process"] or row["root"]
        return f"{row['instruction']:12} {who:>12} {row['file']}: {' '.join(row['arguments'])}"

    return _print_found(rows, options.json, describe, "no program was started while it was recorded")


def _print_found(
    rows: list[dict[str, Any]], as_json: bool, describe: Callable[[dict[str, Any]], str], none: str
) -> int:
    if not rows:
        say(none)
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            print_lines(describe(row))
    return 0 if rows else EXIT_FAILED


def diff(options: argparse.Namespace) -> int:
    """Find the first instruction in which two traces differ; exit status 1 if there is one."""
    from ..trace.analysis.diff import diff_traces
    from ..trace.file.reader import TraceReader

    with TraceReader(options.file) as left, TraceReader(options.other) as right:
        found = diff_traces(left, right, options.vcpu)
    if options.json:
        print_json(dataclasses.asdict(found))
    else:
        print_lines(f"the same for {found.same_blocks} blocks, {found.same_instructions} instructions")
        if not found.is_same:
            print_lines(f"then {options.file}: {found.left}\n     {options.other}: {found.right}")
        print_lines(f"different blocks: {found.common} in both, {found.only_left} and {found.only_right} in one only")
    return 0 if found.is_same else 1
