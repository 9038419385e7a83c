"""``trace top FILE``: where the time went, by block, cyclic path and process; ``trace export``: for other tools."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..trace.export import FORMATS
from .options import Verbs, add_json, add_verb, end_tidily, format_table, print_json, print_lines, say
from .trace_names import add_names, add_process, names_from

if TYPE_CHECKING:
    from ..wire.trace_records import TopBlock, TopPath, TopResult

_MOST_PROCESSES = 10
_MOST_LINES = 12
"""Instructions of a path that the table shows; --json shows more."""


def add_verbs(actions: Verbs) -> None:
    """Add ``top`` and ``export`` to the actions of ``trace``."""
    parser = add_verb(actions, "top", top, "glassbox trace top demo.gbt --symbols demo --user")
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace")
    parser.add_argument("-n", "--count", type=int, default=10, metavar="N", help="how many (default: %(default)s)")
    add_names(parser)
    add_process(parser)
    ring = parser.add_mutually_exclusive_group()
    ring.add_argument("--kernel", dest="ring", action="store_const", const=0, help="only kernel code")
    ring.add_argument("--user", dest="ring", action="store_const", const=3, help="only user code")
    parser.add_argument(
        "--by",
        choices=("own", "total"),
        default="own",
        help="order of paths: by their own instructions (default), or with the loops inside them",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="threads that count (default: as many as cores)")
    parser.add_argument(
        "--learned", type=Path, metavar="LIBRARY", help="mark code that a library of learned loops has (docs/learn.md)"
    )
    add_json(parser)
    parser = add_verb(actions, "export", export, "glassbox trace export demo.gbt --format perfetto -o demo.pftrace")
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace")
    parser.add_argument("--format", required=True, choices=FORMATS, help="format of the output: see docs/trace.md")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUTPUT", help="a new file or folder")
    add_names(parser)


def top(options: argparse.Namespace) -> None:
    """Print the hottest blocks and cyclic paths of a trace, disassembled and named, and the processes that ran them."""
    # See trace_read: the parser must not wait for NumPy and DuckDB.
    from ..trace.analysis.top import top as find_top
    from ..wire.trace_records import PathOrder, TopOptions

    wanted = TopOptions(options.count, options.pid, options.root, options.ring, PathOrder(options.by), options.workers)
    wanted.validate()
    learned = _read_learned(options)
    naming = names_from(options.symbols, options.file)
    begun = time.monotonic()
    found = find_top(options.file, wanted, naming)
    seconds = time.monotonic() - begun
    if options.json:
        print_json(found)
        return
    _print(found, learned)
    say(f"{found.instructions} instructions counted in {seconds:.1f} s")
    if not found.is_complete:
        say("the file was cut off; its whole frames were counted")


def export(options: argparse.Namespace) -> None:
    """Write a trace in the format of another tool."""
    from ..trace.export import export as write

    end_tidily()
    write(options.file, options.format, options.output, names_from(options.symbols, options.file))


def _read_learned(options: argparse.Namespace) -> dict[int, str]:
    """By address of an instruction, the loop that has it and what is proved of that."""
    if options.learned is None:
        return {}
    if options.json:
        raise UsageError("--learned marks what is printed; leave out --json, or use 'learn show LIBRARY --json'")
    from pixel_cpu.learn.loop_library import read_library

    found: dict[int, str] = {}
    loops = read_library(options.learned)
    for loop in sorted(
        loops, key=lambda each: -each.found.length
    ):  # of loops in one another the inner one's word counts
        said = f"learned as {loop.name}, {loop.facts.get('verdict', 'not proved')}"
        speed = loop.facts.get("speed")
        found |= dict.fromkeys(loop.lifted.machine_loop.instructions, f"{said}, {speed}" if speed else said)
    return found


def _print(found: TopResult, learned: Mapping[int, str]) -> None:
    total = max(1, found.instructions)
    rows = [
        [
            *(f"{100 * part / total:.1f}%" for part in (row.instructions, row.user_instructions)),
            f"{100 * (row.instructions - row.user_instructions) / total:.1f}%",
            *(row.instructions, f"{row.root:#x}", row.process),
        ]
        for row in found.processes[:_MOST_PROCESSES]
    ]
    print_lines("\n".join(format_table(rows, ["share", "user", "kernel", "instructions", "root", "page table of"])))
    print_lines("shares are of all instructions executed; a processor that sleeps executes none. The idle loop, kernel")
    print_lines("threads and interrupts run on the page table of the process before them: they count as kernel.")
    print_lines("\nhot blocks")
    for number, block in enumerate(found.blocks, 1):
        _print_item(number, block, block.executions, learned)
    print_lines("\nhot cyclic paths")
    for number, path in enumerate(found.paths, 1):
        inside = f", {100 * path.total_share:.1f}% with the loops inside" if path.total > path.instructions else ""
        _print_item(number, path, path.rounds, learned, inside)


def _print_item(number: int, item: TopBlock | TopPath, times: int, learned: Mapping[int, str], more: str = "") -> None:
    owner = item.process or f"root {item.root:#x}"
    who = f"kernel, on the page table of {owner}" if item.ring == 0 and item.process else owner
    head = f"{number:3}. {100 * item.share:5.1f}%  {times} x {item.length} instructions{more}"
    print_lines(f"{head}, ring {item.ring}, {who}")
    marks = {learned.get(line.address, "") for line in item.code}
    if len(marks) == 1 and marks != {""}:
        print_lines(f"       {marks.pop()}")
    for line in item.code[:_MOST_LINES]:
        mark = "@" if getattr(line, "is_looped", False) else " "
        print_lines(f"     {mark} {line.address:16x}  {line.text:48} {line.symbol}".rstrip())
    if item.length > _MOST_LINES:
        print_lines(f"       … {item.length - _MOST_LINES} more")
