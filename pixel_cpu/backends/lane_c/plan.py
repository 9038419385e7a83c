"""How a kernel is compiled: in lanes or as scalar C, and how many registers a chunk has."""

from __future__ import annotations

from dataclasses import dataclass

from ...ir.model import Kernel, Op, Region, Space, Value, walk
from ...ir.uniformity import Shape
from .shapes import Shapes

MAX_REGISTERS = 4


@dataclass(frozen=True)
class Plan:
    """`width` lanes in a register, 1 for scalar C, times `registers`. `is_flat`: chunks may reach over groups."""

    width: int
    registers: int
    is_flat: bool


def plan(
    kernel: Kernel, width: int, vector_registers: int, *, scalar: bool | None = None, registers: int | None = None
) -> Plan:
    """The plan for a kernel without calls on a machine with vectors of `width` 32-bit lanes; `scalar` states the choice."""
    is_flat = not any(op.name in ("local_id", "group_id", "barrier") for op in walk(kernel.body)) and not any(
        memory.space is Space.WORKGROUP for memory in kernel.memories
    )
    shapes = Shapes(kernel)
    if scalar or (scalar is None and loses(kernel, shapes)):
        return Plan(1, 1, is_flat)
    if registers is not None:
        return Plan(width, registers, is_flat)
    registers = min(MAX_REGISTERS, max(1, (vector_registers - 2) // max(pressure(kernel, shapes), 1)))
    while not is_flat and registers > 1 and width * (registers - 1) >= kernel.group:
        registers -= 1
    return Plan(width, registers, is_flat)


def pressure(kernel: Kernel, shapes: Shapes) -> int:
    """Vector registers, for each register of a chunk, that are full at once at the fullest place."""
    begin: dict[Value, int] = {}
    end: dict[Value, int] = {}
    clock = 0

    def visit(region: Region) -> None:
        nonlocal clock
        for op in region.operations:
            clock += 1
            for value in op.operands:
                end[value] = clock
            started = clock
            for inner in op.regions:
                begin.update((value, clock) for value in inner.parameters)
                visit(inner)
            if op.name == "loop":
                clock += 1
                # What a loop reads from outside, and what goes round, lives until its end.
                for value, at in begin.items():
                    if end.get(value, 0) > started and (at <= started or value in op.regions[0].parameters):
                        end[value] = clock
            begin.update((value, clock) for value in op.results)

    visit(kernel.body)
    changes: dict[int, int] = {}
    for value, at in begin.items():
        if shapes.shape(value) is Shape.VARYING and end.get(value, 0) > at:
            size = 2 if value.type.bits == 64 else 1
            changes[at] = changes.get(at, 0) + size
            changes[end[value]] = changes.get(end[value], 0) - size
    most = now = 0
    for at in sorted(changes):
        now += changes[at]
        most = max(most, now)
    return most


def loses(kernel: Kernel, shapes: Shapes) -> bool:
    """Whether lanes are slower than scalar C: most of what divergent loops do are accesses of which each lane has its own."""
    gained = lost = 0

    def count(op: Op, inside: bool) -> None:
        nonlocal gained, lost
        inside = inside or (op.name == "loop" and shapes.is_split(op))
        for region in op.regions:
            for inner in region.operations:
                count(inner, inside)
        if not inside or op.regions:
            return
        if op.memory is not None and op.name != "length" and shapes.shape(op.operands[0]) is Shape.VARYING:
            lost += 3 if op.name == "load" else 6
        elif op.name not in ("const", "yield", "break", "continue"):
            gained += 1

    for op in kernel.body.operations:
        count(op, False)
    return lost > 2 * gained
