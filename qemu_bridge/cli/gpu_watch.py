"""``gpu watch``: the launches of all programs of this user, as they end."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .options import Verbs, add_json, add_verb, end_tidily, print_events, say

if TYPE_CHECKING:
    from pixel_cpu.runtime.events import LaunchEvent, Listener


def add_verbs(actions: Verbs) -> None:
    """Add this module's verbs to those of ``gpu``."""
    parser = add_verb(actions, "watch", watch, "glassbox gpu watch --json")
    parser.add_argument("--count", type=int, metavar="N", help="end after N launches")
    add_json(parser)


def watch(options: argparse.Namespace) -> None:
    """Print a line for each launch of any program of yours, until Ctrl-C."""
    from pixel_cpu.runtime.events import Listener

    end_tidily()
    with Listener() as listener:
        say("waiting for launches: 'glassbox gpu run', or any program that uses pixel_cpu")
        print_events(_batches(listener), describe, options.count, as_json=options.json)


def _batches(listener: Listener) -> Iterator[Sequence[LaunchEvent]]:
    lost = 0
    while True:
        yield listener.receive()
        if listener.lost > lost:
            lost = listener.lost
            say(f"{lost} launches were too fast to be seen")


def describe(event: LaunchEvent) -> str:
    """A launch in one line."""
    parts = [f"{event.kernel} on {event.backend or event.device}: {event.lanes} lanes in groups of {event.group}"]
    if event.error:
        return f"{parts[0]}, failed: {event.error}"
    parts.append(f"{event.seconds * 1e3:.3f} ms")
    if event.bytes_per_second:
        parts.append(f"{event.bytes_per_second / 1e9:.3g} GB/s")
    if event.counters and event.is_counted:
        parts.append(f"{event.divergence:.1%} of branches diverged")
        if event.counters.slots:
            parts.append(f"{event.counters.utilisation:.1%} of lanes in use")
    if event.traps:
        parts.append(f"{event.traps} lanes trapped")
    return ", ".join(parts)
