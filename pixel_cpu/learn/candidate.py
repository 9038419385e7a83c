"""Candidates for some rounds of a loop at once: their proof, and the program that is made of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import UsageError
from ..frontends.x86.emitter import Emitter
from ..ir.model import Function, Memory, Op, Region, Value
from ..ir.types import Type
from ..passes.dead import remove_dead
from .affine import Form, Forms
from .classify import Trips, classify
from .loop_library import LearnedLoop
from .prove import Prover
from .rounds import Access, Copier, Line, fresh, plain


class Frame:
    """What candidates of a loop have in common."""

    def __init__(self, loop: LearnedLoop, function: Function) -> None:
        self.function, self.line, self.forms = function, Line(function), Forms(function)
        self.trips = [each for each in classify(loop.lifted).trips if each.comparison == "eq"]
        self.dead = len(self.line.live) < len(self.line.parameters)
        self.steps = {
            value: form.constant
            for value, after in zip(self.line.parameters, self.line.again, strict=True)
            if after in self.forms.of and dict((form := self.forms.of[after]).terms) == {value: 1}
        }

    def stride(self, form: Form) -> int | None:
        """What a round adds to it; None where it is no constant."""
        total = 0
        for term, factor in form.terms.items():
            if isinstance(term, Form):
                if self.stride(term) != 0:
                    return None
            elif term in self.line.parameters and term not in self.steps:
                return None
            elif self.forms.sources[term] and term not in self.steps:
                return None
            total += factor * (self.steps.get(term, 0) if isinstance(term, Value) else 0)
        return total % (1 << form.bits)

    def counts(self, emit: Emitter, values: Mapping[Value, Value], rounds: int) -> Value:
        """That no counter ends the loop within so many rounds, and one more where a register is made by the last one."""
        found = emit.const(Type.BOOL, 1)
        for trips in self.trips:
            found = emit.op("and", found, self._is_far(emit, values, trips, rounds + self.dead))
        return found

    def _is_far(self, emit: Emitter, values: Mapping[Value, Value], trips: Trips, rounds: int) -> Value:
        kind = {32: Type.U32, 64: Type.U64}.get(trips.bits)
        if kind is None:
            raise UsageError(f"a counter of {trips.bits} bits")
        start = self.value(emit, values, trips.start, kind)
        left = emit.op("sub", emit.const(kind, 0), start) if trips.step > 0 else start
        return emit.op("ge", left, emit.const(kind, rounds * abs(trips.step)))

    def address(self, emit: Emitter, values: Mapping[Value, Value], op: Op) -> Value:
        """Where an access of the first round is, by the loop's own operations, so that a proof sees the same sums."""
        made = self.forms.made

        def copy(value: Value) -> Value:
            if value in values:
                return values[value]
            each = made[value]
            if each.name == "const":
                return emit.const(each.result.type, int(each.literal or 0))
            if each.name == "convert":
                return emit.convert(copy(each.operands[0]), each.result.type)
            if each.name not in ("add", "sub", "mul", "shl"):
                raise UsageError("an address is made of data")
            return emit.op(each.name, *map(copy, each.operands))

        return copy(op.operands[0])

    def value(self, emit: Emitter, values: Mapping[Value, Value], form: Form, kind: Type) -> Value:
        """A form as a value."""
        total = emit.const(kind, form.constant)
        for term, factor in form.terms.items():
            if isinstance(term, Form):
                inner = {8: Type.U8, 16: Type.U16, 32: Type.U32}.get(term.bits)
                if inner is None:
                    raise UsageError("a part of a register")
                one = emit.convert(self.value(emit, values, term, inner), kind)
            elif term in values:
                one = emit.convert(values[term], kind)
            else:
                raise UsageError("what counts is made of data")
            total = emit.op("add", emit.op("mul", one, emit.const(kind, factor)), total)
        return total


def beside(
    frame: Frame, emit: Emitter, values: Mapping[Value, Value], words: Mapping[Op, Value], left: list[Value]
) -> Access:
    """Loads as parts of words that were read at the address of their first round, in a loop that does not store.

    That each is so far from the first one is added to what is proved; that it lies in memory then follows from the guard.
    """
    others = plain(emit)
    starts = {op: frame.address(emit, values, op) for op in words}

    def access(op: Op, known: Mapping[Value, Value], number: int) -> Value | None:
        if op not in words:
            return others(op, known, number)
        wanted = emit.op("add", starts[op], emit.const(Type.U64, number * op.moved.bytes))
        left.append(emit.op("ne", known[op.operands[0]], wanted))
        return emit.convert(emit.op("shr", words[op], emit.const(Type.U64, number * op.moved.bits)), op.moved)

    return access


@dataclass
class Candidate:
    """How a template does some rounds at once.

    `guard` emits a condition from the loop's values, `read` what is loaded ahead, `fits` a condition of what was read, `block` the rounds:
    it gives the loop's parameters after them. `reference` gives what an access of the loop as it is stands for, and adds to a list what must not be.
    """

    rounds: int
    guard: Callable[[Emitter, Mapping[Value, Value]], Value]
    read: Callable[[Emitter, Mapping[Value, Value]], list[Value]]
    fits: Callable[[Emitter, Mapping[Value, Value], list[Value]], Value]
    block: Callable[[Emitter, Mapping[Value, Value], list[Value]], tuple[Value, ...]]
    reference: Callable[[Frame, Emitter, Mapping[Value, Value], list[Value], list[Value]], Access] | None = None


