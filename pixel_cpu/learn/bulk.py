"""Loops inside of a loop that do nothing but copy or fill, as ``rep movs`` and ``rep stos`` become: many of their rounds at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..ir.model import Op, Value, walk
from ..ir.types import Type

_KNOWN = frozenset(("load", "store", "if", "add", "sub", "eq", "convert"))
"""Operations of such a loop."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """A loop of `count` rounds, each of which stores an element and goes on to the next one.

    Attributes:
        count: parameter of the loop that counts down to 0.
        target: parameter with the address to store to; `bytes` further each round.
        source: parameter with the address to load from, likewise; None: `value` is stored.
        value: what is stored, or has it in its low bytes.
        bytes: of an element.
    """

    count: Value
    target: Value
    source: Value | None
    value: Value
    bytes: int


def find_bulk(loop: Op, shift: Value, constants: Mapping[Value, int]) -> Bulk | None:
    """What a ``loop`` copies or fills if that is all it does, upwards; `shift` is what addresses have added, `constants` are known values."""
    region = loop.regions[0]
    *operations, last = region.operations
    if last.name != "continue" or last.label != loop.label or sum(_goes_on(op, loop) for op in walk(region)) != 1:
        return None
    made = {op.results[0]: op for op in operations if len(op.results) == 1}
    steps = {
        value: _step(value, after, made, constants)
        for value, after in zip(region.parameters, last.operands, strict=True)
    }
    branches = [op for op in operations if op.regions]
    loads, stores = ([op for op in operations if op.name == name] for name in ("load", "store"))
    if len(branches) != 1 or len(stores) != 1 or len(loads) > 1 or any(op.name not in _KNOWN for op in operations):
        return None
    count = _left_at_zero(branches[0], made, constants)
    # What would leave the loop stands before all accesses.
    is_first = all(operations.index(op) > operations.index(branches[0]) for op in (*loads, *stores))
    target, value = _parameter(stores[0], shift, made), stores[0].operands[1]
    source = _parameter(loads[0], shift, made) if loads else None
    part = made.get(value)
    if part is not None and part.name == "convert" and part.operands[0].type is Type.U64:
        value = part.operands[0]
    width = stores[0].moved.bytes
    wanted = {count: -1, target: width} | ({source: width} if loads else {})
    is_copy = (
        loads and stores[0].operands[1] is loads[0].result and loads[0].moved.bytes == width and source is not None
    )
    is_fill = not loads and value not in made and value not in steps
    if not is_first or None in wanted or steps != wanted or not (is_copy or is_fill):
        return None
    assert count is not None and target is not None
    return Bulk(count, target, source, value, width)


def _goes_on(op: Op, loop: Op) -> bool:
    return op.name == "continue" and op.label == loop.label


def _step(value: Value, after: Value, made: Mapping[Value, Op], constants: Mapping[Value, int]) -> int | None:
    op = made.get(after)
    if op is None or op.name not in ("add", "sub") or op.operands[0] is not value or op.operands[1] not in constants:
        return None
    return constants[op.operands[1]] * (1 if op.name == "add" else -1)


def _left_at_zero(branch: Op, made: Mapping[Value, Op], constants: Mapping[Value, int]) -> Value | None:
    """What is zero where an ``if`` does not come back from its first region; None where it is another branch."""
    test = made.get(branch.operands[0])
    is_exit = branch.name == "if" and not branch.results and branch.regions[0].operations[-1].name != "yield"
    if test is None or test.name != "eq" or not is_exit or len(branch.regions[1].operations) != 1:
        return None
    first, second = test.operands
    return first if constants.get(second) == 0 else None


def _parameter(access: Op, shift: Value, made: Mapping[Value, Op]) -> Value | None:
    op = made.get(access.operands[0])
    return op.operands[0] if op is not None and op.name == "add" and op.operands[1] is shift else None
