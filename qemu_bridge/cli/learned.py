"""Learned loops of a machine: ``start --learned FOLDER`` runs them, ``learned NAME`` says what they did (docs/learn.md)."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import Verbs, add_json, add_name, add_verb, connect, print_json, print_table, say

COLUMNS = ("name", "rounds in place", "ns each", "by QEMU", "compared", "mismatches", "refusals")


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(verbs, "learned", learned, "glassbox learned demo")
    add_name(parser)
    add_json(parser)


def build_loops(folder: Path, is_told: bool = False) -> tuple[Path, ...]:
    """The native libraries of the loops in a folder, made where they are not in the cache; says which loops will not run in place, and why.

    `is_told`: it was said what is done with loops that are not proved.
    """
    from pixel_cpu.learn.native import build_library

    found = build_library(folder)
    for name, reason in found.refused.items():
        say(f"loop {name} does not run in place: {reason}")
    if found.unproved and not is_told:
        for name, reason in found.unproved.items():
            say(f"loop {name} is only compared with QEMU: it is not proved ({reason})")
        say("--learned-unproved runs these in place, too")
    return found.paths


def learned(options: argparse.Namespace) -> None:
    """Show what a machine's learned loops have done: rounds in place of QEMU, comparisons, and why they stopped."""
    with connect(options) as client:
        found = client.learned()
    if options.json:
        print_json(found)
        return
    if not found:
        say("the machine has no learned loops; 'glassbox start NAME --learned FOLDER' starts one with a library")
        return
    rows = [
        (
            *(loop.name, loop.rounds, f"{loop.seconds * 1e9 / loop.rounds:.1f}" if loop.rounds else "-"),
            *(f"{loop.round_ns:.1f}" if loop.round_ns else "-", loop.compared, loop.mismatches),
            ", ".join(f"{reason} {count}" for reason, count in loop.refusals.items()) or "-",
        )
        for loop in found
    ]
    print_table(rows, COLUMNS)
    if waiting := sum("unproved" in loop.refusals and not loop.rounds for loop in found):
        say(
            f"{waiting} only compared, as not proved; 'glassbox start NAME --learned FOLDER --learned-unproved' runs them"
        )
    for loop in found:
        if loop.mismatches:
            say(f"{loop.name} is switched off: it and QEMU differ, at {loop.failed}")
