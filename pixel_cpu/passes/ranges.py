"""Intervals of integer values, by abstract interpretation of the structured program.

A value has an interval of mathematical integers and the buffers whose lengths it is known to be below, as after ``if i < length(x)``.
Comparisons refine what is known in the region that they guard, and after it where the other way leaves. Loops are widened to the
whole type after a few rounds, then narrowed twice: Cousot and Cousot, "Abstract interpretation" (1977).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..ir.limits import MAX_GROUP, MAX_LANES, MAX_LENGTH
from ..ir.model import Function, Kernel, Memory, Module, Op, Region, Space, Value, reachable
from ..ir.types import Type

_ROUNDS = 1
"""Rounds of a loop before its parameters are widened; narrowing gives back what that loses. Those of loops in loops multiply."""
_MOST_STEPS = 50_000
"""Operations that a walk visits before it gives up on loops: rounds of loops in loops multiply."""
_Unit = Kernel | Function


@dataclass(frozen=True)
class Range:
    """Every value lies in ``low <= value <= high``, and below the length of each memory in `below`."""

    low: int
    high: int
    below: frozenset[Memory] = frozenset()

    def join(self, other: Range) -> Range:
        """What holds for a value that is in this range or in the other."""
        return Range(min(self.low, other.low), max(self.high, other.high), self.below & other.below)

    def meet(self, low: int, high: int) -> Range:
        """The same values, of which it is known that they lie in ``low..high``."""
        return replace(self, low=max(self.low, low), high=min(self.high, high))


def whole(kind: Type) -> Range:
    """Every value of a type; of a float and a bool nothing is known."""
    return Range(kind.least, kind.greatest) if kind.is_integer else Range(0, 1)


@dataclass(frozen=True)
class Access:
    """An access as the analysis found it: the index's range, and the conditions that hold there."""

    op: Op
    index: Range
    conditions: tuple[tuple[Value, bool], ...]


@dataclass(frozen=True)
class Proof:
    """Whether an access was proved in bounds, and in words how, or why not."""

    is_proved: bool
    reason: str


class Ranges:
    """The ranges of a kernel's values for launches of groups of `group` lanes; None: of any size.

    `accesses` has each load, store and atomic of the kernel and of the functions that it calls; an access in a function stands for
    all calls of it.
    """

    def __init__(self, module: Module, kernel: Kernel, group: int | None = None) -> None:
        self.module, self.kernel, self.group = module, kernel, group
        self.definitions: dict[Value, Op] = {}
        self.accesses: dict[Op, Access] = {}
        self._values: dict[Value, Range] = {value: whole(value.type) for value in kernel.parameters}
        for function in reachable(module, kernel):
            self._values.update({value: whole(value.type) for value in function.parameters})
            _Walk(self).region(function.body, {}, ())
        _Walk(self).region(kernel.body, {}, ())

    def of(self, value: Value) -> Range:
        """The range of a value wherever it is visible."""
        return self._values.get(value) or whole(value.type)


_Facts = dict[Value, Range]
_Path = tuple[tuple[Value, bool], ...]


