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
from .operations import OPERATIONS


class Shape(enum.IntEnum):
    """How a value differs between the lanes of a group."""

    UNIFORM = 0
    LINEAR = 1
    VARYING = 2


_IDS = {"global_id": Shape.LINEAR, "local_id": Shape.LINEAR}
_MOST_PASSES = 30
"""Passes before the analysis gives up and calls everything varying; real programs take two to five."""
_RETURNED = 1
"""The bit of lanes that returned; bit 1 and up are the labels that are open, from outside in."""


class Uniformity:
    """The shapes of a kernel's values and the uniformity of its control flow.

    `is_uniform_at` holds for an operation that all lanes of a group reach or none. Functions are analysed with parameters that
    vary; `has_functions` leaves them out.
    """

    def __init__(self, module: Module, kernel: Kernel, *, has_functions: bool = True) -> None:
        self._shapes: dict[Value, Shape] = {value: Shape.UNIFORM for value in kernel.parameters}
        self._varying_ops: set[Op] = set()
        for function in reachable(module, kernel) if has_functions else ():
            self._shapes.update(dict.fromkeys(function.parameters, Shape.VARYING))
            _Analysis(self, function).run()
        _Analysis(self, kernel).run()

    def shape(self, value: Value) -> Shape:
        """The shape of a value; of one that no lane ever computes, uniform."""
        return self._shapes.get(value, Shape.UNIFORM)

    def is_uniform_at(self, op: Op) -> bool:
        """Whether all lanes of a group reach the operation together."""
        return op not in self._varying_ops

    def join(self, value: Value, shape: Shape) -> bool:
        """Note that a value may have this shape; whether that is news."""
        known = self._shapes.get(value)
        # What is uniform at one time and linear at another is neither.
        joined = shape if known in (None, shape) else Shape.VARYING
        self._shapes[value] = joined
        return joined is not known

    def note_varying(self, op: Op) -> bool:
        """Note that lanes of a group may reach an operation apart; whether that is news."""
        if op in self._varying_ops:
            return False
        self._varying_ops.add(op)
        return True


class _Analysis:
    """The analysis of one kernel or function.

    `gone` stands for the lanes that may be missing at a place because they left before it: a bit for each label that they left
    for, and one for those that returned.
    """

    def __init__(self, found: Uniformity, unit: Kernel | Function) -> None:
        self.found, self.unit = found, unit
        self.labels: list[Op] = []
        self.gone_after: dict[Op, int] = {}
        """What was gone at the end of a loop's region, and so may be gone at its start."""
        self.is_news = False

    def run(self) -> None:
        for _ in range(_MOST_PASSES):
            self.is_news = False
            self.region(self.unit.body, isinstance(self.unit, Function), (), 0)
            if not self.is_news:
                return
        for op in walk(self.unit.body):
            self.found.note_varying(op)
            self.lift(op.results)
            for region in op.regions:
                self.lift(region.parameters)

    def region(self, region: Region, is_varying: bool, results: Sequence[Value], gone: int) -> int:
        """Analyse a region whose ``yield`` defines `results`; gives what is gone at its end."""
        for op in region.operations:
            varies = is_varying or gone != 0
            if varies:
                self.is_news |= self.found.note_varying(op)
            gone = self.op(op, varies, results, gone)
        return gone

    def op(self, op: Op, is_varying: bool, results: Sequence[Value], gone: int) -> int:
        match op.name:
            case "yield":
                self.move(results, op.operands, is_varying)
            case "break" | "continue":
                place = next(place for place, label in enumerate(self.labels) if label.label == op.label)
                target = self.labels[place]
                onto = target.results if op.name == "break" else target.regions[0].parameters
                self.move(onto, op.operands, is_varying)
                return gone | (is_varying << (place + 1))
            case "return":
                return gone | (_RETURNED if is_varying else 0)
            case "if" | "switch":
                is_same = self.found.shape(op.operands[0]) is Shape.UNIFORM
                left = gone
                for region in op.regions:
                    left |= self.region(region, is_varying or not is_same, op.results, gone)
                if not is_same:
                    self.lift(op.results)
                return left
            case "block" | "loop":
                return self.labelled(op, is_varying, gone)
            case _:
                shapes = [self.found.shape(value) for value in op.operands]
                for value in op.results:
                    self.is_news |= self.found.join(value, shape_of(op, shapes))
        return gone

    def labelled(self, op: Op, is_varying: bool, gone: int) -> int:
        bit = 1 << (len(self.labels) + 1)
        if op.name == "loop":
            self.move(op.regions[0].parameters, op.operands, False)
        self.labels.append(op)
        left = self.region(op.regions[0], is_varying, op.results, gone | self.gone_after.get(op, 0))
        self.labels.pop()
        if op.name == "loop" and left != self.gone_after.get(op, 0):
            self.gone_after[op] = left
            self.is_news = True
        if left & bit:
            # Lanes come out at different times, or go round with different values.
            self.lift(op.results)
            self.lift(op.regions[0].parameters)
        return left & ~bit

    def move(self, onto: Sequence[Value], values: Sequence[Value], is_varying: bool) -> None:
        for target, value in zip(onto, values, strict=True):
            shape = self.found.shape(value)
            # Lanes that come here apart each have a linear value, but not of one line.
            self.is_news |= self.found.join(
                target, Shape.VARYING if is_varying and shape is not Shape.UNIFORM else shape
            )

    def lift(self, values: Sequence[Value]) -> None:
        for value in values:
            self.is_news |= self.found.join(value, Shape.VARYING)


def shape_of(op: Op, shapes: Sequence[Shape]) -> Shape:
    """The shape of the results of an operation without regions, from those of its operands."""
    if op.name in _IDS:
        return _IDS[op.name]
    if OPERATIONS[op.name].effect == "control":
        return Shape.VARYING
    worst = max(shapes, default=Shape.UNIFORM)
    if op.is_access:
        # Memory that nobody writes at the same time, at one index, gives all lanes one value.
        assert op.memory is not None
        is_steady = op.memory.space is Space.WORKGROUP or not op.memory.is_writable
        return Shape.UNIFORM if op.name == "load" and is_steady and worst is Shape.UNIFORM else Shape.VARYING
    if worst is not Shape.LINEAR:
        return worst
    if op.result.type.is_integer and (
        (op.name == "add" and shapes.count(Shape.LINEAR) == 1)
        or (op.name == "sub" and list(shapes) == [Shape.LINEAR, Shape.UNIFORM])
    ):
        return Shape.LINEAR
    # Modulo 2**32, in which both types count, the step stays one.
    is_word = op.result.type.is_integer and op.result.type.bits == op.operands[0].type.bits == 32
    return Shape.LINEAR if op.name in ("convert", "bitcast") and is_word else Shape.VARYING


def check_barriers(module: Module, kernel: Kernel) -> None:
    """Raise `IrError` where lanes of one group may part before a barrier."""
    if not any(op.name == "barrier" for op in walk(kernel.body)):
        return
    found = Uniformity(module, kernel, has_functions=False)
    for op in walk(kernel.body):
        if op.name == "barrier" and not found.is_uniform_at(op):
            raise IrError(
                "lanes of one group may part before it; move it out of branches, loops and early exits that depend on the lane",
                unit=f"kernel {kernel.name}",
                op=op.name,
                line=op.line,
                rule="uniformity",
            )
