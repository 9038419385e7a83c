"""Symbolic execution of a kernel: each operation once, all ways through it at the same time.

A guard says where an operation runs; branches join as ``If`` terms, memory as logs of guarded writes. A loop cuts the execution: what
comes before it is one segment, an iteration from any state the next, what follows from any result and any memory the one after.
Each segment ends with `Stage`s: where it trapped, the memory it leaves, what it passes on. Two kernels whose stages agree one by
one do the same, by induction over the iterations. Ways that pass a loop by lose what is known of their memory, but not that it is
the same in both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import z3

from ..ir.model import Bounds, Kernel, Module, Op, Region, Space, Value
from ..ir.operations import OPERATIONS
from ..ir.symbolic import Term, constant, express, is_outside
from ..ir.types import Type
from ..passes.inline import inline
from .memory import Guard, MemoryLog, holds, wide_index
from .world import INDEX_BITS, World, like, variable

Values = tuple[Term, ...]
Relation = Callable[[Sequence[Term]], Sequence[Term]]
"""A kernel's own loop parameters by those of the state that both kernels share."""
Invariant = Callable[[Sequence[Term]], Term]
"""What holds of the state that both kernels share when an iteration begins."""


class NotModelledError(Exception):
    """A program has what there are no formulas for."""


@dataclass(frozen=True)
class Stage:
    """What a segment passes on, by the same name in both kernels.

    Attributes:
        condition: where it is reached.
        values: what is passed on there.
        memories: for the stage of a segment's memory, the log of each object; the condition is that nothing trapped.
        loop: number of the loop whose parameters the values are, None for other values.
        line: of the source.
    """

    name: str
    condition: Term
    values: Values = ()
    memories: Mapping[str, MemoryLog] = field(default_factory=dict)
    loop: int | None = None
    line: int | None = None


@dataclass(frozen=True)
class Loop:
    """Any state in which an iteration of a loop begins: a variable for each of its parameters, and the values that it starts with."""

    name: str
    state: Values
    starts: Values


@dataclass
class _Frame:
    """An open label: who leaves for it, and who starts it again, each with where and with what."""

    exits: list[tuple[Term, Values]] = field(default_factory=list)
    again: list[tuple[Term, Values]] = field(default_factory=list)


