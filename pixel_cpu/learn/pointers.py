"""What points where: which registers a value of a loop follows from by sums."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..ir.model import Function, Value, walk

_SUMS = frozenset("add sub and or select convert bitcast".split())


def find_pointers(function: Function, names: Collection[str]) -> dict[Value, frozenset[str]]:
    """By value, which of these parameters it follows from by sums; a difference of two of them is a distance, and none."""
    nothing = frozenset[str]()
    found = {value: frozenset({value.name} & {*names}) for value in function.parameters}
    onto: dict[str, tuple[Value, ...]] = {}

    def move(targets: Sequence[Value], values: Sequence[Value]) -> bool:
        before = [found.get(target, nothing) for target in targets]
        for target, value in zip(targets, values, strict=True):
            found[target] = found.get(target, nothing) | found.get(value, nothing)
        return before != [found[target] for target in targets]

    is_news = True
    while is_news:
        is_news = False
        for op in walk(function.body):
            if op.name == "loop":
                onto[op.label] = op.regions[0].parameters
                is_news |= move(onto[op.label], op.operands)
            elif op.name == "continue":
                is_news |= move(onto[op.label], op.operands)
            elif op.regions:
                ends = [each.operations[-1] for each in op.regions]
                for end in (each for each in ends if each.name == "yield"):
                    is_news |= move(op.results, end.operands)
            elif op.name in _SUMS and len(op.results) == 1:
                operands = op.operands[1:] if op.name == "select" else op.operands
                if op.name == "sub" and found.get(operands[0]) == found.get(operands[1]):
                    continue  # a distance
                for operand in operands:
                    is_news |= move(op.results, (operand,))
        blocks = {op.label: op.results for op in walk(function.body) if op.name in ("block", "loop")}
        for op in (each for each in walk(function.body) if each.name == "break"):
            is_news |= move(blocks[op.label], op.operands)
    return {value: found.get(value, nothing) for op in walk(function.body) for value in (*op.operands, *op.results)}
