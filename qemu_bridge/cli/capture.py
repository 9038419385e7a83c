"""Verbs of captures: capture makes one, compare says what differs between two moments. All that read take a capture's path."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ..memory.addresses import format_size
from ..wire import connection
from ..wire.records import Owner, to_json
from .options import Verbs, add_json, add_name, add_verb, connect, end_tidily, format_table, print_json, printable, say

_SHOWN_OWNERS = 20
_REDRAW_S = 0.2


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = add_verb(verbs, "capture", capture, "glassbox capture demo -o before")
    add_name(parser)
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True, help="the folder to write")
    parser.add_argument("--live", action="store_true", help="let the guest run on while its RAM is copied")
    parser.add_argument("--force", action="store_true", help="replace a capture that is there already")
    add_json(parser)
    parser = add_verb(verbs, "compare", compare, "glassbox compare before demo")
    for name, what in (("before", "the earlier moment"), ("after", "the later one")):
        parser.add_argument(name, metavar=name.upper(), help=f"{what}: a capture's folder or a running machine")
    parser.add_argument("--pages", action="store_true", help="list the ranges that differ")
    parser.add_argument(
        "--target", metavar="TARGET", default="", help="only memory of this target (see docs/targets.md)"
    )
    add_json(parser)


def capture(options: argparse.Namespace) -> None:
    """Write a machine's memory of this moment to a folder that opens like a machine."""
    # Imported here: most verbs start sooner without NumPy.
    from ..captures.capture import write_capture

    # A guest that was made to stand still must go on, however this ends.
    end_tidily()
    with connect(options) as client:
        manifest = write_capture(
            client, options.output, live=options.live, replace_old=options.force, progress=progress_line("copied")
        )
    if options.json:
        print_json(to_json(manifest))
        return
    print(options.output)
    still = f"it stood still for {manifest.paused_s * 1e3:.0f} ms" if manifest.paused_s else f"taken {manifest.grade}"
    say(f"{format_size(manifest.ram_bytes)} of RAM, kernel {manifest.release or 'not booted'}, {still}")
    for sentence in manifest.skipped:
        say(f"incomplete: {sentence}")


def compare(options: argparse.Namespace) -> int:
    """Say which memory differs between two moments, by class and owner; exit status 1 when none does."""
    import numpy as np

    from ..captures.compare import Change, by_class, compare_pages, owners_that_came_and_went
    from ..client import Client
    from ..memory.addresses import merge_ranges

    connection.prune()
    with Client.connect(options.before) as before, Client.connect(options.after) as after:
        change = compare_pages(before.ram, after.ram)
        if options.target:
            wanted = np.zeros(len(change), np.bool_)
            for row in after.where(options.target).ranges:
                wanted[row.ram_offset >> 12 : -(-(row.ram_offset + row.size) >> 12)] = True
            change[~wanted] = Change.SAME
        was, now = before.page_map(), after.page_map()
        rows = by_class(change, was, now)
        came, went = owners_that_came_and_went(was, now)
    runs = [
        {"first": first << 12, "last": (end << 12) - 1, "pages": end - first, "change": kind.name.lower()}
        for kind in (Change.CHANGED, Change.APPEARED, Change.GONE)
        for first, end in merge_ranges(np.flatnonzero(change == kind).tolist())
    ]
    if options.json:
        record = {
            "classes": [to_json(row) | {"page_class": row.page_class.name.lower().replace("_", "-")} for row in rows],
            "owners_appeared": [to_json(owner) for owner in came],
            "owners_gone": [to_json(owner) for owner in went],
        }
        print_json(record | ({"ranges": runs} if options.pages else {}))
    elif options.pages:
        cells = [[f"{run['first']:#014x}", f"{run['last']:#014x}", run["pages"], run["change"]] for run in runs]
        print("\n".join(format_table(cells, ("first", "last", "pages", "change"))))
    else:
        counts = [[row.page_class.name.lower().replace("_", "-"), row.changed, row.appeared, row.gone] for row in rows]
        print("\n".join(format_table(counts, ("class", "changed", "appeared", "gone"))))
        for verb, owners in (("appeared", came), ("gone", went)):
            for owner in owners[:_SHOWN_OWNERS]:
                print(f"{verb}: {_describe(owner)}")
            if len(owners) > _SHOWN_OWNERS:
                say(f"and {len(owners) - _SHOWN_OWNERS} more that {verb}; --json lists them")
    total = int(np.count_nonzero(change))
    say(f"{total} of {len(change)} pages differ")
    return 0 if total else 1


def _describe(owner: Owner) -> str:
    words = (owner.kind, str(owner.pid) if owner.pid else "", owner.name if owner.name != owner.kind else "")
    return printable(" ".join(filter(None, words)))


def progress_line(what: str) -> Callable[[int, int], None]:
    """A function that redraws ``WHAT 34 of 128 MiB`` on a terminal's last line; silent where nobody looks."""
    shown = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal shown
        if not sys.stderr.isatty() or (done < total and time.monotonic() - shown < _REDRAW_S):
            return
        shown = time.monotonic()
        end = "\n" if done == total else ""
        print(f"\rglassbox: {what} {done >> 20} of {total >> 20} MiB", end=end, file=sys.stderr, flush=True)

    return show
