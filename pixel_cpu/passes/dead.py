"""Leave out operations whose results nothing reads."""

from __future__ import annotations

from dataclasses import replace

from ..ir.model import Op, Region, Value, walk
from ..ir.operations import OPERATIONS


def remove_dead(body: Region) -> Region:
    """The body without operations that have no effect and whose results are not read; loads stay, as they may trap."""
    used: set[Value] = set()
    waiting = [value for op in walk(body) if not _is_value(op) for value in op.operands]
    made = {op.results[0]: op for op in walk(body) if _is_value(op)}
    while waiting:
        value = waiting.pop()
        if value not in used:
            used.add(value)
            if value in made:
                waiting.extend(made[value].operands)
    return _without(body, used)


def _is_value(op: Op) -> bool:
    """Whether it does nothing but give its result."""
    return OPERATIONS[op.name].effect in ("value", "id")


def _without(region: Region, used: set[Value]) -> Region:
    kept = []
    for op in region.operations:
        if _is_value(op) and op.results[0] not in used:
            continue
        kept.append(replace(op, regions=tuple(_without(inner, used) for inner in op.regions)) if op.regions else op)
    return Region(kept, region.parameters)
