"""Verbs about open viewers: viewers, highlight, fly-to."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from ..memory.addresses import format_size
from .options import (
    COMPLETE_TARGET,
    Verbs,
    add_json,
    add_name,
    add_verb,
    complete_by,
    connect,
    print_json,
    print_rows,
    say,
    say_skipped,
)

if TYPE_CHECKING:
    from ..wire.records import Answer
    from ..wire.viewer_records import ViewersTold


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    parser = add_verb(verbs, "viewers", viewers, "glassbox viewers demo")
    add_name(parser)
    add_json(parser)
    parser = add_verb(verbs, "highlight", highlight, "glassbox highlight demo 'pid:1/heap'")
    add_name(parser)
    argument = parser.add_argument(
        "target",
        metavar="TARGET",
        nargs="?",
        default="",
        help="which memory: see docs/targets.md; without one, nothing",
    )
    complete_by(argument, COMPLETE_TARGET)
    parser.add_argument("--no-fly", action="store_true", help="leave the camera where it is")
    _add_session(parser)
    parser = add_verb(
        verbs, "fly-to", fly_to, "glassbox fly-to demo init_task\nglassbox fly-to demo yaw=35,mode=entropy"
    )
    add_name(parser)
    argument = parser.add_argument(
        "place", metavar="PLACE", help="an address, a symbol, a target (docs/targets.md), or a view as NAME=VALUE,... "
    )
    complete_by(argument, COMPLETE_TARGET)
    _add_session(parser)


def _add_session(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--session", type=int, metavar="N", help="of several viewers this one of 'glassbox viewers' (default: all)"
    )
    add_json(parser)


def viewers(options: argparse.Namespace) -> int:
    """List the viewers that are open on a machine; exit status 1 when there is none."""
    with connect(options) as client:
        found = client.viewers()
    if options.json:
        print_json(found)
    elif found:
        rows = [
            {
                "session": row.session,
                "pid": row.pid,
                "open_s": round(time.time() - row.opened_at),
                "view": row.view,
                "problem": row.problem,
            }
            for row in found
        ]
        print_rows(rows, ("session", "pid", "open_s", "view", "problem"), as_json=False)
    return 0 if found else 1


def highlight(options: argparse.Namespace) -> int:
    """Let a target's memory stand out in the open viewers of a machine, and fly there; exit status 1 when it has no memory."""
    with connect(options) as client:
        answer = client.highlight(options.target, options.session, not options.no_fly)
    _tell(options, answer, options.target or "nothing")
    return 0 if answer.value.total_bytes or not options.target else 1


def fly_to(options: argparse.Namespace) -> int:
    """Fly the camera of the open viewers of a machine to a byte, a target or a view; exit status 1 for a target without memory."""
    is_view = "=" in options.place and not options.place.startswith(("file:", "comm:"))
    with connect(options) as client:
        if is_view:
            answer = client.fly_to(view=options.place, session=options.session)
        else:
            answer = client.fly_to(options.place, session=options.session)
    _tell(options, answer, options.place)
    return 0 if is_view or answer.value.total_bytes else 1


def _tell(options: argparse.Namespace, answer: Answer[ViewersTold], what: str) -> None:
    say_skipped(answer)
    told = answer.value
    if options.json:
        print_json(told)
        return
    sessions = ", ".join(map(str, told.sessions))
    size = f" ({format_size(told.total_bytes)})" if told.total_bytes else ""
    say(f"{what}{size} in viewer {sessions}" if len(told.sessions) == 1 else f"{what}{size} in viewers {sessions}")
