"""The verbs checkpoint, checkpoints, restore, forget and fork: bring a running machine back to an earlier moment, or let another begin there."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from ..errors import UnknownMachineError
from .options import Verbs, add_json, add_name, add_verb, connect, print_json, print_lines, print_table, say

if TYPE_CHECKING:
    from ..wire.records import Checkpoint


def add_verbs(verbs: Verbs) -> None:
    """Add this module's verbs to the parser."""
    for name, function in (("checkpoint", checkpoint), ("restore", restore), ("forget", forget)):
        parser = add_verb(verbs, name, function, f"glassbox {name} demo before")
        add_name(parser)
        parser.add_argument("tag", metavar="TAG", help="name of the checkpoint")
        add_json(parser)
    parser = add_verb(verbs, "checkpoints", list_checkpoints, "glassbox checkpoints demo")
    add_name(parser)
    add_json(parser)
    parser = add_verb(verbs, "fork", fork, "glassbox fork demo demo-2")
    add_name(parser)
    parser.add_argument("new", metavar="NEW", help="name of the new machine")
    add_json(parser)


def checkpoint(options: argparse.Namespace) -> None:
    """Take a checkpoint of a machine, to which 'restore' brings it back."""
    with connect(options) as client:
        found = client.checkpoint(options.tag)
    if options.json:
        print_json(found)
    else:
        say(f"{found.tag}: {found.ram_bytes >> 20} MiB of RAM, paused for {found.paused_s * 1e3:.0f} ms")


def restore(options: argparse.Namespace) -> None:
    """Bring a machine back to one of its checkpoints; it goes on from there."""
    with connect(options) as client:
        found = client.restore(options.tag)
    if options.json:
        print_json(found)


def forget(options: argparse.Namespace) -> None:
    """Remove a checkpoint of a machine, which may have ended."""
    try:
        with connect(options) as client:
            found = client.forget(options.tag)
    except UnknownMachineError:
        if not _has_left(options.name):
            raise
        found = _remove_left(options.name, options.tag)
    if options.json:
        print_json(found)


def _has_left(name: str) -> bool:
    """Whether a machine `name` that has ended left checkpoints."""
    from ..timeline.checkpoints import list_checkpoints
    from ..wire import connection
    from ..wire.endpoints import is_remote

    return (
        not is_remote(name) and not connection.is_path(name) and bool(list_checkpoints(connection.validate_name(name)))
    )


def _remove_left(name: str, tag: str) -> Checkpoint:
    """Remove a checkpoint of a machine that has ended; `BusyNameError` where one of its name starts meanwhile."""
    from ..timeline.checkpoints import remove_checkpoint
    from ..wire import connection

    lock = connection.acquire_lock(name)
    try:
        return remove_checkpoint(name, tag)
    finally:
        connection.release(name, lock, ())


def list_checkpoints(options: argparse.Namespace) -> None:
    """List the checkpoints of a machine, oldest first; it may have ended."""
    from ..timeline.checkpoints import list_checkpoints as list_left

    try:
        with connect(options) as client:
            found = client.checkpoints()
    except UnknownMachineError:
        if not _has_left(options.name):
            raise
        found = list_left(options.name)
    if options.json:
        print_json(found)
    else:
        cells = [[each.tag, f"{time.time() - each.taken_at:.0f} s", f"{each.ram_bytes >> 20}M"] for each in found]
        print_table(cells, ("tag", "age", "ram"))


def fork(options: argparse.Namespace) -> None:
    """Start another machine as this one is now; both go on, each by itself."""
    with connect(options) as client:
        found = client.fork(options.new)
    if options.json:
        print_json(found)
    else:
        say(
            f"{found.name}: {found.ram_bytes >> 20} MiB of RAM, {found.parent} paused for {found.paused_s * 1e3:.0f} ms"
        )
        print_lines(found.name, at_once=True)
