"""Whether two kernels do the same for all inputs: stage by stage, by solvers; what these refute is run."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import z3

from ..ir.bits import to_bits
from ..ir.model import Kernel, Module
from ..ir.symbolic import Term
from .examples import differ, evaluate, is_small, random_examples, read_examples
from .execution import Execution, Invariant, NotModelledError, Relation, Stage
from .findings import Example, Finding, Verdict
from .memory import MemoryLog
from .solvers import Reply, ask
from .world import INDEX_BITS, OutOfTimeError, World, name_of, same


@dataclass(frozen=True)
class Contract:
    """Under which conditions two kernels are to do the same.

    Attributes:
        assume: formulas over the inputs: scalars by name, elements of a buffer by ``len NAME``, the lane's ids by name.
        relations: by a loop's number from 0, the second kernel's loop parameters by the first one's; where none is given they are
            the same.
        invariants: by a loop's number, what holds of the first kernel's loop parameters when an iteration begins; it is proved too.
    """

    assume: Callable[[Mapping[str, Term]], Sequence[Term]] = lambda inputs: ()
    relations: Mapping[int, Relation] = field(default_factory=dict)
    invariants: Mapping[int, Invariant] = field(default_factory=dict)


def prove_equal(
    first: tuple[Module, str],
    second: tuple[Module, str],
    contract: Contract | None = None,
    *,
    is_thorough: bool = True,
    limit_s: float | None = None,
) -> Finding:
    """Whether a lane of the second kernel does what one of the first does: the same traps, and else the same memory.

    Each is a verified module and the name of a kernel in it, with the same scalars and buffers; else `ValueError`. Proved is: for all
    inputs under the contract, with fuel enough, as far as no other lane writes what this one reads. What was written before a trap
    is not compared. All NaNs count as one. Loops are matched in order, an iteration with an iteration. Without `is_thorough` solvers
    get little time. After `limit_s` seconds of CPU time the verdict is that it is not known; a question that a solver has is not broken off.
    """
    started = time.process_time()
    proof = _Proof(first, second, contract or Contract(), is_thorough, limit_s, is_abstract=True)
    try:
        verdict, reason, example = proof.run()
        if verdict is not Verdict.PROVED:
            solvers = proof.solvers
            proof = _Proof(first, second, contract or Contract(), is_thorough, limit_s)
            proof.solvers += solvers
            verdict, reason, example = proof.run()
    except NotModelledError as error:
        verdict, reason, example = Verdict.UNKNOWN, f"not modelled: {error}", None
    except OutOfTimeError:
        verdict, reason, example = Verdict.UNKNOWN, f"it takes more than {limit_s:g} s", None
    return Finding(verdict, reason, example, dict(proof.solvers), time.process_time() - started)


def _interface(kernel: Kernel) -> tuple[object, ...]:
    return kernel.scalars, {memory.name: (memory.element, memory.length) for memory in kernel.buffers}


class _Proof:
    def __init__(
        self,
        first: tuple[Module, str],
        second: tuple[Module, str],
        contract: Contract,
        is_thorough: bool,
        limit_s: float | None,
        is_abstract: bool = False,
    ) -> None:
        self.programs = first, second
        self.contract, self.is_thorough = contract, is_thorough
        self.solvers: Counter[str] = Counter()
        self.world = World(limit_s, is_abstract)
        self.kernels = left, right = [module.kernels[name] for module, name in self.programs]
        if _interface(left) != _interface(right):
            raise ValueError(f"{left.name} and {right.name} have different scalars or buffers")

    def run(self) -> tuple[Verdict, str, Example | None]:
        left, right = self._execute()
        shapes = [[stage.name for stage in stages] for stages in (left, right)]
        if shapes[0] != shapes[1]:
            return Verdict.UNKNOWN, "their loops are not nested, left or followed alike", None
        unknown = ""
        # Of inputs alone: what memory holds contradicts none of them.
        if self.facts and ask([*self.facts, *self.world.facts]).is_possible is not True:
            return Verdict.UNKNOWN, "no inputs are known that fulfil the contract", None
        for one, other in zip(left, right, strict=True):
            for claim, what in self._claims(one, other):
                reply = self._ask(claim)
                if self.world.is_abstract and reply.is_possible is not False:
                    return Verdict.UNKNOWN, "", None
                if reply.is_possible is None:
                    unknown = unknown or f"no solver says within its limits whether {what} is the same"
                elif reply.is_possible:
                    example = self._example(claim)
                    where = f" (line {one.line})" if one.line else ""
                    if example is not None:
                        return Verdict.REFUTED, f"they differ in {what}{where}", example
                    unknown = f"{what} may differ{where}, from a state that may not occur"
        if unknown:
            return Verdict.UNKNOWN, unknown, None
        return Verdict.PROVED, f"{len(left)} stages agree", None

    def _execute(self) -> tuple[list[Stage], list[Stage]]:
        names = [{(m.name, m.space, m.element, m.length) for m in kernel.memories} for kernel in self.kernels]
        common = {name for name, *_ in names[0] & names[1]}
        own = [{memory.name for memory in kernel.memories} - common for kernel in self.kernels]
        invariants = self.contract.invariants
        first = Execution(*self._program(0), self.world, None, invariants, (), own[0], "first ")
        left = first.run()
        second = Execution(
            *self._program(1), self.world, self.contract.relations, invariants, first.loops, own[1], "second "
        )
        right = second.run()
        self.loops = first.loops
        self.common = common
        self.facts = [*self.contract.assume(self.world.named_inputs(self.kernels[0]))]
        return left, right

    def _program(self, side: int) -> tuple[Module, Kernel]:
        module, name = self.programs[side]
        return module, module.kernels[name]

    def _claims(self, one: Stage, other: Stage) -> Iterator[tuple[Term, str]]:
        """What must not be possible, in formulas and in words."""
        yield one.condition != other.condition, f"the way to {one.name}"
        if z3.is_false(one.condition) or z3.is_false(other.condition):
            return
        reached, expected = one.condition, one.values
        if one.loop is not None:
            expected = tuple(self.contract.relations.get(one.loop, tuple)(one.values))
            if (invariant := self.contract.invariants.get(one.loop)) is not None:
                yield z3.And(reached, z3.Not(invariant(one.values))), f"the invariant at {one.name}"
        if len(other.values) != len(expected):
            yield reached, f"how many values there are at {one.name}"
            return
        for place, (value, wanted) in enumerate(zip(other.values, expected, strict=True), 1):
            yield z3.And(reached, z3.Not(same(value, wanted))), f"value {place} at {one.name}"
        for name in self.common & set(one.memories):
            log, twin = one.memories[name], other.memories[name]
            values = log.differing(twin)
            # Writes of the same values to the same places are enough, and the smaller question.
            if (
                values
                and len(values) < len(log.writes)
                and self._ask(z3.And(reached, z3.Or(*values))).is_possible is False
            ):
                continue
            if values != []:
                yield z3.And(reached, self._differ(log, twin)), f"the {one.name.replace('memory', name, 1)}"

    def _differ(self, log: MemoryLog, twin: MemoryLog) -> Term:
        index = z3.BitVec(f"any {log.memory.name}", INDEX_BITS)
        inside = z3.ULT(index, z3.ZeroExt(INDEX_BITS - 32, self.world.length(log.memory)))
        return z3.And(inside, z3.Not(same(log.read(index, ()), twin.read(index, ()))))

    def _ask(self, claim: Term, *more: Term) -> Reply:
        if z3.is_false(z3.simplify(claim)):
            return Reply(False)
        self.world.check_time()
        is_thorough = self.is_thorough and not self.world.is_abstract
        reply = ask([claim, *more, *self.facts, *self.world.facts, *self.world.consistency()], is_thorough=is_thorough)
        if reply.solver:
            self.solvers[reply.solver] += 1
        return reply

    def _example(self, claim: Term) -> Example | None:
        """Inputs for which the kernels differ when they are run, None where the solvers' do not show it."""
        kernel = self.kernels[0]
        reply = self._ask(claim, *is_small(self.world, kernel))
        modelled = read_examples(self.world, kernel, reply.model, self.loops) if reply.is_possible else ()
        for example in itertools.chain(modelled, random_examples(kernel)):
            if self._is_allowed(example) and differ(*self.programs, example):
                return example
        return None

    def _is_allowed(self, example: Example) -> bool:
        """Whether the contract holds for each lane of a launch."""
        kernel = self.kernels[0]
        inputs = self.world.named_inputs(kernel)
        given = {f"len {name}": len(array) for name, array in example.buffers.items()}
        given |= {"lane_count": example.lanes, "group_size": example.group}
        given |= {name: to_bits(value, kernel.scalars[name]) for name, value in example.scalars.items()}
        known = {name_of(inputs[name]): value for name, value in given.items() if not z3.is_bv_value(inputs[name])}
        assumed = self.contract.assume(inputs)
        return all(
            evaluate(formula, known | {"global_id": lane}) for lane in range(example.lanes) for formula in assumed
        )
