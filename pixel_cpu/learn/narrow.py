"""Registers whose upper half is zero, in 32 bits: half of the work of lanes, and half of their registers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ..ir.model import Function, Op, Value, walk
from ..ir.model import Region as Body
from ..ir.types import Type


def narrowed(function: Function, names: Collection[str]) -> Function:
    """The function with those parameters, whose upper half is zero, in 32 bits, and what stays so in loops too."""
    made = {op.results[0]: op for op in walk(function.body) if len(op.results) == 1}
    loops = {op.label: op for op in walk(function.body) if op.name == "loop"}
    again = [op for op in walk(function.body) if op.name == "continue"]
    narrow = {value for value in function.parameters if value.name in names}
    inside = {value for op in loops.values() for value in op.regions[0].parameters if value.type is Type.U64}
    narrow |= inside

    def is_narrow(value: Value) -> bool:
        op = made.get(value)
        if value in narrow or op is None:
            return value in narrow
        if op.name == "const":
            return value.type is Type.U64 and int(op.literal or 0) < 1 << 32
        return op.name == "convert" and op.operands[0].type in (Type.U8, Type.U16, Type.U32)

    is_news = True
    while is_news:
        wide = set[Value]()
        for op in (*loops.values(), *again):
            for value, given in zip(loops[op.label].regions[0].parameters, op.operands, strict=True):
                if value in narrow and not is_narrow(given):
                    wide.add(value)
        narrow -= wide
        is_news = bool(wide)
    shorter = {value: Value(Type.U32, value.name) for value in narrow}

    def begin(parameters: Sequence[Value]) -> tuple[tuple[Value, ...], list[Op]]:
        opened = [Op("convert", (shorter[value],), (value,)) for value in parameters if value in narrow]
        return tuple(shorter.get(value, value) for value in parameters), opened

    def region(body: Body, opened: Sequence[Op] = (), parameters: tuple[Value, ...] = ()) -> Body:
        operations = [*opened]
        for op in body.operations:
            if op.name in ("loop", "continue"):
                operands = []
                for value, given in zip(loops[op.label].regions[0].parameters, op.operands, strict=True):
                    operands.append(given)
                    if value in narrow:
                        operands[-1] = Value(Type.U32, value.name)
                        operations.append(Op("convert", (given,), (operands[-1],), line=op.line))
                op = replace(op, operands=tuple(operands))
            if op.name == "loop":
                names, first = begin(op.regions[0].parameters)
                op = replace(op, regions=(region(op.regions[0], first, names),))
            elif op.regions:
                op = replace(op, regions=tuple(region(each) for each in op.regions))
            operations.append(op)
        return Body(operations, parameters)

    parameters, opened = begin(function.parameters)
    return replace(function, parameters=parameters, body=region(function.body, opened))


def with_short_results(function: Function) -> Function:
    """The function with those results in 32 bits whose upper half is zero."""
    made = {op.results[0]: op for op in walk(function.body) if len(op.results) == 1}
    returns = [op for op in walk(function.body) if op.name == "return"]

    def short(value: Value) -> Value | None:
        op = made.get(value)
        is_short = op is not None and op.name == "convert" and op.operands[0].type is Type.U32
        return op.operands[0] if op is not None and is_short else None

    places = [place for place in range(len(function.results)) if all(short(op.operands[place]) for op in returns)]
    for op in returns:
        op.operands = tuple(
            (short(value) if place in places else None) or value for place, value in enumerate(op.operands)
        )
    results = tuple(Type.U32 if place in places else kind for place, kind in enumerate(function.results))
    return replace(function, results=results)
