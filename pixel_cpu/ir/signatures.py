"""Result types and operand checks, from the signatures of the operation table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from ..errors import IrError
from .operations import OPERATIONS
from .types import Type


@cache
def _parse(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    operands, _, results = OPERATIONS[name].signature.partition("->")
    return tuple(word for word in operands.split() if word[0] not in '@^"'), tuple(results.split())


def result_type(name: str, operands: Sequence[Type], stated: Type | None) -> Type | None:
    """Type of the result of a row that is no control flow; None for one without a result.

    Raises `IrError` where the operands do not fit the signature.
    """
    row = OPERATIONS[name]
    wanted, given = _parse(name)
    if len(wanted) != len(operands):
        raise IrError(f"takes {len(wanted)} operands, not {len(operands)}", op=name)
    found: dict[str, Type] = {}
    for place, (word, kind) in enumerate(zip(wanted, operands, strict=True), 1):
        if word in ("T", "U"):
            if found.setdefault(word, kind) is not kind:
                raise IrError(f"operand {place} is {kind!r} where {found[word]!r} stands before it", op=name)
        elif word != kind.value:
            raise IrError(f"operand {place} is {kind!r}, not {word}", op=name)
    if "T" in found and found["T"] not in row.over:
        raise IrError(f"not defined for {found['T']!r}, but for {', '.join(kind.value for kind in row.over)}", op=name)
    if not given:
        return None
    (word,) = given
    if word in found:
        return found[word]
    if word in ("T", "U"):
        if stated is None:
            raise IrError("the type of the result is missing", op=name)
        if name == "bitcast" and stated.bits != operands[0].bits:
            raise IrError(f"{operands[0]!r} and {stated!r} differ in width", op=name)
        if name in ("bitcast", "const", "convert") and stated not in row.over:
            raise IrError(f"not defined for {stated!r}", op=name)
        return stated
    return Type(word)
