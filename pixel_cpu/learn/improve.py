"""What a proved loop can be made of: candidates of `synthesise`, the best one as a program of its own, and how fast the loop is in lanes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qemu_bridge.host.plain_file import write_atomic

from ..errors import DeviceError
from ..ir.text import write
from .loop_library import LearnedLoop
from .prove import Prover
from .speed import measure_lanes
from .synthesise import Attempt, synthesise

_MODE = 0o644


def improve(folder: Path, loop: LearnedLoop, prover: Prover) -> LearnedLoop:
    """The loop with the facts ``synthesis`` (each attempt), ``lanes`` (nanoseconds of a round in lanes and as scalar C, or why not) and ``speed`` in words.

    The best candidate that is proved and gains is written to ``NAME.fast.ir``, what it needs of tables to ``NAME.tables``. Loops that are not
    proved stay as they are.
    """
    if loop.facts.get("verdict") != "proved":
        return loop
    try:
        attempts, lanes = synthesise(loop, prover), measure_lanes(loop)
    except DeviceError as error:  # no compiler
        return replace(loop, facts={**loop.facts, "synthesis": [], "lanes": str(error), "speed": ""})
    best = _best(attempts)
    if best is not None and best.module is not None:
        write_atomic(folder / f"{loop.name}.fast.ir", write(best.module).encode(), _MODE)
        if best.tables:
            write_atomic(folder / f"{loop.name}.tables", best.tables, _MODE)
    facts = {"synthesis": [each.facts for each in attempts], "lanes": lanes, "speed": _said(best, lanes)}
    return replace(loop, facts={**loop.facts, **facts})


def _best(attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt that gains most. Those that differ in their contract alone gain the same but for noise: of these the first."""
    apart: dict[tuple[str, int], Attempt] = {}
    for each in attempts:
        if (each.gain or 0) > 1:
            apart.setdefault((each.template, each.rounds), each)
    return max(apart.values(), key=lambda each: each.gain or 0, default=None)


def _said(best: Attempt | None, lanes: dict[str, float] | str) -> str:
    words = [f"lanes {lanes['times']:g} x"] if isinstance(lanes, dict) else []
    if best is not None:
        words.append(f"{best.template} {best.gain:g} x")
    return ", ".join(words)
