"""The verbs capture and compare. Every verb that reads accepts a capture's path."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..memory.addresses import format_size
from .options import (
    Verbs,
    add_json,
    add_name,
    add_verb,
    connect,
    end_tidily,
    print_json,
    print_lines,
    print_table,
    printable,
    progress_line,
    say,
    say_skipped,
)

if TYPE_CHECKING:
    from ..wire.records import Owner

_SHOWN_OWNERS = 20


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = add_verb(verbs, "capture", capture, "glassbox capture demo -o before")
    add_name(parser)
    parser.add_argument("-o", "--output", metavar="FOLDER", type=Path, required=True, help="the folder to write")
    parser.add_argument("--live", action="store_true", help="do not pause the guest while its RAM is copied")
    parser.add_argument("--force", action="store_true", help="replace an existing capture")
    add_json(parser)
    parser = add_verb(verbs, "compare", compare, "glassbox compare before demo")
    for name, what in (("before", "the earlier moment"), ("after", "the later one")):
        parser.add_argument(name, metavar=name.upper(), help=f"{what}: a capture's folder or a running machine")
    parser.add_argument("--pages", action="store_true", help="list the ranges that differ")
    parser.add_argument("--target", metavar="TARGET", default="", help="only memory of this target (docs/targets.md)")
    add_json(parser)


def capture(options: argparse.Namespace) -> None:
    """Write a machine's memory to a folder that opens like a machine."""
    # SIGTERM ends the client as Ctrl-C does, which cancels its job.
    end_tidily()
    output = Path(os.path.abspath(options.output))
    with connect(options) as client, client.progress(progress_line("copied")):
        manifest = client.capture(str(output), options.live, options.force)
    if options.json:
        print_json(manifest)
        return
    print_lines(str(options.output))
    still = f"paused for {manifest.paused_s * 1e3:.0f} ms" if manifest.paused_s else f"taken {manifest.grade}"
    say(f"{format_size(manifest.ram_bytes)} of RAM, kernel {manifest.release or 'not booted'}, {still}")
    for sentence in manifest.skipped:
        say(f"incomplete: {sentence}")


def compare(options: argparse.Namespace) -> int:
    """Show which memory differs between two moments, by class and owner; exit status 1 if any does."""
    # Imported here: most verbs start sooner without NumPy.
    from ..captures.compare import compare as compare_machines
    from ..client import Client
    from ..wire import connection

    connection.prune()
    with Client.connect(options.before) as before, Client.connect(options.after) as after:
        answer = compare_machines(before, after, options.target, options.pages)
    found = answer.value
    if options.json:
        print_json(found)
    elif options.pages:
        cells = [[f"{run.first:#014x}", f"{run.last:#014x}", run.pages, run.change] for run in found.ranges]
        print_table(cells, ("first", "last", "pages", "change"))
    else:
        counts = [[row.page_class, row.changed, row.appeared, row.gone] for row in found.classes]
        print_table(counts, ("class", "changed", "appeared", "gone"))
        for verb, owners in (("appeared", found.owners_appeared), ("gone", found.owners_gone)):
            for owner in owners[:_SHOWN_OWNERS]:
                print_lines(f"{verb}: {_describe(owner)}")
            if len(owners) > _SHOWN_OWNERS:
                say(f"and {len(owners) - _SHOWN_OWNERS} more that {verb}; --json lists them")
    say_skipped(answer)
    say(f"{found.differing_pages} of {found.pages} pages differ")
    return 1 if found.differing_pages else 0


def _describe(owner: Owner) -> str:
    words = (owner.kind, str(owner.pid) if owner.pid else "", owner.name if owner.name != owner.kind else "")
    return printable(" ".join(filter(None, words)))
