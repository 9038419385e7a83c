"""Rounds of a learned loop, one behind the other and without ways out: what candidates of `synthesise` are made of and compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import UsageError
from ..frontends.x86.emitter import Emitter
from ..ir.model import Function, Op, Region, Value
from ..ir.operations import OPERATIONS
from ..ir.types import Type
from .affine import head_loop

Access = Callable[[Op, Mapping[Value, Value], int], Value | None]
"""Emits an access, with the values so far, of the round of that number; gives what a load gives."""


@dataclass(frozen=True)
class Leave:
    """A condition in a loop, and whether the loop is left where it is true or where it is false."""

    condition: Value
    when: bool


class Line:
    """A loop whose rounds all take one way: its operations, what leaves it, and what goes to the next round.

    Raises `UsageError` for a loop that branches, or that has loops inside.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.loop = head_loop(function)
        (region,) = self.loop.regions
        self.parameters = region.parameters[:-1]
        self.rounds = region.parameters[-1]
        self.constants = [op for op in function.body.operations if op.name == "const"]
        self.steps: list[Op | Leave] = []
        self.again: tuple[Value, ...] = ()
        self.live: tuple[Value, ...] = ()
        self._take(region, is_first=True)
        if len(self.again) != len(self.parameters):
            raise UsageError("no way round is straight")
        self._prune()
        used = {value for step in self.steps for value in _operands(step)}
        self.live = tuple(value for value in self.parameters if value in self._needed(used))

    def _prune(self) -> None:
        """Leave out what neither leaves the loop, nor touches memory, nor goes to the next round."""
        needed, kept = {*self.again}, list[Op | Leave]()
        for step in reversed(self.steps):
            if isinstance(step, Leave) or step.is_access or needed & {*step.results}:
                kept.append(step)
                needed |= {*_operands(step)}
        self.steps = kept[::-1]

    def _needed(self, used: set[Value]) -> set[Value]:
        """Parameters that a round needs; the others are left as some round makes them."""
        return {
            value
            for value, after in zip(self.parameters, self.again, strict=True)
            if value in used or any(value is other for other in self.again if other is not after)
        }

    def _take(self, region: Region, is_first: bool = False) -> None:
        for op in region.operations:
            if op.name == "if":
                if is_first and self._is_limit(op):
                    continue
                if self._branch(op):
                    return
            elif op.name == "continue":
                if op.label != self.loop.label:
                    raise UsageError("loops inside")
                self.again = op.operands[:-1]
                return
            elif op.regions or op.name in ("return", "break", "trap", "call"):
                raise UsageError("its rounds branch")
            else:
                self.steps.append(op)

    def _is_limit(self, op: Op) -> bool:
        made = next((each for each in self.loop.regions[0].operations if op.operands[0] in each.results), None)
        return made is not None and self.rounds in made.operands

    def _branch(self, op: Op) -> bool:
        """Follow the side that goes on; whether it goes round from there."""
        ends = [region.operations[-1].name for region in op.regions]
        for place, end in enumerate(ends):
            other = op.regions[1 - place].operations
            if end in ("return", "trap") and ends[1 - place] == "yield" and len(other) == 1 and not op.results:
                self.steps.append(Leave(op.operands[0], place == 0))
                return False
            if end == "continue":
                self.steps.append(Leave(op.operands[0], place != 0))
                self._take(op.regions[place])
                return True
        raise UsageError("its rounds branch")


def _operands(step: Op | Leave) -> tuple[Value, ...]:
    return step.operands if isinstance(step, Op) else (step.condition,)


class Copier:
    """Copies rounds of a loop behind one another into an `Emitter`."""

    def __init__(
        self, line: Line, emit: Emitter, access: Access, given: Mapping[Value, Value], left: list[Value] | None = None
    ) -> None:
        self.line, self.emit, self.access = line, emit, access
        self.values: dict[Value, Value] = dict(given)
        for op in line.constants:
            self.values[op.result] = emit.const(op.result.type, int(op.literal or 0))
        self.left: list[Value] = [] if left is None else left

    def run(self, count: int, is_one_more: bool = False) -> tuple[Value, ...]:
        """Emit so many rounds, and if `is_one_more` of the next one whether it leaves; the loop's parameters behind the first ones."""
        found: tuple[Value, ...] = ()
        for number in range(count + is_one_more):
            for step in self.line.steps:
                if number >= count and not self.is_known(step):
                    continue
                if isinstance(step, Leave):
                    condition = self.values[step.condition]
                    self.left.append(condition if step.when else self.emit.negated(condition))
                else:
                    self.op(step, number)
            if number >= count:
                break
            found = tuple(self.values[value] for value in self.line.again)
            self.values.update(zip(self.line.parameters, found, strict=True))
        return found

    def is_known(self, step: Op | Leave) -> bool:
        """Whether it can be said without memory of that round; what else leaves it, the round itself says."""
        is_known = all(value in self.values for value in _operands(step))
        is_access = isinstance(step, Op) and step.is_access
        if isinstance(step, Op) and (is_access or not is_known):
            for value in step.results:
                self.values.pop(value, None)
        elif isinstance(step, Leave) and not is_known:
            raise UsageError("data may end it before a register is made anew")
        return is_known and not is_access

    def op(self, op: Op, number: int) -> None:
        operands = tuple(self.values[value] for value in op.operands)
        self.emit.build.line = op.line
        if op.is_access:
            value = self.access(op, self.values, number)
            if value is not None:
                self.values[op.result] = value
        elif op.results and OPERATIONS[op.name].effect in ("value", "id"):
            self.values[op.result] = self.value(op, operands)
        else:
            raise UsageError(f"{op.name} in a round")

    def value(self, op: Op, operands: tuple[Value, ...]) -> Value:
        emit, kind = self.emit, op.result.type
        if op.name == "convert" and not operands[0].type.is_signed:
            return emit.convert(operands[0], kind)
        if op.name in ("add", "sub", "mul", "and", "or", "xor", "shl", "shr", "eq", "ne", "lt", "le", "gt", "ge"):
            return emit.op(op.name, *operands)
        return emit.build.append(replace(op, operands=operands, results=(Value(kind),))).result

    def any_left(self) -> Value:
        """Whether one of the rounds left the loop."""
        found = self.emit.const(Type.BOOL, 0)
        for value in self.left:
            found = self.emit.op("or", found, value)
        return found


def plain(emit: Emitter) -> Access:
    """Accesses as they are."""

    def access(op: Op, values: Mapping[Value, Value], number: int) -> Value | None:
        del number
        operands = tuple(values[value] for value in op.operands)
        results = tuple(Value(value.type) for value in op.results)
        emit.build.append(replace(op, operands=operands, results=results))
        return results[0] if results else None

    return access


def fresh(values: Sequence[Value]) -> tuple[Value, ...]:
    """New values like these."""
    return tuple(Value(value.type, value.name.partition(".")[0]) for value in values)