def prove_candidate(frame: Frame, candidate: Candidate, prover: Prover) -> dict[str, Any]:
    """The verdict on a candidate, as `Prover.prove` gives it."""
    verdicts = []
    for first, second in ((None, "guard"), ("reference", "block")):
        one, other = (_straight(frame, candidate, part) for part in (first, second))
        verdicts.append(prover.prove(one, other, {}))
        if verdicts[-1]["verdict"] != "proved":
            why = f"the guard: {verdicts[-1]['why']}" if second == "guard" else verdicts[-1]["why"]
            return {**verdicts[-1], "why": why}
    return {**verdicts[-1], "seconds": sum(each["seconds"] for each in verdicts)}


def _straight(frame: Frame, candidate: Candidate, part: str | None) -> Function:
    """A function of any state of the loop: where the guard holds, what some rounds do."""
    line, body = frame.line, Region()
    emit = Emitter(body)
    parameters = fresh(frame.function.parameters)
    states = fresh(line.parameters)
    values = {
        **dict(zip(frame.function.parameters, parameters, strict=True)),
        **dict(zip(line.parameters, states, strict=True)),
    }
    kinds = [Type.BOOL, *(value.type for value in line.live)]
    nothing = [emit.const(kind, 0) for kind in kinds]
    places = [line.parameters.index(value) for value in line.live]

    def rounds(read: list[Value]) -> list[Value]:
        if part == "block":
            after = candidate.block(emit, values, read)
            return [emit.const(Type.BOOL, 0), *(after[place] for place in places)]
        left: list[Value] = []
        as_it_is = plain(emit)
        access = candidate.reference(frame, emit, values, read, left) if candidate.reference else as_it_is
        copier = Copier(line, emit, access, values, left)
        after = copier.run(candidate.rounds, frame.dead)
        return [copier.any_left(), *(after[place] for place in places)]

    def fitting() -> list[Value]:
        read = candidate.read(emit, values)
        fits = candidate.fits(emit, values, read)
        return nothing if part == "guard" else list(_choose(emit, fits, lambda: rounds(read), lambda: nothing, kinds))

    found = nothing
    if part is not None:
        found = list(_choose(emit, candidate.guard(emit, values), fitting, lambda: nothing, kinds))
    emit.build.end("return", *found)
    taken = (*parameters, *states)
    for place, value in enumerate(taken):
        value.name = f"p{place}"
    return Function("loop", taken, tuple(kinds), frame.function.memories, remove_dead(body))


def _choose(
    emit: Emitter,
    condition: Value,
    then: Callable[[], Sequence[Value]],
    otherwise: Callable[[], Sequence[Value]],
    kinds: Sequence[Type],
) -> tuple[Value, ...]:
    sides = []
    for side in (then, otherwise):
        region = Region()
        with emit.inside(region):
            emit.build.end("yield", *side())
        sides.append(region)
    return emit.build.branch("if", [condition], sides, list(kinds))


def program(frame: Frame, candidate: Candidate, memories: Sequence[Memory] = ()) -> Function:
    """The loop's function with the candidate's rounds in front."""
    function, line = frame.function, frame.line
    body, inner = Region(), Region(parameters=fresh((*line.parameters, line.rounds)))
    emit = Emitter(body)
    values: dict[Value, Value] = {value: value for value in function.parameters}
    for op in line.constants:
        values[op.result] = emit.const(op.result.type, int(op.literal or 0))
    values |= dict(zip((*line.parameters, line.rounds), inner.parameters, strict=True))
    label = "words"
    kinds = [value.type for value in inner.parameters]

    def unless(condition: Value) -> None:
        stop, go = Region(), Region()
        with emit.inside(stop):
            emit.build.append(Op("break", inner.parameters, label=label))
        with emit.inside(go):
            emit.build.end("yield")
        emit.build.branch("if", [emit.negated(condition)], [stop, go])

    with emit.inside(inner):
        limit = function.parameters[2]
        ahead = emit.const(Type.U64, candidate.rounds + int(frame.dead))
        room = emit.op("sub", limit, inner.parameters[-1])
        is_room = emit.op("and", emit.op("ge", room, ahead), emit.op("le", inner.parameters[-1], limit))
        unless(emit.op("and", is_room, candidate.guard(emit, values)))
        read = candidate.read(emit, values)
        unless(candidate.fits(emit, values, read))
        after = candidate.block(emit, values, read)
        count = emit.op("add", inner.parameters[-1], emit.const(Type.U64, candidate.rounds))
        emit.build.append(Op("continue", (*after, count), label=label))
    starts = tuple(values.get(value, value) for value in line.loop.operands)
    results = emit.build.branch("loop", starts, [inner], kinds, label=label)
    operations = [*body.operations]
    for op in function.body.operations:
        operations.append(replace(op, operands=results) if op is line.loop else op)
    return replace(function, memories=(*function.memories, *memories), body=remove_dead(Region(operations)))
