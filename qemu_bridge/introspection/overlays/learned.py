"""Learned loops of the machine, a row a loop: what they did in place of QEMU, and what it gained (docs/learn.md).

The only overlay that reads no guest memory: the plugin in QEMU counts in the file that it shares with the daemon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...kernel.budget import Budget
from ...wire.trace_records import LearnedLoop
from .overlay import BuiltOverlay, OverlayContext


@dataclass(frozen=True, slots=True)
class LearnedCode:
    """One loop: `rounds` done in place, in `hits` runs of its kernel; `gain` is how many times less time a round took than QEMU's.

    `state` is ``waiting`` before it was entered often enough, ``compared`` while QEMU does its rounds and the kernel is checked against
    them, ``in place``, or ``refused`` once the kernel differed and was switched off.
    """

    name: str
    head: int
    state: str
    hits: int
    rounds: int
    gain: float | None
    refusals: int
    reasons: tuple[str, ...]


def read_learned(context: OverlayContext, budget: Budget) -> Iterator[LearnedCode]:
    """Yield the loops of the library that the machine was started with; none for one that was started without."""
    for loop in context.learned_loops():
        budget.spend()
        kernel_ns = loop.seconds * 1e9 / loop.rounds if loop.rounds else 0.0
        yield LearnedCode(
            name=loop.name,
            head=loop.head,
            state=_state(loop),
            hits=loop.slices,
            rounds=loop.rounds,
            gain=round(loop.round_ns / kernel_ns, 2) if kernel_ns and loop.round_ns else None,
            refusals=sum(loop.refusals.values()),
            reasons=tuple(f"{reason} {count}" for reason, count in loop.refusals.items()),
        )


def _state(loop: LearnedLoop) -> str:
    if loop.mismatches:
        return "refused"
    if loop.rounds:
        return "in place"
    return "compared" if loop.compared else "waiting"


LEARNED = BuiltOverlay(
    "learned",
    "Learned loops, and what they did in place of QEMU.",
    ("name", "head:#x", "state", "hits", "rounds", "gain", "refusals", "reasons"),
    read_learned,
)
