"""How many rounds a loop inside of another one does at most, where that is a number, as of the rounds of a hash."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..ir.model import Op, Region, Value, walk
from ..ir.types import Type

MOST_ROUNDS = 1024
_WIDTH = 1 << 64


def most_rounds(
    loop: Op, place_of: Callable[[Value], tuple[Value, int]], made: Mapping[Value, Op], constants: Mapping[Value, int]
) -> int | None:
    """The rounds after which a ``loop`` is left at the latest; None where that is not known, or more than `MOST_ROUNDS`.

    `place_of` gives a value as another one and a number that is added to it, `made` what computes a value, `constants` are known values.
    """
    region = loop.regions[0]
    again = [op for op in walk(region) if _goes_on(op, loop)]
    starts = dict(zip(region.parameters, loop.operands, strict=True))

    def line(value: Value) -> tuple[Value | None, int, int] | None:
        """A value as what does not change in the loop, and numbers: in the first round, and how much more in each one."""
        base, offset = place_of(value)
        step = 0
        if base in starts:
            place = region.parameters.index(base)
            steps = {place_of(op.operands[place]) for op in again}
            if len(steps) != 1:
                return None
            after, step = steps.pop()
            if after is not base:
                return None
            base, first = place_of(starts[base])
            offset += first
        if base in constants:
            return None, offset + constants[base], step
        return base, offset, step

    inside = {value for op in walk(region) for value in op.results}
    found = []
    for first, second in _ends(region.operations, loop, made):
        one, other = line(first), line(second)
        if first.type is not Type.U64 or one is None or other is None or one[0] is not other[0] or one[0] in inside:
            continue
        distance, step = one[1] - other[1], one[2] - other[2]
        found += [count for count in range(MOST_ROUNDS) if (distance + count * step) % _WIDTH == 0][:1]
    return min(found) + 1 if found else None


def _goes_on(op: Op, loop: Op) -> bool:
    return op.name == "continue" and op.label == loop.label


def _ends(operations: Sequence[Op], loop: Op, made: Mapping[Value, Op]) -> list[tuple[Value, Value]]:
    """Pairs of values: each round compares them, and the round in which they are equal does not go on."""
    found = []
    for number, op in enumerate(operations):
        again = [side for side in op.regions if _has_again(side, loop)]
        is_last = not _has_again(Region(list(operations[number + 1 :])), loop)
        test = made.get(op.operands[0]) if op.name == "if" else None
        if test is not None and test.name in ("eq", "ne"):
            # A side that neither goes on nor comes back to what does is a way out.
            side = op.regions[0 if test.name == "eq" else 1]
            if side not in again and (is_last or side.operations[-1].name != "yield"):
                found.append(_sides(test, made))
        if again:
            if is_last and len(again) == 1 and op.name in ("if", "block"):
                found += _ends(again[0].operations, loop, made)
            break  # what follows does not run in every round
    return found


def _has_again(region: Region, loop: Op) -> bool:
    return any(_goes_on(op, loop) for op in walk(region))


def _sides(test: Op, made: Mapping[Value, Op]) -> tuple[Value, Value]:
    """What a comparison compares; the two of a difference that is compared with zero."""
    first, second = test.operands
    op, zero = made.get(first), made.get(second)
    is_zero = zero is not None and zero.name == "const" and zero.literal is not None and int(zero.literal) == 0
    if op is not None and op.name == "sub" and is_zero:
        return op.operands[0], op.operands[1]
    return first, second
