"""How a kernel is compiled: in lanes or as scalar C, and how many registers a chunk has."""

from __future__ import annotations

from dataclasses import dataclass

from ...ir.model import Kernel, Op, Region, Space, Value, walk
from ...ir.operations import OPERATIONS, TERMINATORS
from ...ir.uniformity import Shape
from .forms import is_wide
from .shapes import Shapes

MAX_REGISTERS = 4
CACHE_BYTES = 32 << 10
"""Of a first-level cache."""
PRIVATE_CACHE_BYTES = CACHE_BYTES // 2
"""Private memory of a chunk, if fewer registers can make it so small."""


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
    if scalar or (scalar is None and loses(kernel, shapes, width)):
        return Plan(1, 1, is_flat)
    if registers is not None:
        return Plan(width, registers, is_flat)
    registers = min(MAX_REGISTERS, max(1, (vector_registers - 1) // max(pressure(kernel, shapes), 1)))
    private = sum(
        (memory.length or 0) * memory.element.bytes for memory in kernel.memories if memory.space is Space.PRIVATE
    )
    while registers > 1 and private * width * registers > PRIVATE_CACHE_BYTES:
        registers -= 1
    if not is_flat:
        registers = min(range(registers, 0, -1), key=lambda own: _cost_of_group(kernel.group, width, own))
    return Plan(width, registers, is_flat)


def _cost_of_group(group: int, width: int, registers: int) -> int:
    """What a group costs in chunks of so many registers: each chunk has a share for what is uniform, and missing lanes cost too."""
    chunks = -(-group // (width * registers))
    return chunks * (registers + 1) + (chunks * registers * width != group)


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
                # What a loop reads from outside lives until its end.
                inside = set(op.regions[0].parameters)
                end.update(
                    (value, clock)
                    for value, at in begin.items()
                    if at <= started < end.get(value, 0) and value not in inside
                )
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


def loses(kernel: Kernel, shapes: Shapes, width: int) -> bool:
    """Whether lanes are slower than scalar C: where most of the work is memory at addresses of which each lane has its own."""
    scalar, lanes = _costs(kernel.body, shapes, width, 1.0)
    return lanes > scalar


def _costs(region: Region, shapes: Shapes, width: int, times: float) -> tuple[float, float]:
    """Cycles for one lane, as scalar C and in lanes; what loops is taken to run `_ROUNDS` times."""
    scalar = lanes = 0.0
    for op in region.operations:
        inner = times * _ROUNDS if op.name == "loop" else times
        for found in op.regions:
            costs = _costs(found, shapes, width, inner)
            scalar, lanes = scalar + costs[0], lanes + costs[1]
        one, other = _cost(op, shapes, width)
        if op.name == "loop" and shapes.is_split(op):
            one += _MISSED  # scalar C guesses wrong when the loop ends
        scalar, lanes = scalar + times * one, lanes + times * other
    return scalar, lanes


def _cost(op: Op, shapes: Shapes, width: int) -> tuple[float, float]:
    if op.regions or op.name in ("const", "length", *TERMINATORS):
        return 0.0, 0.0
    if op.name.startswith("atomic_"):
        return _ATOMIC, _ATOMIC
    if op.memory is not None:
        kind = op.moved
        shape = shapes.shape(op.operands[0])
        own = _LOAD if op.results else _STORE
        if shape is not Shape.VARYING:
            return own, own * max(kind.bytes, 4) / (4 * width)
        each = {4: _GATHER, 8: _LONG_GATHER}.get(kind.bytes, _NARROW_GATHER) if op.results else _SCATTER
        if op.memory.space is Space.PRIVATE and (op.memory.length or 0) * kind.bytes * width > CACHE_BYTES:
            each += _FAR  # that of all lanes is more than a first-level cache holds, that of one lane is not
        return own, each * (1 if width > 4 else 2)
    if not op.results or all(shapes.shape(value) is not Shape.VARYING for value in op.results):
        return _VALUE, _VALUE / width
    kinds = [value.type for value in (*op.operands, *op.results)]
    if not OPERATIONS[op.name].form("vector", kinds[0]):
        return _LONG, _LONG
    own = _DIVISION if op.name in ("div", "rem") else _VALUE
    return own, own * (2.5 if is_wide(kinds) else 1.3) / width


_ROUNDS = 10
_VALUE, _DIVISION, _LONG, _LOAD, _STORE, _ATOMIC = 0.3, 6, 12, 0.4, 0.6, 6
_GATHER, _LONG_GATHER, _NARROW_GATHER, _SCATTER, _FAR, _MISSED = 1.2, 1.5, 1.5, 1.8, 0.6, 15
"""Cycles of one lane; measured on Zen 3 and Sapphire Rapids, where the quotients matter and not the numbers."""
