"""``trace cache FILE``: which code would miss the caches of a processor, and how regular its addresses are."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..memory.addresses import format_size, parse_size
from .options import Verbs, add_json, add_verb, print_json, print_lines, print_table, say
from .trace_names import add_names, names_from

if TYPE_CHECKING:
    from ..trace.analysis.cache_misses import CacheResult, CacheRow
    from ..trace.analysis.caches import Cache


def add_verbs(actions: Verbs) -> None:
    """Add ``cache`` to the actions of ``trace``."""
    parser = add_verb(
        actions, "cache", cache, "glassbox trace cache demo.gbt --l1 32K,8 --l2 1M,16 --symbols demo --top 10"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a trace recorded with --mem or --values")
    for name, meaning in (
        ("l1", "first level, of data (default: 32K,8)"),
        ("l1i", "first level, of instructions (default: like --l1)"),
        ("l2", "second level (default: there is none)"),
        ("ll", "last level (default: there is none)"),
    ):
        parser.add_argument(f"--{name}", metavar="SIZE,WAYS", help=meaning)
    parser.add_argument("--line", default="64", metavar="BYTES", help="bytes of a line (default: %(default)s)")
    parser.add_argument(
        "--by", choices=("symbol", "process", "instruction"), default="symbol", help="rows (default: %(default)s)"
    )
    parser.add_argument("-n", "--top", type=int, default=20, metavar="N", help="how many rows (default: %(default)s)")
    add_names(parser)
    add_json(parser)


def cache(options: argparse.Namespace) -> None:
    """Count the misses of a model of caches, and what a stride predictor foresees, by code or process."""
    # See trace_read: the parser must not wait for NumPy.
    from ..trace.analysis.cache_misses import CacheOptions, CacheOrder, count_misses
    from ..trace.analysis.caches import Caches

    levels = {name: _parse_cache(name, getattr(options, name)) for name in ("l1", "l1i", "l2", "ll")}
    given = {name: level for name, level in levels.items() if level is not None}
    caches = Caches(line_bytes=parse_size(options.line), **given)
    wanted = CacheOptions(caches, CacheOrder(options.by), options.top)
    wanted.validate()
    naming = names_from(options.symbols, options.file)
    begun = time.monotonic()
    found = count_misses(options.file, wanted, naming)
    seconds = time.monotonic() - begun
    if options.json:
        print_json(found)
        return
    _print(found)
    count = found.total.fetches + found.total.loads + found.total.stores
    say(f"{count} fetches, loads and stores, {count / max(seconds, 1e-9) / 1e6:.0f} M/s")
    if not found.is_complete:
        say("the file was cut off; its whole frames were counted")


def _parse_cache(name: str, text: str | None) -> Cache | None:
    """``32K,8`` as a cache."""
    from ..trace.analysis.caches import Cache

    if text is None:
        return None
    size, _, ways = text.partition(",")
    if not ways.isdecimal():
        raise UsageError(f"--{name} {text!r} is no cache; give its size and the lines of a set, such as 32K,8")
    return Cache(parse_size(size), int(ways))


def _print(found: CacheResult) -> None:
    caches, total = found.caches, found.total
    sizes = [("l1i", caches.l1i or caches.l1), *caches.levels()]
    described = ", ".join(f"{name} {format_size(level.size_bytes)} in {level.ways} ways" for name, level in sizes)
    print_lines(f"{described}; lines of {caches.line_bytes} bytes\n")
    rows = [
        ("fetches", total.fetches, total.fetch_misses),
        ("loads", total.loads, total.load_misses),
        ("stores", total.stores, total.store_misses),
    ]
    cells = [[name, count, *_missed(count, misses)] for name, count, misses in rows]
    print_table(cells, ["", "references", *(f"{name}_misses" for name in found.levels)])
    print_lines("")
    table = [_cells(row) for row in found.rows]
    misses = (f"{name}_misses" for name in found.levels)
    print_table(table, ["share", "fetch_misses", "data", *misses, "foreseen", "next_line", "stride", "where"])
    if found.row_count > len(found.rows):
        say(f"{found.row_count - len(found.rows)} more rows; --top N lists more")


def _cells(row: CacheRow) -> list[object]:
    """Fetches that missed the first level; loads and stores; how many of them missed each level; how regular they are; where."""
    counts, strides = row.counts, row.strides
    data = counts.loads + counts.stores
    misses = [sum(pair) for pair in zip(counts.load_misses, counts.store_misses, strict=True)]
    regular: list[object] = [None, None, None]
    if strides is not None:
        # Where most are not foreseen, the one that was says nothing.
        stride = strides.stride if 2 * strides.foreseen > data else None
        regular = [_percent(strides.foreseen, data), _percent(strides.next_line, strides.moves), stride]
    return [f"{100 * row.share:.1f}%", counts.fetch_misses[0], data, *misses, *regular, _where(row)]


def _where(row: CacheRow) -> str:
    who = row.process or (f"root {row.root:#x}" if row.root else "")
    code = f"{row.address:x} {row.text}" if row.text else ""
    return "  ".join(part for part in (code, row.name, who) if part)


def _missed(count: int, misses: tuple[int, ...]) -> list[str]:
    return [f"{missed} ({_percent(missed, count) or 0})" for missed in misses]


def _percent(part: int, whole: int) -> str | None:
    return f"{100 * part / whole:.1f}%" if whole else None
