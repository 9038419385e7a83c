"""Whether formulas hold together: Z3 within a few steps, Bitwuzla, Z3 with many.

Each is the faster one of its kind: Z3 for what is nearly decided by rewriting, Bitwuzla for bit-vector arithmetic (a round of
SHA-256: 1.4 s, where Z3 gives up). Z3's limit counts its own steps, which no load of the host changes; Bitwuzla has a limit of time
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import z3

from ..ir.symbolic import Term

try:
    import bitwuzla
except ImportError:  # the extra [learn]
    bitwuzla = None

Model = dict[str, int | bool]
"""Values of variables by name: bit-vectors as unsigned numbers."""

FEW_STEPS, MANY_STEPS = 200_000, 6_000_000
BITWUZLA_MS = 10_000


@dataclass(frozen=True)
class Reply:
    """Whether there is a model (None: not known) and the model."""

    is_possible: bool | None
    model: Model = field(default_factory=dict)
    solver: str = ""


def ask(formulas: Sequence[Term], is_thorough: bool = True) -> Reply:
    """Whether all `formulas` can hold together; only briefly unless `is_thorough`."""
    goal = [z3.simplify(formula) for formula in formulas]
    if any(z3.is_false(formula) for formula in goal):
        return Reply(False)
    reply = _ask_z3(goal, FEW_STEPS)
    if reply.is_possible is None and is_thorough:
        reply = _ask_bitwuzla(goal)
        if reply.is_possible is None:
            reply = _ask_z3(goal, MANY_STEPS)
    return reply


def _ask_z3(formulas: Sequence[Term], steps: int) -> Reply:
    solver = z3.SolverFor("QF_FPBV" if any(map(_has_float, formulas)) else "QF_BV")
    solver.set("rlimit", steps)
    solver.add(*formulas)
    answer = solver.check()
    if answer == z3.unsat:
        return Reply(False, solver="Z3")
    if answer != z3.sat:
        return Reply(None, solver="Z3")
    found = solver.model()
    values = {str(name()): found[name] for name in found.decls() if name.arity() == 0}
    return Reply(True, {name: _number(value) for name, value in values.items()}, "Z3")


def _number(value: Term) -> int | bool:
    return int(value.as_long()) if z3.is_bv_value(value) else bool(z3.is_true(value))


def _has_float(formula: Term) -> bool:
    seen, stack = set[int](), [formula]
    while stack:
        term = stack.pop()
        if term.get_id() not in seen:
            seen.add(term.get_id())
            if z3.is_fp(term):
                return True
            stack.extend(term.children())
    return False


def _ask_bitwuzla(formulas: Sequence[Term]) -> Reply:
    if bitwuzla is None or any(map(_has_float, formulas)):
        return Reply(None)
    solver = z3.Solver()
    solver.add(*formulas)
    options = bitwuzla.Options()
    options.set(bitwuzla.Option.PRODUCE_MODELS, True)
    options.set(bitwuzla.Option.TIME_LIMIT_PER, BITWUZLA_MS)
    parser = bitwuzla.Parser(bitwuzla.TermManager(), options)
    parser.parse(solver.to_smt2(), True, False)
    engine = parser.bitwuzla()
    answer = engine.check_sat()
    if answer == bitwuzla.Result.UNSAT:
        return Reply(False, solver="Bitwuzla")
    if answer != bitwuzla.Result.SAT:
        return Reply(None, solver="Bitwuzla")
    values = {term.symbol(): engine.get_value(term) for term in parser.get_declared_funs()}
    return Reply(True, {name.strip("|"): _read(value) for name, value in values.items()}, "Bitwuzla")


def _read(value: Term) -> int | bool:
    return bool(value.value()) if value.sort().is_bool() else int(value.value(2), 2)
