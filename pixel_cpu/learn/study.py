"""All that is found out of a lifted loop: its kernel, whether that is proved, its class, its contract.

>>> with Prover() as prover:
...     study(loop, prover).facts["verdict"]
'proved'
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..ir.model import Function, Module, walk
from ..ir.verifier import verify
from .classify import classify
from .clean import clean
from .contract import contract_of
from .loop_library import LearnedLoop
from .prove import Prover


def study(loop: LearnedLoop, prover: Prover) -> LearnedLoop:
    """The loop with its facts; where its kernel is proved to do the same, with that as its program.

    Facts are ``class`` and ``reason`` (why it is serial), ``inductions``, ``streams``, ``contract``, ``verdict`` (``proved``,
    ``refuted``, ``unknown``) and ``why``, ``proof`` (seconds of CPU time, solvers), ``operations`` before and after.
    """
    lifted = loop.lifted.module.functions["loop"]
    kernel, kept = clean(lifted)
    verdict = prover.prove(lifted, kernel, kept)
    is_proved = verdict["verdict"] == "proved"
    program = replace(loop.lifted, module=_with(loop.lifted.module, kernel)) if is_proved else loop.lifted
    found = classify(program)
    facts: dict[str, Any] = {
        "class": found.kind,
        "reason": found.reason,
        "inductions": [[each.register, each.step, each.bits] for each in found.inductions],
        "recurrences": [[each.register, each.operation] for each in found.recurrences],
        "streams": [str(each) for each in found.streams],
        "ends_by_data": found.is_data_exit,
        "contract": contract_of(found),
        "verdict": verdict["verdict"],
        "why": verdict["why"],
        "proof": {key: verdict[key] for key in ("seconds", "solvers", "was_cached")},
        "operations": [_size(lifted), _size(kernel)],
    }
    return replace(loop, found=replace(loop.found, lifted=program), facts={**loop.facts, **facts})


def _with(module: Module, function: Function) -> Module:
    """The module with another function of that name."""
    return verify(Module(module.kernels, {**module.functions, function.name: function}, module.source))


def _size(function: Function) -> int:
    return sum(1 for _ in walk(function.body))
