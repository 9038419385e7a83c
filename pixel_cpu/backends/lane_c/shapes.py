"""How values differ between lanes that run in step, for a kernel without calls.

`ir.uniformity` says what all lanes of a group share. Here only those lanes count that are at a place together: under a varying
condition a loop's counter is still one number for the lanes that go round, and stays one though some have left. Lanes that part
come together again at the end of the region that parted them, so that what varies is

- the results of a branch on a varying condition, and of a block or loop that is *split*: whose lanes leave it, or go round, apart;
- what is brought to the next way round such a loop from more than one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...ir.model import Kernel, Op, Region, Value, walk
from ...ir.uniformity import Shape, shape_of

MAX_PASSES = 30
"""Passes over a kernel before everything counts as varying; real ones take two to five."""


@dataclass(eq=False)
class _Label:
    """A block or loop that is open."""

    op: Op
    depth: int
    """Places around it where lanes part."""
    breaks: list[Op] = field(default_factory=list)
    continues: list[Op] = field(default_factory=list)


class Shapes:
    """The shapes of a kernel's values, and which blocks and loops are split."""

    def __init__(self, kernel: Kernel) -> None:
        self._shapes: dict[Value, Shape] = dict.fromkeys(kernel.parameters, Shape.UNIFORM)
        self._split: set[Op] = set()
        self._parted: set[Op] = set()
        self._labels: list[_Label] = []
        self._depth = 0
        for _ in range(MAX_PASSES):
            self._is_news = False
            self._region(kernel.body, ())
            if not self._is_news:
                return
        for op in walk(kernel.body):
            self._split.add(op)
            self._parted.add(op)
            self._lift(op.results)
            for region in op.regions:
                self._lift(region.parameters)

    def shape(self, value: Value) -> Shape:
        """The shape of a value; of one that no lane ever computes, uniform."""
        return self._shapes.get(value, Shape.UNIFORM)

    def is_split(self, op: Op) -> bool:
        """Whether lanes that enter a ``block`` or ``loop`` together part inside it, and meet at its end."""
        return op in self._split

    def is_parted(self, op: Op) -> bool:
        """Whether a ``continue`` is reached by some of the lanes that still run, and not by others with them."""
        return op in self._parted

    def _join(self, value: Value, shape: Shape | None) -> None:
        """Note that a value may have this shape; None: not known yet."""
        known = self._shapes.get(value)
        if shape is None or known is shape or known is Shape.VARYING:
            return
        # What is uniform at one time and linear at another is neither.
        self._shapes[value] = shape if known is None else Shape.VARYING
        self._is_news = True

    def _move(self, onto: Sequence[Value], values: Sequence[Value]) -> None:
        for target, value in zip(onto, values, strict=True):
            self._join(target, self._shapes.get(value))

    def _lift(self, values: Sequence[Value]) -> None:
        for value in values:
            self._join(value, Shape.VARYING)

    def _region(self, region: Region, results: Sequence[Value]) -> None:
        """Analyse a region whose ``yield`` defines `results`."""
        for op in region.operations:
            match op.name:
                case "yield":
                    self._move(results, op.operands)
                case "break" | "continue":
                    self._leave(op)
                case "if" | "switch":
                    self._branch(op)
                case "block" | "loop":
                    self._labelled(op)
                case _ if op.results:
                    shape = self._shape_of(op)
                    for value in op.results:
                        self._join(value, shape)

    def _leave(self, op: Op) -> None:
        label = next(label for label in reversed(self._labels) if label.op.label == op.label)
        if op.name == "continue" and self._depth:
            self._parted.add(op)
        if self._depth > label.depth and label.op not in self._split:
            self._split.add(label.op)
            self._is_news = True
        (label.breaks if op.name == "break" else label.continues).append(op)

    def _branch(self, op: Op) -> None:
        parts = self._shapes.get(op.operands[0]) in (Shape.LINEAR, Shape.VARYING)
        self._depth += parts
        for region in op.regions:
            self._region(region, op.results)
        self._depth -= parts
        if parts:
            self._lift(op.results)

    def _labelled(self, op: Op) -> None:
        parameters = op.regions[0].parameters
        self._move(parameters, op.operands)
        label = _Label(op, self._depth)
        is_split = op in self._split
        self._labels.append(label)
        self._depth += is_split
        self._region(op.regions[0], op.results)
        self._depth -= is_split
        self._labels.pop()
        for site in label.breaks:
            self._move(op.results, site.operands)
        for site in label.continues:
            self._move(parameters, site.operands)
        if op in self._split:
            self._lift(op.results)
            for place, parameter in enumerate(parameters):
                if len({site.operands[place] for site in label.continues}) > 1 or is_left_inside(op):
                    self._lift([parameter])

    def _shape_of(self, op: Op) -> Shape | None:
        """The shape of the results of an operation without regions; None where an operand has none yet."""
        shapes = [self._shapes.get(value) for value in op.operands]
        known = [shape for shape in shapes if shape is not None]
        return shape_of(op, known) if len(known) == len(shapes) else None


def continues_of(loop: Op, region: Region) -> list[Op]:
    """The places in a region that go round a loop again."""
    return [op for op in walk(region) if op.name == "continue" and op.label == loop.label]


def is_left_inside(loop: Op) -> bool:
    """Whether lanes go round a loop again from a loop inside it, and so one after another."""
    return any(continues_of(loop, op.regions[0]) for op in walk(loop.regions[0]) if op.name == "loop")
