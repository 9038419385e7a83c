"""A kernel divided at its barriers: what a group's lanes do one after another, and the control flow around it.

A *segment* is what stands between barriers. An operation that holds a barrier is uniform: all lanes of a group go through it
together, *around* further segments. A value that one segment defines and another uses is *kept* for each lane. Lanes that leave a
block around segments alone, which may happen after its last barrier, are *parked* until the others have come to its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ...ir.model import Kernel, Module, Op, Region, Value, walk
from ...ir.uniformity import Uniformity


@dataclass
class Segment:
    """Operations between barriers; at their end `brings` become `onto`, and the lanes go on as `leaves`, a terminator, says."""

    operations: list[Op] = field(default_factory=list)
    onto: tuple[Value, ...] = ()
    brings: tuple[Value, ...] = ()
    leaves: Op | None = None

    @property
    def is_empty(self) -> bool:
        """Whether lanes do nothing in it."""
        return not self.operations and not self.onto and not self.burns

    @property
    def burns(self) -> bool:
        """Whether its end takes fuel."""
        return self.leaves is not None and self.leaves.name == "continue"


@dataclass
class Around:
    """An operation that holds segments."""

    op: Op
    inside: list[list[Segment | Around]]


Items = list[Segment | Around]


def divide(kernel: Kernel) -> Items:
    """The segments of a kernel without calls, in order, and what stands around them; one segment where there is no barrier."""
    return _Divider(_find_around(kernel)).region(kernel.body, None)


def _find_around(kernel: Kernel) -> set[Op]:
    """What holds a barrier, or lets all lanes leave together for the end or the next turn of what does."""
    around: set[Op] = set()
    outer = [op for op in walk(kernel.body) if op.regions]
    if not any(op.name == "barrier" for op in walk(kernel.body)):
        return around
    uniformity = Uniformity(Module({kernel.name: kernel}), kernel, has_functions=False)
    size = -1
    while size != len(around):
        size = len(around)
        labels = {op.label for op in around if op.label}
        for op in outer:
            if any(
                inner.name == "barrier" or (_leaves(inner, labels) and uniformity.is_uniform_at(inner))
                for region in op.regions
                for inner in walk(region)
            ):
                around.add(op)
    return around


def _leaves(op: Op, labels: set[str]) -> bool:
    return op.name in ("break", "continue") and op.label in labels


class _Divider:
    def __init__(self, around: set[Op]) -> None:
        self.around = around
        self.labels: dict[str, Op] = {}

    def region(self, region: Region, owner: Op | None) -> Items:
        items: Items = []
        segment = Segment()
        for op in region.operations:
            if op.name == "barrier":
                items.append(segment)
                segment = Segment()
            elif op in self.around:
                if op.name == "loop":
                    segment.onto, segment.brings = op.regions[0].parameters, op.operands
                self.labels[op.label] = op
                items += [segment, Around(op, [self.region(inner, op) for inner in op.regions])]
                segment = Segment()
            elif op.name in ("yield", "break", "continue"):
                segment.leaves, segment.brings = op, op.operands
                target = owner if op.name == "yield" else self.labels[op.label]
                assert target is not None
                segment.onto = target.regions[0].parameters if op.name == "continue" else target.results
            else:
                segment.operations.append(op)
        items.append(segment)
        return items


def find_kept(kernel: Kernel, items: Items) -> list[Value]:
    """Values that lanes keep from one segment to another, in the program's order."""
    home: dict[Value, Segment | None] = {}
    uses: list[tuple[Value, Segment | None]] = []
    for item in flat(items):
        if isinstance(item, Segment):
            inside = Region(item.operations)
            home.update((value, item) for value in defined(inside))
            home.update((value, None) for value in item.onto)
            uses += [(value, item) for value in used(item)]
        else:
            home.update((value, None) for value in item.op.results)
            if item.op.name in ("if", "switch"):
                uses.append((item.op.operands[0], None))
    everywhere = set(kernel.parameters) | {op.result for op in walk(kernel.body) if op.name == "const"}
    found = {value for value, at in home.items() if at is None}
    found |= {value for value, at in uses if home.get(value) is not at and value not in everywhere}
    return [value for value in defined(kernel.body) if value in found]


def find_parking(items: Items) -> dict[str, Op]:
    """The blocks around segments, by label, for whose end lanes leave a segment."""
    around = {item.op.label: item.op for item in flat(items) if isinstance(item, Around) and item.op.label}
    inside = [op for item in flat(items) if isinstance(item, Segment) for op in walk(Region(item.operations))]
    return {op.label: around[op.label] for op in inside if _leaves(op, set(around))}


def flat(items: Items) -> Iterator[Segment | Around]:
    """Items with those inside them."""
    for item in items:
        yield item
        if isinstance(item, Around):
            for inside in item.inside:
                yield from flat(inside)


def defined(region: Region) -> Iterator[Value]:
    """Values that a region defines, with those of the regions inside."""
    for op in walk(region):
        yield from op.results
        for inner in op.regions:
            yield from inner.parameters


def used(segment: Segment) -> Sequence[Value]:
    """Values that a segment reads, once each, in order."""
    operands = [value for op in walk(Region(segment.operations)) for value in op.operands]
    return list(dict.fromkeys([*operands, *segment.brings]))
