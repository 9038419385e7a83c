"""Building a program: operations are appended to the region that is open, with result types from the table."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from .bits import from_bits, rounded
from .model import Bounds, Memory, Op, Region, Value
from .operations import TERMINATORS
from .signatures import result_type
from .types import Type


class Builder:
    """Appends operations to a region.

    `line` is the line of the source that the next operations come from, `bounds` what their accesses do outside::

        build = Builder(body)
        i = build.value("global_id")
        build.store(y, i, build.value("mul", a, build.load(x, i)))
        build.end("return")
    """

    def __init__(self, region: Region, bounds: Bounds = Bounds.TRAP) -> None:
        self._region = region
        self._labels = 0
        self.line: int | None = None
        self.bounds = bounds

    @property
    def is_ended(self) -> bool:
        """Whether the open region has its terminator."""
        operations = self._region.operations
        return bool(operations) and operations[-1].name in TERMINATORS

    def append(self, op: Op) -> Op:
        """Append an operation as it is."""
        if op.line is None:
            op.line = self.line
        self._region.operations.append(op)
        return op

    def value(self, name: str, *operands: Value, type: Type | None = None, hint: str = "") -> Value:
        """Append an operation with one result. `type` states it where the operands do not; `hint` names the value for people."""
        kind = result_type(name, [operand.type for operand in operands], type)
        assert kind is not None, f"{name} has no result"
        return self.append(Op(name, operands, (Value(kind, hint),))).result

    def const(self, type: Type, literal: int | float | bool) -> Value:
        """Append a literal; integers are taken modulo the width of their type, floats are rounded to it."""
        if type.is_integer:
            literal = from_bits(int(literal), type)
        elif type.is_float:
            literal = rounded(literal, type)
        return self.append(Op("const", (), (Value(type),), literal=literal)).result

    def length(self, memory: Memory) -> Value:
        """Append the number of elements of `memory`, a `u32`."""
        return self.append(Op("length", (), (Value(Type.U32),), memory=memory)).result

    def load(self, memory: Memory, index: Value, type: Type | None = None, hint: str = "") -> Value:
        """Append a read of an element, or of wider values of a byte memory."""
        result = Value(type or memory.element, hint)
        return self.append(Op("load", (index,), (result,), memory=memory, bounds=self.bounds)).result

    def store(self, memory: Memory, index: Value, value: Value) -> None:
        """Append a write of an element."""
        self.append(Op("store", (index, value), memory=memory, bounds=self.bounds))

    def atomic(self, name: str, memory: Memory, index: Value, *values: Value) -> Value:
        """Append ``atomic_add`` and its kin; gives the old value."""
        result = Value(memory.element)
        return self.append(Op(name, (index, *values), (result,), memory=memory, bounds=self.bounds)).result

    def new_label(self, stem: str = "L") -> str:
        """A label that no other operation of this builder has."""
        self._labels += 1
        return f"{stem}{self._labels}"

    @contextlib.contextmanager
    def inside(self, region: Region) -> Iterator[Region]:
        """Append to `region` meanwhile."""
        outer, self._region = self._region, region
        try:
            yield region
        finally:
            self._region = outer

    def move_to(self, region: Region) -> None:
        """Append to `region` from here on."""
        self._region = region

    def branch(
        self,
        name: str,
        operands: Sequence[Value],
        regions: Sequence[Region],
        types: Sequence[Type] = (),
        *,
        label: str = "",
        cases: Sequence[int] = (),
    ) -> tuple[Value, ...]:
        """Append ``if``, ``switch``, ``block`` or ``loop`` with regions that are built already; gives its results."""
        results = tuple(Value(kind) for kind in types)
        op = Op(name, tuple(operands), results, tuple(regions), label=label, cases=tuple(cases))
        return self.append(op).results

    def if_(
        self,
        condition: Value,
        then: Callable[[], Iterable[Value]] = tuple,
        otherwise: Callable[[], Iterable[Value]] = tuple,
    ) -> tuple[Value, ...]:
        """Append an ``if``. A side builds its operations and gives what it yields, unless it ended by itself; gives the results."""
        regions, kinds = [], list[Type]()
        for side in (then, otherwise):
            region = Region()
            with self.inside(region):
                values = tuple(side())
                if not self.is_ended:
                    self.end("yield", *values)
                    kinds = [value.type for value in values]
            regions.append(region)
        return self.branch("if", [condition], regions, kinds)

    def while_(
        self,
        starts: Sequence[Value],
        condition: Callable[[tuple[Value, ...]], Value],
        body: Callable[[tuple[Value, ...]], Iterable[Value]],
        *,
        local: int = 0,
        label: str = "",
    ) -> tuple[Value, ...]:
        """Append a loop over values of its own, which begin as `starts`; gives them as they are when `condition` is false.

        Both get the values of a round; `body` gives those of the next, unless it ended by itself. The first `local` of them are not
        among the results. `label` is that of jumps in the body.
        """
        label = label or self.new_label()
        own = tuple(Value(start.type) for start in starts)
        region = Region(parameters=own)

        def leave() -> tuple[Value, ...]:
            self.end("break", *own[local:], label=label)
            return ()

        with self.inside(region):
            self.if_(condition(own), otherwise=leave)
            following = tuple(body(own))
            if not self.is_ended:
                self.end("continue", *following, label=label)
        return self.branch("loop", starts, [region], [value.type for value in own[local:]], label=label)

    def call(self, function: str, operands: Sequence[Value], types: Sequence[Type]) -> tuple[Value, ...]:
        """Append a call of a function of the module."""
        return self.append(Op("call", tuple(operands), tuple(Value(kind) for kind in types), text=function)).results

    def end(self, name: str, *operands: Value, label: str = "", text: str = "", fuel: int = 1) -> None:
        """Append a terminator: ``yield``, ``break``, ``continue``, ``return``, ``trap``."""
        self.append(Op(name, operands, label=label, text=text, fuel=fuel))

    def barrier(self) -> None:
        """Append a wait for the other lanes of the group."""
        self.append(Op("barrier"))

    def print(self, text: str, *operands: Value) -> None:
        """Append a line for debugging."""
        self.append(Op("print", operands, text=text))
