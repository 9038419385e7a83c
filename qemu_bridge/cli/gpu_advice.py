"""``gpu advice``: what was suggested about weights and classes of tenants, and taking it back."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from .gpu_activity import add_socket
from .options import Verbs, add_json, add_verb, print_json, print_table, say

if TYPE_CHECKING:
    from gpu_hypervisor.advice import AdviceEntry


def add_verbs(actions: Verbs) -> None:
    """Add this module's verbs to those of ``gpu``."""
    parser = add_verb(actions, "advice", advice, "glassbox gpu advice --undo 3")
    parser.description = (
        "List suggestions of weights and classes, by a language model or by somebody, and what became of them. What may be suggested "
        "is said to 'glassbox gpu serve': --advice-weights, --advice-classes."
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--undo", type=int, metavar="N", help="take suggestion N back")
    what.add_argument("--suggest", metavar="TENANT", help="suggest something for a tenant")
    parser.add_argument("--weight", type=float, metavar="W", help="of --suggest: another weight")
    parser.add_argument(
        "--class",
        dest="job_class",
        metavar="CLASS",
        help="of --suggest: for jobs that state no class; inferred: none again",
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="of --suggest: why")
    add_socket(parser)
    add_json(parser)


def advice(options: argparse.Namespace) -> None:
    """List what was suggested about tenants of the GPU service, take a suggestion back, or make one."""
    from gpu_hypervisor.advice import Suggestion, describe
    from gpu_hypervisor.service import Client

    with Client(options.socket) as client:
        if options.suggest is not None or options.undo is not None:
            if options.suggest is not None:
                wanted = Suggestion(options.suggest, options.weight, options.job_class, options.reason)
                entry = client.suggest(wanted)
            else:
                entry = client.undo(options.undo)
            if options.json:
                print_json(entry)
            say(describe(entry))
            return
        bounds, entries = client.advice()
    if options.json:
        print_json({"bounds": bounds, "entries": entries})
        return
    print_table(
        [_row(entry) for entry in entries],
        ["number", "time", "by", "tenant", "state", "weight", "class", "reason", "note"],
    )
    if bounds.are_closed:
        say(
            "the owner takes no suggestions: 'glassbox gpu serve --advice-weights 0.5:2 --advice-classes batch,throughput' does"
        )
    else:
        classes = ", ".join(bounds.classes) or "none"
        say(f"taken are weights of {bounds.least:g} to {bounds.most:g} times the owner's; classes: {classes}")


def _row(entry: AdviceEntry) -> list[object]:
    own = entry.suggestion
    return [
        entry.number,
        time.strftime("%H:%M:%S", time.localtime(entry.time)),
        entry.by,
        own.tenant,
        str(entry.state),
        "-" if own.weight is None else f"{entry.weight_before:g} -> {own.weight:g}",
        "-" if own.job_class is None else f"{entry.class_before or 'inferred'} -> {own.job_class}",
        own.reason or "-",
        entry.note or "-",
    ]
