"""``gpu trace FILE -o TIMELINE``: launches a kernel as ``gpu run`` does, and writes what it did when."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import UsageError
from .gpu_launch import add_launch_options, launch, report
from .options import Verbs, add_json, add_verb, end_tidily, say


def add_verbs(actions: Verbs) -> None:
    """Add this module's verbs to those of ``gpu``."""
    parser = add_verb(
        actions, "trace", trace, "glassbox gpu trace saxpy.gpk --set a=2.0 --in x=x.npy --new y=1000 -o saxpy.pftrace"
    )
    parser.description = (
        "Launch a kernel as 'gpu run' does, more slowly, and write a timeline of it: when each thread ran which groups, what lay "
        "between barriers, how many lanes were at work. ui.perfetto.dev opens the file."
    )
    add_launch_options(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="the timeline to write, by custom NAME.pftrace",
    )
    add_json(parser)


def trace(options: argparse.Namespace) -> int:
    """Launch a kernel on arrays and write its timeline for ui.perfetto.dev."""
    from pixel_cpu.runtime.timeline import Clock, write_timeline

    end_tidily()
    if options.output.exists() and not options.force:
        raise UsageError(f"{options.output} exists; give -o another name, or --force to replace it")
    clock = Clock()
    found = launch(options, clock.span, timeline=True)
    write_timeline(options.output, found.outcomes, clock.spans)
    say(f"{options.output} written; open it at ui.perfetto.dev")
    report(found, options)
    return 0
