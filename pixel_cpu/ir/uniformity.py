"""Which values are the same in all lanes of a group, and which follow the lane's number.

A forward analysis over the structured program, repeated until nothing changes. A value has one of three shapes:

``UNIFORM``
    the same in every lane of the group that computes it
``LINEAR``
    a uniform value plus the lane's number in its group: neighbours differ by one, so that memory at it is contiguous
``VARYING``
    anything else

Control flow is uniform where all lanes of a group that came to a place go the same way from it. `break`, `continue` and `return`
under varying control make what follows them varying, until the region that they leave ends. A lane that a trap ended is no lane of
its group any more: nobody waits for it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from ..errors import IrError
from .model import Function, Kernel, Module, Op, Region, Space, Value, reachable, walk


class Shape(enum.IntEnum):
    """How a value differs between the lanes of a group."""

    UNIFORM = 0
    LINEAR = 1
    VARYING = 2


_SAME = {"global_id": Shape.LINEAR, "local_id": Shape.LINEAR, "group_id": Shape.UNIFORM}


class Uniformity:
    """The shapes of a kernel's values and the uniformity of its control flow.

    `is_uniform_at` holds for an operation that all lanes of a group reach or none. Functions are analysed for each kernel with
    parameters that vary.
    """

    def __init__(self, module: Module, kernel: Kernel) -> None:
        self._shapes: dict[Value, Shape] = {value: Shape.UNIFORM for value in kernel.parameters}
        self._varying_ops: set[Op] = set()
        for function in reachable(module, kernel):
            self._shapes.update(dict.fromkeys(function.parameters, Shape.VARYING))
            _Pass(self, function).run()
        _Pass(self, kernel).run()

    def shape(self, value: Value) -> Shape:
        """The shape of a value."""
        return self._shapes.get(value, Shape.UNIFORM)

    def is_uniform_at(self, op: Op) -> bool:
        """Whether all lanes of a group reach the operation together."""
        return op not in self._varying_ops

    def raise_to(self, value: Value, shape: Shape) -> bool:
        """Note that a value has at least this shape; whether that is news."""
        if self._shapes.get(value, Shape.UNIFORM) >= shape:
            return False
        self._shapes[value] = shape
        return True


class _Pass:
    def __init__(self, found: Uniformity, unit: Kernel | Function) -> None:
        self.found, self.unit = found, unit
        self.labels: dict[str, Op] = {}
        self.is_split: dict[str, bool] = {}
        """Labels that some lanes left while others stayed."""
        self.has_returned = False

    def run(self) -> None:
        is_varying = isinstance(self.unit, Function)
        while self.region(self.unit.body, is_varying, ()):
            self.has_returned = False

    def region(self, region: Region, is_varying: bool, results: Sequence[Value]) -> bool:
        """Analyse one region; whether anything was news. `results` are what a ``yield`` in it defines."""
        news = False
        for op in region.operations:
            # Lanes that left a region around this one may be missing here.
            is_varying = is_varying or self.has_returned or any(self.is_split.values())
            if is_varying and op not in self.found._varying_ops:
                self.found._varying_ops.add(op)
                news = True
            news |= self.op(op, is_varying, results)
        return news

    def op(self, op: Op, is_varying: bool, results: Sequence[Value]) -> bool:
        shapes = [self.found.shape(value) for value in op.operands]
        worst = max(shapes, default=Shape.UNIFORM)
        match op.name:
            case "yield":
                return self.join(results, op.operands, is_varying)
            case "break" | "continue":
                target = self.labels[op.label]
                onto = target.results if op.name == "break" else target.regions[0].parameters
                self.is_split[op.label] |= is_varying
                # A lane that leaves early has another value than one that stays.
                return self.join(onto, op.operands, is_varying)
            case "return":
                self.has_returned |= is_varying
                return False
            case "trap":
                return False
            case "if" | "switch":
                varies = is_varying or worst is not Shape.UNIFORM
                news = False
                for region in op.regions:
                    news |= self.region(region, varies, op.results)
                if worst is not Shape.UNIFORM:
                    news |= self.lift(op.results)
                return news
            case "block" | "loop":
                return self.labelled(op, is_varying)
        if op.name in ("call", "host_call"):
            return self.lift(op.results)
        if op.memory is not None and op.name != "length":
            return self.access(op, shapes)
        shape = self.shape_of(op, shapes)
        news = False
        for value in op.results:
            news |= self.found.raise_to(value, shape)
        return news

    def access(self, op: Op, shapes: Sequence[Shape]) -> bool:
        # Only memory that nobody writes, at one index, gives all lanes one value for certain.
        assert op.memory is not None
        same = (
            op.name == "load"
            and shapes[0] is Shape.UNIFORM
            and (op.memory.space is Space.WORKGROUP or not op.memory.is_writable)
        )
        return False if same else self.lift(op.results)

    def labelled(self, op: Op, is_varying: bool) -> bool:
        self.labels[op.label] = op
        self.is_split[op.label] = False
        news = False
        if op.name == "loop":
            news |= self.join(op.regions[0].parameters, op.operands, False)
        while True:
            was_split = self.is_split[op.label]
            inner = self.region(op.regions[0], is_varying or was_split, op.results)
            news |= inner
            if not inner and self.is_split[op.label] == was_split:
                break
        if self.is_split[op.label]:
            news |= self.lift(op.results) | self.lift(op.regions[0].parameters)
            if news:
                self.region(op.regions[0], True, op.results)
        del self.labels[op.label], self.is_split[op.label]
        return news

    def join(self, onto: Sequence[Value], values: Sequence[Value], is_varying: bool) -> bool:
        news = False
        for target, value in zip(onto, values, strict=True):
            shape = self.found.shape(value)
            # Two linear values that meet under one condition are each contiguous, but not their mixture.
            news |= self.found.raise_to(target, Shape.VARYING if is_varying and shape is not Shape.UNIFORM else shape)
        return news

    def lift(self, values: Sequence[Value]) -> bool:
        news = False
        for value in values:
            news |= self.found.raise_to(value, Shape.VARYING)
        return news

    @staticmethod
    def shape_of(op: Op, shapes: Sequence[Shape]) -> Shape:
        if op.name in _SAME:
            return _SAME[op.name]
        worst = max(shapes, default=Shape.UNIFORM)
        if worst is not Shape.LINEAR:
            return worst
        if op.name == "add" and shapes.count(Shape.LINEAR) == 1 and not op.result.type.is_float:
            return Shape.LINEAR
        if op.name == "sub" and shapes == [Shape.LINEAR, Shape.UNIFORM] and not op.result.type.is_float:
            return Shape.LINEAR
        # Lane numbers are below 1024: a conversion between integers of 32 bits and more keeps the step, modulo the width.
        if (
            op.name in ("convert", "bitcast")
            and op.result.type.is_integer
            and op.result.type.bits == op.operands[0].type.bits == 32
        ):
            return Shape.LINEAR
        return Shape.VARYING


def check_barriers(module: Module, kernel: Kernel) -> None:
    """Raise `IrError` where lanes of one group may part before a barrier."""
    if not any(op.name == "barrier" for op in walk(kernel.body)):
        return
    found = Uniformity(module, kernel)
    for op in walk(kernel.body):
        if op.name == "barrier" and not found.is_uniform_at(op):
            line = f" (line {op.line})" if op.line else ""
            raise IrError(
                f"kernel {kernel.name}: barrier{line}: uniformity: lanes of one group may part before it; "
                "move it out of branches, loops and early exits that depend on the lane"
            )
