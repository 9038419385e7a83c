"""The verb top."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import HostError, UsageError
from .options import Verbs, add_verb


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verb to the parser."""
    parser = add_verb(verbs, "top", top, "glassbox top")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="where pictures and traces go (default: here)",
    )
    parser.add_argument(
        "--seconds", type=float, default=5.0, metavar="N", help="length of a trace (default: %(default)s)"
    )


def top(options: argparse.Namespace) -> None:
    """Watch all machines in the terminal; keys pause, resume, trace, draw, and count heat."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "top draws on a terminal; 'glassbox status' prints the machines once, with --json for programs"
        )
    if not options.output.is_dir():
        raise UsageError(f"{options.output} is no folder; give -o one that exists")
    if options.seconds <= 0:
        raise UsageError("--seconds counts up from 0; give a larger number")
    # Loaded when the verb runs: it comes with the extra `top`.
    try:
        from ..dashboard.app import Dashboard
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("textual", "rich"):
            raise
        raise HostError("top needs the package textual; install glassbox-qemu[top]") from None
    from ..wire import connection

    connection.prune()
    Dashboard(options.output.absolute(), trace_s=options.seconds).run()
