"""Search for a cheaper program of a learned loop, from templates; each candidate is proved, or it is not used.

A candidate does several rounds at once for as long as none of them leaves the loop, and leaves the rest to the loop as it is. Proved is, for all
registers and all memory in which the candidate's *guard* holds: the guard's own reads trap nowhere, so many rounds leave the loop nowhere, and the same
is in all registers that rounds need, in all memory, and traps. The rest follows by induction over what is done at once.

- *words*: byte after byte in eight bytes at once: loads and stores side by side are one, a search looks at all of them.
- *slices*: a checksum by a table whose entries are sums of each other: a table for each of eight bytes. That the table is there is a contract.

>>> synthesise(loop, prover)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError
from ..ir.model import Module
from ..ir.verifier import verify
from .candidate import Candidate, Frame, program, prove_candidate
from .gain import measure_gain
from .loop_library import LearnedLoop
from .prove import Prover
from .slices import Slicing, find_slicing
from .words import find_words

LIMIT_S = 60
"""Wall time for one loop."""


@dataclass(frozen=True)
class Attempt:
    """A candidate: `template`, `rounds` at once, `verdict` (``proved``, ``refuted``, ``unknown``, ``refused``) and `why`; the `module` with the function ``loop``, and what it needs of `tables`. `gain` is how many times less time it takes as scalar C."""

    template: str
    rounds: int
    verdict: str
    why: str
    seconds: float = 0.0
    module: Module | None = None
    tables: bytes = b""
    contract: Mapping[str, Any] = field(default_factory=dict)
    gain: float | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What stands of it in a library."""
        row = {name: getattr(self, name) for name in ("template", "rounds", "verdict", "why", "seconds", "gain")}
        return {**row, "contract": dict(self.contract)}


def synthesise(loop: LearnedLoop, prover: Prover, limit_s: float = LIMIT_S) -> list[Attempt]:
    """Try all templates; those that do not fit say why."""
    end = time.monotonic() + limit_s
    function = loop.lifted.module.functions["loop"]
    attempts = []
    for name, make in _TEMPLATES.items():
        if time.monotonic() > end:
            attempts.append(Attempt(name, 0, "refused", f"more than {limit_s:g} s"))
            continue
        try:
            attempts += make(loop, Frame(loop, function), prover)
        except UsageError as error:
            attempts.append(Attempt(name, 0, "refused", str(error)))
    return attempts


def _words(loop: LearnedLoop, frame: Frame, prover: Prover) -> list[Attempt]:
    return [_attempt(loop, frame, prover, "words", each) for each in find_words(frame)]


def _slices(loop: LearnedLoop, frame: Frame, prover: Prover) -> list[Attempt]:
    return [
        _attempt(loop, frame, prover, "slices", each.candidate(is_proof=True), each)
        for each in find_slicing(loop, frame)
    ]


def _attempt(
    loop: LearnedLoop, frame: Frame, prover: Prover, template: str, candidate: Candidate, slicing: Slicing | None = None
) -> Attempt:
    verdict = prove_candidate(frame, candidate, prover)
    if verdict["verdict"] != "proved":
        return Attempt(template, candidate.rounds, verdict["verdict"], verdict["why"], verdict["seconds"])
    running = slicing.candidate(is_proof=False) if slicing else candidate
    function = program(frame, running, slicing.memories if slicing else ())
    module = verify(Module({}, {"loop": function}, loop.lifted.module.source))
    why, tables, contract = (slicing.said, slicing.tables, slicing.contract) if slicing else (verdict["why"], b"", {})
    try:
        gain = round(measure_gain(loop, module, tables, dict(contract)), 2)
    except UsageError as error:
        gain, why = None, f"{why}; not measured: {error}"
    return Attempt(template, candidate.rounds, "proved", why, verdict["seconds"], module, tables, contract, gain)


_TEMPLATES: dict[str, Callable[[LearnedLoop, Frame, Prover], list[Attempt]]] = {"words": _words, "slices": _slices}
