"""The verb hunt: what hides in a guest."""

from __future__ import annotations

import argparse

from ..errors import EXIT_FAILED
from .options import Verbs, add_json, add_name, add_verb, connect, print_json, print_lines, say, say_skipped


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(verbs, "hunt", hunt, "glassbox hunt demo")
    add_name(parser)
    add_json(parser)


def hunt(options: argparse.Namespace) -> int:
    """Look for what hides: tasks and modules that lists lack, redirected calls, odd code; exit status 1 if there is any."""
    with connect(options) as client:
        answer = client.hunt()
    if options.json:
        print_json(answer.value)
    for finding in () if options.json else answer.value:
        print_lines(f"{finding.kind.value}: {finding.subject}", heading=f"{finding.kind.value}: {finding.subject}")
        print_lines(f"  {finding.verdict}")
        for line in finding.evidence:
            print_lines(f"  - {line}")
    say_skipped(answer)
    if not answer.value and not answer.skipped:
        say("nothing hides, as far as these comparisons show")
    return EXIT_FAILED if answer.value or answer.skipped else 0
