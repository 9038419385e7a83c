"""``trace top FILE``: where the time went, by block, cyclic path and process; ``trace export``: for other tools."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .options import Verbs, add_json, add_verb, format_table, print_json, printable, say
from .trace_names import Names

if TYPE_CHECKING:
    from ..trace.analysis.mining import HotBlock, HotPath, Mined

FORMATS = ("parquet", "json", "drcov", "bbv", "perfetto", "folded")
"""Of `qemu_bridge.trace.export`, which is not imported for a list."""
_MOST_LINES = 12
"""Instructions of a path that the table shows; --json shows all."""


def add_verbs(actions: Verbs) -> None:
    """Add ``top`` and ``export`` to the actions of ``trace``."""
    parser = add_verb(actions, "top", top, "glassbox trace top demo.gbt --symbols demo --user")
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace")
    parser.add_argument("-n", "--count", type=int, default=10, metavar="N", help="how many (default: %(default)s)")
    add_names(parser)
    add_process(parser)
    ring = parser.add_mutually_exclusive_group()
    ring.add_argument("--kernel", dest="ring", action="store_const", const=0, help="only what runs in the kernel")
    ring.add_argument("--user", dest="ring", action="store_const", const=3, help="only what runs in user space")
    parser.add_argument(
        "--by",
        choices=("own", "total"),
        default="own",
        help="order of paths: by their own instructions (default), or with the loops inside them",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="threads that count (default: as many as cores)")
    add_json(parser)
    parser = add_verb(actions, "export", export, "glassbox trace export demo.gbt --format perfetto -o demo.pftrace")
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace")
    parser.add_argument("--format", required=True, choices=FORMATS, help="what for: see docs/trace.md")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUTPUT", help="a new file or folder")
    add_names(parser)


def add_names(parser: argparse.ArgumentParser) -> None:
    """The flag that names a source of symbols."""
    parser.add_argument(
        "--symbols",
        metavar="SOURCE",
        help="the machine the trace is of, while it runs, a capture of it, or a System.map",
    )


def add_process(parser: argparse.ArgumentParser) -> None:
    """The flags that choose a process."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--pid", type=int, metavar="N", help="only this process; needs --symbols MACHINE")
    which.add_argument("--root", type=lambda text: int(text, 0), metavar="ADDR", help="only this page-table root (CR3)")


def chosen_root(options: argparse.Namespace, names: Names) -> int | None:
    """The page-table root that --pid or --root asks for; None for all."""
    return names.root(options.pid) if options.pid is not None else options.root


def top(options: argparse.Namespace) -> None:
    """Print the hottest blocks and cyclic paths of a trace, disassembled and named, and who ran them."""
    from ..trace.analysis.mining import mine

    if options.count < 1 or (options.workers or 1) < 1:
        raise UsageError("-n and --workers count from 1; give larger numbers")
    names = Names(options.symbols)
    root = chosen_root(options, names)
    begun = time.monotonic()
    with mine(options.file, options.workers) as found:
        seconds = time.monotonic() - begun
        answer = _answer(found, options, names, root)
    if options.json:
        print_json(answer)
        return
    _print(answer)
    say(f"{found.instructions} instructions counted, {found.instructions / max(seconds, 1e-9) / 1e6:.0f} M/s")
    if not answer["is_complete"]:
        say("the file was cut off; its whole frames were counted")


def export(options: argparse.Namespace) -> None:
    """Write a trace in the format of another tool."""
    from ..trace.export import Naming
    from ..trace.export import export as write

    names = Names(options.symbols)
    write(options.file, options.format, options.output, Naming(names.symbol, names.process))


def _answer(found: Mined, options: argparse.Namespace, names: Names, root: int | None) -> dict[str, Any]:
    blocks = found.blocks(options.count, root, options.ring)
    paths = found.paths(options.count, root, options.ring, options.by)
    known = found.known(sorted({block.id for block in blocks} | {one for path in paths for one in path.ids}))
    total = max(1, found.instructions)
    roots = [(own, count) for own, count in found.roots() if root in (None, own)]

    def lines(block_id: int) -> list[dict[str, Any]]:
        from ..trace.analysis.show import disassemble

        table, number = known[block_id]
        address, lines = int(table.addresses[number]), []
        texts = disassemble(table.code(number), address, int(table.modes[number]))
        for length, text in zip(table.lengths(number).tolist(), texts, strict=False):
            lines.append({"address": address, "symbol": names.symbol(address), "text": text})
            address += length
        return lines

    def code_of(path: HotPath) -> list[dict[str, Any]]:
        code = []
        for place, block_id in enumerate(path.ids):
            for number, line in enumerate(lines(block_id)):
                code.append(line | {"is_looped": not number and place in path.loops})
        return code

    def common(item: HotBlock | HotPath) -> dict[str, Any]:
        return {
            "instructions": item.instructions,
            "share": item.instructions / total,
            "ring": item.ring,
            "root": item.root,
            "process": names.process(item.root),
        }

    return {
        "file": str(options.file),
        "instructions": found.instructions,
        "blocks_executed": found.blocks_executed,
        "is_complete": found.is_complete,
        "processes": [
            {"root": own, "process": names.process(own), "instructions": count, "share": count / total}
            for own, count in roots
        ],
        "blocks": [common(block) | {"executions": block.executions, "code": lines(block.id)} for block in blocks],
        "paths": [
            common(path)
            | {"rounds": path.rounds, "total": path.total, "total_share": path.total / total, "code": code_of(path)}
            for path in paths
        ],
    }


def _print(answer: dict[str, Any]) -> None:
    rows = [
        [f"{100 * row['share']:.1f}%", row["instructions"], f"{row['root']:#x}", row["process"]]
        for row in answer["processes"][:10]
    ]
    print("\n".join(format_table(rows, ["share", "instructions", "root", "process"])))
    for title, times in (("blocks", "executions"), ("paths", "rounds")):
        print(f"\nhot {'blocks' if title == 'blocks' else 'cyclic paths'}")
        for number, item in enumerate(answer[title], 1):
            who = item["process"] or f"root {item['root']:#x}"
            head = f"{number:3}. {100 * item['share']:5.1f}%  {item[times]} x {len(item['code'])} instructions"
            if item.get("total", 0) > item["instructions"]:
                head += f", {100 * item['total_share']:.1f}% with the loops inside"
            print(printable(f"{head}, ring {item['ring']}, {who}"))
            _print_code(item["code"])


def _print_code(code: list[dict[str, Any]]) -> None:
    for line in code[:_MOST_LINES]:
        mark = "@" if line.get("is_looped") else " "
        print(printable(f"     {mark} {line['address']:16x}  {line['text']:48} {line['symbol']}".rstrip()))
    if len(code) > _MOST_LINES:
        print(f"       … {len(code) - _MOST_LINES} more")