class _Walk:
    """One pass over a body. `facts` are what conditions add to the values' own ranges on the way here."""

    def __init__(self, found: Ranges) -> None:
        self.found = found
        self.values = found._values
        self.results: dict[str, list[Range] | None] = {}
        """What breaks bring to each open label; None before the first."""
        self.again: dict[str, list[Range] | None] = {}
        self.steps = 0

    def get(self, value: Value, facts: _Facts) -> Range:
        return facts.get(value) or self.found.of(value)

    def region(self, region: Region, facts: _Facts, path: _Path) -> tuple[_Facts, list[Range], _Path] | None:
        """The facts at a region's ``yield`` and what it yields; None where it ends in another way."""
        for op in region.operations:
            self.steps += 1
            ranges = [self.get(value, facts) for value in op.operands]
            match op.name:
                case "yield":
                    return facts, ranges, path
                case "break":
                    self.merge(self.results, op.label, ranges)
                    return None
                case "continue":
                    self.merge(self.again, op.label, ranges)
                    return None
                case "return" | "trap":
                    return None
                case "if":
                    after = self.branch(op, facts, path)
                    if after is None:
                        return None
                    facts, path = after
                case "switch":
                    self.switch(op, facts, path)
                case "block":
                    self.block(op, facts, path)
                case "loop":
                    self.loop(op, ranges, facts, path)
                case _:
                    self.step(op, ranges, facts, path)
        return None

    def merge(self, into: dict[str, list[Range] | None], label: str, ranges: list[Range]) -> None:
        before = into.get(label)
        into[label] = ranges if before is None else [a.join(b) for a, b in zip(before, ranges, strict=True)]

    def define(self, op: Op, ranges: list[Range]) -> None:
        for value, found in zip(op.results, ranges, strict=True):
            self.values[value] = found
            self.found.definitions[value] = op

    def branch(self, op: Op, facts: _Facts, path: _Path) -> tuple[_Facts, _Path] | None:
        condition = op.operands[0]
        ends = []
        for region, truth in zip(op.regions, (True, False), strict=True):
            inner = self.refine(condition, truth, dict(facts))
            if inner is None:
                continue  # no lane takes this way
            end = self.region(region, inner, (*path, (condition, truth)))
            if end is not None:
                ends.append((end, truth))
        if not ends:
            self.define(op, [whole(value.type) for value in op.results])
            return None
        (first, _, way), *others = [end for end, _ in ends]
        results = ends[0][0][1]
        if others:
            other, more, _ = others[0]
            self.define(op, [a.join(b) for a, b in zip(results, more, strict=True)])
            return {value: first[value].join(other[value]) for value in first.keys() & other.keys()}, path
        self.define(op, results)
        # Only one way goes on: what was true on it is true from here.
        return first, way

    def switch(self, op: Op, facts: _Facts, path: _Path) -> None:
        chosen = op.operands[0]
        found: list[Range] | None = None
        for place, region in enumerate(op.regions):
            inner = dict(facts)
            if place < len(op.cases):
                inner[chosen] = self.get(chosen, facts).meet(op.cases[place], op.cases[place])
            end = self.region(region, inner, path)
            if end is not None:
                found = end[1] if found is None else [a.join(b) for a, b in zip(found, end[1], strict=True)]
        self.define(op, found or [whole(value.type) for value in op.results])

    def block(self, op: Op, facts: _Facts, path: _Path) -> None:
        self.results[op.label] = None
        end = self.region(op.regions[0], dict(facts), path)
        found = self.results.pop(op.label)
        if end is not None:
            found = end[1] if found is None else [a.join(b) for a, b in zip(found, end[1], strict=True)]
        self.define(op, found or [whole(value.type) for value in op.results])

    def loop(self, op: Op, starts: list[Range], facts: _Facts, path: _Path) -> None:
        anything = [whole(value.type) for value in op.regions[0].parameters]
        now = anything if self.is_tired else self.fixpoint(op, starts, facts, path)
        # Rounds before and after the walk gave up differ in what they know: only the whole type holds for both.
        self.round(op, anything if self.is_tired else now, facts, path)
        self.define(op, self.results.pop(op.label) or [whole(value.type) for value in op.results])

    @property
    def is_tired(self) -> bool:
        """Whether the walk has visited so many operations that loops get no rounds any more."""
        return self.steps > _MOST_STEPS

    def fixpoint(self, op: Op, starts: list[Range], facts: _Facts, path: _Path) -> list[Range]:
        """Ranges of a loop's parameters that hold at the start of each round."""
        parameters = op.regions[0].parameters
        # What a round changes is no fact of the next; outer values do not change.
        now = list(starts)
        for turn in range(_ROUNDS + len(parameters) + 2):
            again = self.round(op, now, facts, path)
            wider = [a.join(b) for a, b in zip(now, again, strict=True)] if again else now
            if turn >= _ROUNDS:
                wider = [self.widen(a, b, value.type) for a, b, value in zip(now, wider, parameters, strict=True)]
            if wider == now:
                break
            now = wider
        else:
            return [whole(value.type) for value in parameters]
        for _ in range(2):
            again = self.round(op, now, facts, path)
            now = [a.join(b) for a, b in zip(starts, again, strict=True)] if again else list(starts)
        return now

    def round(self, op: Op, now: list[Range], facts: _Facts, path: _Path) -> list[Range] | None:
        for value, found in zip(op.regions[0].parameters, now, strict=True):
            self.values[value] = found
        self.results[op.label] = self.again[op.label] = None
        self.region(op.regions[0], dict(facts), path)
        return self.again.pop(op.label)

    @staticmethod
    def widen(old: Range, new: Range, kind: Type) -> Range:
        limits = whole(kind)
        low = old.low if new.low >= old.low else limits.low
        high = old.high if new.high <= old.high else limits.high
        return Range(low, high, old.below & new.below)

    def step(self, op: Op, ranges: list[Range], facts: _Facts, path: _Path) -> None:
        if op.is_access:
            self.found.accesses[op] = Access(op, ranges[0], path)
        for value in op.results:
            # A call may have several results, and any number in each.
            found = self.transfer(op, ranges, facts) if len(op.results) == 1 and value.type.is_integer else None
            self.values[value] = found or whole(value.type)
            self.found.definitions[value] = op

    def transfer(self, op: Op, ranges: list[Range], facts: _Facts) -> Range | None:
        """The range of an integer result; None: its whole type."""
        kind = op.result.type
        match op.name:
            case "const":
                assert isinstance(op.literal, int)
                return Range(op.literal, op.literal)
            case "length":
                assert op.memory is not None
                size = op.memory.length if op.memory.space is not Space.BUFFER else None
                return Range(0, MAX_LENGTH) if size is None else Range(size, size)
            case "local_id":
                return Range(0, (self.found.group or MAX_GROUP) - 1)
            case "global_id" | "group_id" | "group_count" | "lane_count":
                return Range(0, MAX_LANES - (op.name in ("global_id", "group_id")))
            case "group_size":
                return Range(self.found.group or 1, self.found.group or MAX_GROUP)
            case "clz" | "ctz" | "popcount":
                return Range(0, kind.bits)
            case "select":
                return ranges[1].join(ranges[2])
        if not op.operands:
            return None
        if not all(value.type.is_integer for value in op.operands):
            return Range(0, 1) if op.name == "convert" and op.operands[0].type is Type.BOOL else None
        return arithmetic(op.name, kind, ranges)

    def refine(self, condition: Value, truth: bool, facts: _Facts) -> _Facts | None:
        """The facts where `condition` is `truth`; None where it cannot be."""
        op = self.found.definitions.get(condition)
        if op is None:
            return facts
        if op.name == "not":
            return self.refine(op.operands[0], not truth, facts)
        if (op.name, truth) in (("and", True), ("or", False)):
            inner = self.refine(op.operands[0], truth, facts)
            return inner if inner is None else self.refine(op.operands[1], truth, inner)
        if op.name not in _FLIPPED or not op.operands[0].type.is_integer:
            return facts
        name = op.name if truth else _NEGATED[op.name]
        a, b = op.operands
        if not self.bound(name, a, b, facts) or not self.bound(_FLIPPED[name], b, a, facts):
            return None
        return facts

    def bound(self, name: str, a: Value, b: Value, facts: _Facts) -> bool:
        """Note what ``a NAME b`` says of `a`; whether it can hold at all."""
        old, other = self.get(a, facts), self.get(b, facts)
        new = old
        if name == "lt":
            new = old.meet(old.low, other.high - 1)
            new = replace(new, below=new.below | other.below | self.lengths(b))
        elif name == "le":
            new = replace(old.meet(old.low, other.high), below=old.below | other.below)
        elif name == "gt":
            new = old.meet(other.low + 1, old.high)
        elif name == "ge":
            new = old.meet(other.low, old.high)
        elif name == "eq":
            new = replace(old.meet(other.low, other.high), below=old.below | other.below)
        elif name == "ne" and other.low == other.high:
            new = old.meet(old.low + (old.low == other.low), old.high - (old.high == other.high))
        facts[a] = new
        return new.low <= new.high

    def lengths(self, value: Value) -> frozenset[Memory]:
        """The memory whose length a value is, through conversions that keep it."""
        op = self.found.definitions.get(value)
        while (
            op is not None
            and op.name in ("convert", "bitcast")
            and self.found.of(op.operands[0]).high <= op.result.type.greatest
        ):
            op = self.found.definitions.get(op.operands[0])
        return frozenset([op.memory]) if op is not None and op.name == "length" and op.memory else frozenset()


