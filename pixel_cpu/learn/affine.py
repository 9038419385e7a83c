"""What the values of a loop are in terms of each other: sums of multiples, and what they depend on.

A `Form` is a sum of multiples of terms and a constant, modulo the width of its type. Terms are parameters of the loop, values that do not change in it, and
whatever is no sum; a narrower form that is extended with zeros is a term of the wider one.

>>> Forms(lifted.module.functions["loop"]).of[index]       # rdx + 56 + shift
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..ir.model import Function, Op, Region, Value, walk
from ..ir.types import Type


@dataclass(frozen=True)
class Form:
    """A sum: terms with their factors, and a constant; numbers are modulo 2 to the power of `bits`."""

    terms: Mapping[Term, int]
    constant: int
    bits: int

    def __hash__(self) -> int:
        return hash((frozenset(self.terms.items()), self.constant, self.bits))

    def plus(self, other: Form, factor: int = 1) -> Form:
        """The sum with a multiple of another form of the same width."""
        terms = dict(self.terms)
        for term, count in other.terms.items():
            terms[term] = (terms.get(term, 0) + factor * count) % (1 << self.bits)
        kept = {term: count for term, count in terms.items() if count}
        return Form(kept, (self.constant + factor * other.constant) % (1 << self.bits), self.bits)

    def times(self, factor: int) -> Form:
        """A multiple of it."""
        return Form({}, 0, self.bits).plus(self, factor)

    def cut(self, bits: int) -> Form:
        """Its lowest bits."""
        if len(self.terms) == 1 and not self.constant:
            ((term, factor),) = self.terms.items()
            if isinstance(term, Form) and factor == 1 and term.bits >= bits:
                return term.cut(bits)
        kept = {term: count % (1 << bits) for term, count in self.terms.items() if count % (1 << bits)}
        return Form(kept, self.constant % (1 << bits), bits)

    def extended(self, bits: int) -> Form:
        """It in a wider type, filled with zeros."""
        if bits <= self.bits:
            return self.cut(bits)
        if not self.terms:
            return Form({}, self.constant, bits)
        return Form({self: 1}, 0, bits)

    @property
    def number(self) -> int | None:
        """The constant where it is nothing else, as a signed number."""
        return None if self.terms else signed(self.constant, self.bits)

    def values(self) -> Iterator[Value]:
        """The values in it, also in extended forms."""
        for term in self.terms:
            if isinstance(term, Form):
                yield from term.values()
            else:
                yield term


Term: TypeAlias = Value | Form


def signed(number: int, bits: int) -> int:
    """A number modulo 2 to the power of `bits` as the signed one nearest to zero."""
    number %= 1 << bits
    return number - (1 << bits) if number >> bits - 1 else number


def head_loop(function: Function) -> Op:
    """The loop at the head of a lifted function."""
    return next(op for op in function.body.operations if op.name == "loop")


@dataclass(frozen=True)
class Guard:
    """A condition that holds, or does not, where something runs."""

    condition: Value
    is_true: bool


class Forms:
    """The values of a lifted function.

    Attributes:
        loop: the operation at its head.
        of: the form of each integer.
        sources: parameters of the loop, and results of loads, that a value depends on, also by way of branches.
        made: the operation that gives a value.
        guards: what holds where an operation runs that reads or writes memory or ends something, as far as it is known.
        inner: accesses in loops inside.
        leaving: labels of blocks behind which the loop is left.
    """

    def __init__(self, function: Function, assumed: Mapping[str, int] | None = None) -> None:
        """`assumed` says what parameters of the function are, by name."""
        self.of: dict[Value, Form] = {}
        self.sources: dict[Value, frozenset[Value]] = {}
        self.made: dict[Value, Op] = {}
        self.guards: dict[Op, tuple[Guard, ...]] = {}
        self.inner: set[Op] = set()
        self.leaving: set[str] = set()
        self._depth = 0
        for value in function.parameters:
            known = (assumed or {}).get(value.name)
            self._define(value, frozenset(), None if known is None else Form({}, known, value.type.bits))
        self.loop = head_loop(function)
        self._region(function.body, ())

    def _define(self, value: Value, sources: frozenset[Value], form: Form | None = None) -> None:
        self.sources[value] = sources
        self.of[value] = form or Form({value: 1}, 0, value.type.bits)

    def _all(self, values: Iterable[Value]) -> frozenset[Value]:
        return frozenset[Value]().union(*(self.sources.get(value, frozenset()) for value in values))

    def _region(self, region: Region, guards: tuple[Guard, ...]) -> None:
        for place, op in enumerate(region.operations):
            if op.name == "block" and self._is_left(region.operations[place + 1 :]):
                self.leaving.add(op.label)
            for value in op.results:
                self.made[value] = op
            if op.name in ("load", "store", "continue", "return", "break", "trap"):
                self.guards[op] = guards
                if self._depth > 1 and op.memory is not None:
                    self.inner.add(op)
            if op.regions:
                guards = self._branch(op, guards)
            elif op.name == "load":
                self._define(op.result, self._all(op.operands) | {op.result})
            elif op.results:
                self._define(op.result, self._all(op.operands), self._form(op))

    def _is_left(self, following: list[Op]) -> bool:
        """Whether these operations, the last ones of a region, surely leave the loop."""
        ends = [op for op in _all_inside(following) if op.name in ("continue", "break")]
        inside = {op.label for op in _all_inside(following) if op.name in ("block", "loop")}
        is_going = any(op.label not in (*self.leaving, *inside) for op in ends)
        return not is_going and following[-1].name in ("return", "trap", "break")

    def _branch(self, op: Op, guards: tuple[Guard, ...]) -> tuple[Guard, ...]:
        """The regions and results of an operation; what holds behind it."""
        if op.name == "loop":
            self._loop(op, guards)
            return guards
        if op.name == "if":
            (condition,) = op.operands
            sides = [(*guards, Guard(condition, True)), (*guards, Guard(condition, False))]
        else:
            sides = [guards] * len(op.regions)
        for region, inside in zip(op.regions, sides, strict=True):
            self._region(region, inside)
        ends = [each for region in op.regions for each in walk(region) if _is_end(op, region, each)]
        control = self._all(each.operands[0] for each in _and_inside(op) if each.name in ("if", "switch"))
        for place, result in enumerate(op.results):
            values = [end.operands[place] for end in ends]
            forms = {self.of[value] for value in values}
            only = forms.pop() if len(forms) == 1 else None
            self._define(result, self._all(values) | (control if only is None else frozenset()), only)
        if op.name == "if":
            going = [region.operations[-1].name == "yield" for region in op.regions]
            if going == [False, True]:
                return sides[1]
            if going == [True, False]:
                return sides[0]
        return guards

    def _loop(self, op: Op, guards: tuple[Guard, ...]) -> None:
        region = op.regions[0]
        if op is self.loop:
            for value in region.parameters:
                self._define(value, frozenset((value,)))
        else:
            # What a loop inside gives depends on all that it reads.
            outside = [value for each in walk(region) for value in each.operands if value in self.sources]
            loads = {each.result for each in walk(region) if each.name == "load"}
            found = self._all((*outside, *op.operands)) | loads
            for value in (*region.parameters, *op.results):
                self._define(value, found)
        self._depth += 1
        self._region(region, guards)
        self._depth -= 1
        if op is self.loop:
            for value in op.results:
                self._define(value, frozenset())

    def _form(self, op: Op) -> Form | None:
        kind = op.result.type
        if op.name == "const" and not kind.is_float:
            return Form({}, int(op.literal or 0) % (1 << kind.bits), kind.bits)
        if kind.is_float or kind is Type.BOOL or op.name in ("length", "call"):
            return None
        operands = [self.of[value] for value in op.operands]
        match op.name:
            case "add" | "sub":
                return operands[0].plus(operands[1], 1 if op.name == "add" else -1)
            case "mul":
                known = [each.number for each in operands]
                place = 0 if known[0] is not None else 1
                return None if (factor := known[place]) is None else operands[1 - place].times(factor)
            case "shl":
                count = operands[1].number
                return None if count is None else operands[0].times(1 << count % kind.bits)
            case "xor" if operands[1].number == -1:
                return operands[0].times(-1).plus(Form({}, -1 % (1 << kind.bits), kind.bits))
            case "bitcast":
                return operands[0]
            case "convert" if op.operands[0].type is Type.BOOL:
                known_bit = operands[0].number
                return None if known_bit is None else Form({}, int(known_bit != 0), kind.bits)
            case "convert" if not op.operands[0].type.is_signed:
                return operands[0].extended(kind.bits)
            case "convert" if kind.bits <= op.operands[0].type.bits:
                return operands[0].cut(kind.bits)
            case "select" if (known_side := operands[0].number) is not None:
                return operands[1 if known_side else 2]
        return None


def _and_inside(op: Op) -> Iterator[Op]:
    return _all_inside([op])


def _all_inside(operations: Iterable[Op]) -> Iterator[Op]:
    for op in operations:
        yield op
        for region in op.regions:
            yield from walk(region)


def _is_end(op: Op, region: Region, each: Op) -> bool:
    """Whether it gives the results of `op`."""
    return (each.name == "yield" and each is region.operations[-1]) or (
        each.name == "break" and each.label == op.label != ""
    )
