"""Learned loops of the machine, a row a loop: what they did in place of QEMU, and what it gained (docs/learn.md).

The plugin in QEMU counts in the file that it shares with the daemon; where a loop is comes from the guest's page cache.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

from ...errors import GlassBoxError
from ...kernel.budget import Budget
from ...memory.addresses import PAGE_SHIFT, PAGE_SIZE
from ...wire.trace_records import LearnedLoop
from .file_pages import find_page
from .overlay import BuiltOverlay, OverlayContext
from .page_cache import cached_files

_NAME = re.compile(r"(?P<file>.+)\+0x(?P<offset>[0-9a-f]{1,12})")


@dataclass(frozen=True, slots=True)
class LearnedCode:
    """One loop: `rounds` done in place, in `hits` runs of its kernel; `gain` is how many times less time a round took than QEMU's.

    `proved` says whether its kernel was proved when it was learned. `state` is ``waiting`` before it was entered often enough, ``compared`` while QEMU does its rounds and the kernel is checked against
    them, ``in shadow`` if that goes on because it is not proved, ``in place``, or ``refused`` once the kernel differed and was switched off. `physical` is where its head is in RAM, None where
    the page of its file is not there.
    """

    name: str
    head: int
    physical: int | None
    proved: bool
    state: str
    hits: int
    rounds: int
    gain: float | None
    refusals: int
    reasons: tuple[str, ...]


def read_learned(context: OverlayContext, budget: Budget) -> Iterator[LearnedCode]:
    """Yield the loops of the library that the machine was started with; none for one that was started without."""
    loops = context.learned_loops()
    places = _find_places({loop.name for loop in loops}, context, budget)
    for loop in loops:
        budget.spend()
        kernel_ns = loop.seconds * 1e9 / loop.rounds if loop.rounds else 0.0
        yield LearnedCode(
            name=loop.name,
            head=loop.head,
            physical=places.get(loop.name),
            proved=loop.is_proved,
            state=_state(loop),
            hits=loop.slices,
            rounds=loop.rounds,
            gain=round(loop.round_ns / kernel_ns, 2) if kernel_ns and loop.round_ns else None,
            refusals=sum(loop.refusals.values()),
            reasons=tuple(f"{reason} {count}" for reason, count in loop.refusals.items()),
        )


def _find_places(names: Collection[str], context: OverlayContext, budget: Budget) -> dict[str, int]:
    """Where the heads are, by the names of loops that say so: ``busybox+0x94430`` is a file and an offset in it."""
    wanted: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for name in names:
        if found := _NAME.fullmatch(name):
            wanted[found["file"]].append((name, int(found["offset"], 16)))
    places: dict[str, int] = {}
    if not wanted:
        return places
    for file, inode in cached_files(context, budget):
        for name, offset in wanted.get(file.path.rpartition("/")[2], ()):
            with suppress(GlassBoxError):
                page = find_page(inode, offset >> PAGE_SHIFT)
                if page is not None:
                    places.setdefault(name, page + offset % PAGE_SIZE)
    return places


def _state(loop: LearnedLoop) -> str:
    if loop.mismatches:
        return "refused"
    if loop.rounds:
        return "in place"
    if "unproved" in loop.refusals:
        return "in shadow"
    return "compared" if loop.compared else "waiting"


LEARNED = BuiltOverlay(
    "learned",
    "Learned loops, and what they did in place of QEMU.",
    ("name", "head:#x", "physical:#x", "proved", "state", "hits", "rounds", "gain", "refusals", "reasons"),
    read_learned,
)