_FLIPPED = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq", "ne": "ne"}
_NEGATED = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt", "eq": "ne", "ne": "eq"}


def arithmetic(name: str, kind: Type, ranges: list[Range]) -> Range | None:
    """The range of an integer operation; None: the whole type, as where it may wrap."""
    a = ranges[0]
    b = ranges[1] if len(ranges) > 1 else a
    below: frozenset[Memory] = frozenset()
    match name:
        case "add":
            low, high = a.low + b.low, a.high + b.high
            below = a.below if b.high <= 0 else b.below if a.high <= 0 else below
        case "sub":
            low, high = a.low - b.high, a.high - b.low
            below = a.below if b.low >= 0 else below
        case "mul":
            corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
            low, high = min(corners), max(corners)
        case "div" if b.low > 0:
            corners = [_quotient(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
            low, high = min(corners), max(corners)
            below = a.below if a.low >= 0 else below
        case "rem" if b.low > 0:
            high = min(b.high - 1, max(a.high, 0))
            low = 0 if a.low >= 0 else max(-(b.high - 1), a.low)
            below = a.below if a.low >= 0 else below
        case "min":
            low, high, below = min(a.low, b.low), min(a.high, b.high), a.below | b.below
        case "max":
            low, high, below = max(a.low, b.low), max(a.high, b.high), a.below & b.below
        case "and" if a.low >= 0 or b.low >= 0:
            highs = [x.high for x in (a, b) if x.low >= 0]
            low, high = 0, min(highs)
            below = frozenset().union(*(x.below for x in (a, b) if x.low >= 0))
        case "or" | "xor" if a.low >= 0 and b.low >= 0:
            low, high = 0, (1 << max(a.high, b.high).bit_length()) - 1
        case "shl" if 0 <= b.low and b.high < kind.bits:
            corners = [x << y for x in (a.low, a.high) for y in (b.low, b.high)]
            low, high = min(corners), max(corners)
        case "shr" if 0 <= b.low and b.high < kind.bits:
            corners = [x >> y for x in (a.low, a.high) for y in (b.low, b.high)]
            low, high = min(corners), max(corners)
            below = a.below if a.low >= 0 else below
        case "neg":
            low, high = -a.high, -a.low
        case "abs":
            low = 0 if a.low <= 0 <= a.high else min(abs(a.low), abs(a.high))
            high = max(abs(a.low), abs(a.high))
        case "convert" | "bitcast":
            low, high, below = a.low, a.high, a.below
        case _:
            return None
    return Range(low, high, below) if kind.least <= low and high <= kind.greatest else None


def _quotient(a: int, b: int) -> int:
    return a // b if a >= 0 else -(-a // b)