class Execution:
    """Executes a kernel in a world; `stages` are its cuts in order.

    The second kernel's gets the loops of the first one as `shared`; `relations` gives, for a loop by its number, its own parameters by
    those, `invariants` what holds inside. `own` names memory that the other kernel does not have; `side` tells it apart.
    """

    def __init__(
        self,
        module: Module,
        kernel: Kernel,
        world: World,
        relations: Mapping[int, Relation] | None = None,
        invariants: Mapping[int, Invariant] | None = None,
        shared: Sequence[Loop] = (),
        own: Collection[str] = (),
        side: str = "",
    ) -> None:
        self.kernel = inline(module, kernel)
        self.world = world
        self.relations, self.invariants, self.shared = relations or {}, invariants or {}, shared
        self.stages: list[Stage] = []
        self.loops: list[Loop] = []
        self._values: dict[Value, Term] = {}
        if any(memory.space is Space.WORKGROUP for memory in self.kernel.memories):
            raise NotModelledError("workgroup memory")
        self._logs = {
            memory.name: MemoryLog(world, memory, "", side if memory.name in own else "")
            for memory in self.kernel.memories
        }
        self._frames: dict[str, _Frame] = {}
        self._returns: list[Term] = []
        self._traps: list[Term] = []

    def run(self) -> list[Stage]:
        """Execute the whole kernel; raises `NotModelledError`."""
        for parameter in self.kernel.parameters:
            self._values[parameter] = self.world.scalar(parameter.name, parameter.type)
        guard, _ = self._region(self.kernel.body, ())
        ends = [*self._returns, *([holds(guard)] if guard is not None else [])]
        self._end_segment("the end")
        self.stages.append(Stage("the end", z3.Or(*ends)))
        return self.stages

    def _end_segment(self, name: str) -> None:
        """Say where the segment that ends here trapped, and what memory it leaves."""
        trapped = z3.Or(*self._traps)
        self.stages.append(Stage(f"a trap before {name}", trapped))
        self.stages.append(Stage(f"memory before {name}", z3.Not(trapped), memories=dict(self._logs)))
        self._traps = []

    def _begin_segment(self, name: str) -> None:
        """Go on with any memory, the same in both kernels."""
        self._logs = {memory: MemoryLog(self.world, log.memory, name, log.owner) for memory, log in self._logs.items()}

    # --- control flow ------------------------------------------------------------------------------------

    def _region(self, region: Region, guard: Guard) -> tuple[Guard | None, Values]:
        """Execute a region where `guard` holds; where it ends by itself (None: nowhere), and what it yields."""
        for op in region.operations:
            match op.name:
                case "yield":
                    return guard, self._read(op)
                case "break":
                    self._frames[op.label].exits.append((holds(guard), self._read(op)))
                    return None, ()
                case "continue":
                    self._frames[op.label].again.append((holds(guard), self._read(op)))
                    return None, ()
                case "return":
                    self._returns.append(holds(guard))
                    return None, ()
                case "trap":
                    self._traps.append(holds(guard))
                    return None, ()
                case "if" | "switch":
                    after = self._branch(op, guard)
                case "block":
                    after = self._block(op, guard)
                case "loop":
                    after = self._loop(op, guard)
                case _:
                    after = self._operation(op, guard)
            if after is None:
                return None, ()
            guard = after
        return guard, ()

    def _read(self, op: Op) -> Values:
        return tuple(self._values[operand] for operand in op.operands)

    def _branch(self, op: Op, guard: Guard) -> Guard | None:
        chosen = self._values[op.operands[0]]
        if op.name == "if":
            conditions = [chosen, z3.Not(chosen)]
        else:
            conditions = [chosen == constant(case, op.operands[0].type) for case in op.cases]
            conditions.append(z3.Not(z3.Or(*conditions)) if conditions else z3.BoolVal(True))
        ends: list[tuple[Guard, Values]] = []
        for condition, region in zip(conditions, op.regions, strict=True):
            condition = z3.simplify(condition)
            if z3.is_false(condition):
                continue
            end, values = self._region(region, guard if z3.is_true(condition) else (*guard, condition))
            if end is not None:
                ends.append((end, values))
        return self._join(op, guard, ends)

    def _join(self, op: Op, guard: Guard, ends: Sequence[tuple[Guard, Values]]) -> Guard | None:
        """Merge the values of the ways that meet after `op`; where anyone gets there."""
        if not ends:
            return None
        own = [holds(end[len(guard) :]) for end, _ in ends]
        merged = _merge([(where, values) for where, (_, values) in zip(own, ends, strict=True)])
        self._values.update(zip(op.results, merged, strict=True))
        reached = z3.simplify(z3.Or(*own))
        return guard if z3.is_true(reached) else (*guard, reached)

    def _block(self, op: Op, guard: Guard) -> Guard | None:
        frame = self._frames[op.label] = _Frame()
        end, values = self._region(op.regions[0], guard)
        del self._frames[op.label]
        ends = [((*guard, condition), left) for condition, left in frame.exits]
        if end is not None:
            ends.append((end, values))
        return self._join(op, guard, ends)

    def _loop(self, op: Op, guard: Guard) -> Guard | None:
        number = len(self.loops)
        region, name, starts = op.regions[0], f"loop {number + 1}", self._read(op)
        self._end_segment(name)
        self.stages.append(Stage(f"{name} is entered", holds(guard), starts, loop=number, line=op.line))
        self._begin_segment(name)
        own = tuple(variable(f"{name} value {k}", value.type) for k, value in enumerate(region.parameters))
        state = self.shared[number].state if number < len(self.shared) else own
        self.loops.append(Loop(name, state, starts))
        related = tuple(self.relations.get(number, tuple)(state))
        if [term.sort() for term in related] != [term.sort() for term in own]:
            raise NotModelledError(f"{name} has other parameters, and no relation says which")
        self._values.update(zip(region.parameters, related, strict=True))
        # Inside of the loop alone: elsewhere an invariant could say something of inputs with which no iteration begins.
        holding = (*guard, self.invariants[number](state)) if number in self.invariants else guard
        # What leaves the loop goes on from a state of its own, and not from this iteration's.
        outside, self._frames = self._frames, {label: _Frame() for label in (*self._frames, op.label)}
        returned, self._returns = self._returns, []
        self._region(region, holding)
        inside, self._frames = self._frames, outside
        returns, self._returns = self._returns, returned
        self._end_segment(f"{name} goes on")
        self._pass_on(f"{name} goes on", inside[op.label].again, op, number)
        return self._leave(op, guard, name, inside, returns)

    def _pass_on(self, name: str, ways: Sequence[tuple[Term, Values]], op: Op, loop: int | None = None) -> Values:
        """Add the stage of what some ways pass on; the merged values."""
        condition = z3.simplify(z3.Or(*(where for where, _ in ways)))
        values = _merge(ways) if ways else ()
        self.stages.append(Stage(name, condition, values, loop=loop if ways else None, line=op.line))
        return values

    def _leave(
        self, op: Op, guard: Guard, name: str, inside: Mapping[str, _Frame], returns: Sequence[Term]
    ) -> Guard | None:
        """Pass on what leaves a loop, each way by itself, and begin the segment after it."""
        # Own exits first, then to the labels around, from the inside out.
        ways: list[tuple[str, bool, list[tuple[Term, Values]]]] = []
        for label, frame in reversed(list(inside.items())):
            ways.append((label, False, frame.exits))
            if label != op.label:
                ways.append((label, True, frame.again))
        ways.append(("", False, [(where, ()) for where in returns]))
        ways = [way for way in ways if way[2]]
        passed = [
            self._pass_on(f"{name} is left by way {number}", left, op) for number, (_, _, left) in enumerate(ways, 1)
        ]
        self._begin_segment(f"after {name}")
        # One way is taken; which, is the same in both kernels.
        choices = [z3.Bool(f"{name} left by way {number}") for number in range(1, len(ways) + 1)]
        self.world.facts += [z3.Not(z3.And(a, b)) for place, a in enumerate(choices) for b in choices[:place]]
        after: Guard | None = None
        for (label, is_again, _), values, choice in zip(ways, passed, choices, strict=True):
            fresh = tuple(like(value, f"{choice} value {place}") for place, value in enumerate(values))
            taken = holds((*guard, choice))
            if label == op.label:
                self._values.update(zip(op.results, fresh, strict=True))
                after = (*guard, choice)
            elif not label:
                self._returns.append(taken)
            elif is_again:
                self._frames[label].again.append((taken, fresh))
            else:
                self._frames[label].exits.append((taken, fresh))
        return after

    # --- operations --------------------------------------------------------------------------------------

    def _operation(self, op: Op, guard: Guard) -> Guard | None:
        row = OPERATIONS[op.name]
        if row.effect == "id":
            self._values[op.result] = self.world.ids[op.name]
        elif op.name == "const":
            self._values[op.result] = constant(op.literal or 0, op.result.type)
        elif op.name == "length":
            assert op.memory is not None
            self._values[op.result] = self.world.length(op.memory)
        elif op.name in ("load", "store"):
            return self._access(op, guard)
        elif row.effect == "value":
            operands = self._read(op)
            kind = op.operands[1 if op.name == "select" else 0].type
            try:
                self._values[op.result] = express(op.name, operands, kind, op.result.type)
            except KeyError as error:
                raise NotModelledError(str(error.args[0])) from None
        else:
            raise NotModelledError(f"{op.name} (line {op.line})" if op.line else op.name)
        return guard

    def _access(self, op: Op, guard: Guard) -> Guard | None:
        self.world.check_time()
        memory, kind = op.memory, op.operands[0].type
        assert memory is not None
        log, index = self._logs[memory.name], self._values[op.operands[0]]
        length = self.world.length(memory)
        inside = z3.simplify(z3.Not(is_outside(index, kind, length, op.width)))
        if op.bounds is Bounds.CLAMP:
            return self._clamped(op, guard, inside)
        if not z3.is_true(inside):
            self._traps.append(holds((*guard, z3.Not(inside))))
            if not any(term.eq(inside) for term in guard):
                guard = (*guard, inside)
        if op.name == "load":
            self._values[op.result] = log.load(op, index, kind, guard)
        else:
            log.store(op, index, self._values[op.operands[1]], guard)
        return guard

    def _clamped(self, op: Op, guard: Guard, inside: Term) -> Guard:
        """An access that reads the nearest element where its index is outside, and writes nothing."""
        memory, kind = op.memory, op.operands[0].type
        assert memory is not None
        log, index = self._logs[memory.name], self._values[op.operands[0]]
        if op.name == "store":
            log.store(op, index, self._values[op.operands[1]], (*guard, inside))
            return guard
        last = z3.ZeroExt(INDEX_BITS - 32, self.world.length(memory)) - op.width
        is_negative = index < 0 if kind.is_signed else z3.BoolVal(False)
        nearest = z3.If(is_negative, constant(0, Type.U64), z3.If(inside, wide_index(index, kind), last))
        found = log.load(op, nearest, Type.U64, guard)
        nothing = (
            z3.FPVal(0.0, found.sort())
            if z3.is_fp(found)
            else z3.BoolVal(False)
            if z3.is_bool(found)
            else found ^ found
        )
        self._values[op.result] = z3.If(last < 0, nothing, found)
        return guard


def _merge(ways: Sequence[tuple[Term, Values]]) -> Values:
    """The values of whichever way is taken; of none it does not matter."""
    merged = ways[-1][1]
    for condition, values in ways[-2::-1]:
        merged = tuple(z3.If(condition, one, other) for one, other in zip(values, merged, strict=True))
    return tuple(map(z3.simplify, merged))
