"""Registers of a loop that need their own value of the round before, and the operation by which they do."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ..ir.model import Op, Value
from .affine import Form, Forms

ASSOCIATIVE = ("add", "mul", "and", "or", "xor", "min", "max")
"""Operations on integers by which parts of a reduction can be put together in any order."""


@dataclass(frozen=True)
class Recurrence:
    """A register, and the associative operation that makes its next value out of this one and of others; empty where it is no such."""

    value: Value
    register: str
    operation: str


def find_recurrences(
    forms: Forms, ends: Sequence[Op], parameters: Sequence[Value], counters: Collection[Value]
) -> tuple[Recurrence, ...]:
    """The parameters of the loop that depend on themselves, without `counters` and those that no round changes."""
    needs: dict[Value, set[Value]] = {}
    for place, value in enumerate(parameters):
        used: set[Value] = set()
        for end in ends:
            following = end.operands[place]
            used |= forms.sources[following] & set(parameters)
        is_kept = all(forms.of[end.operands[place]] == forms.of[value] for end in ends)
        # Which way round was taken may decide what it is.
        if not is_kept and len({forms.of[end.operands[place]] for end in ends}) > 1:
            for end in ends:
                for guard in forms.guards[end]:
                    used |= forms.sources[guard.condition] & set(parameters)
        needs[value] = set() if is_kept else used - set(counters)
    cyclic = [value for value in parameters if value not in counters and _reaches_itself(needs, value)]
    found = []
    for value in cyclic:
        operation, place = _operation(forms, ends, parameters, value, cyclic), list(parameters).index(value)
        if operation or not all(_stays(forms, end.operands[place], value) for end in ends):
            found.append(Recurrence(value, value.name.partition(".")[0], operation))
    return tuple(found)


def _stays(forms: Forms, following: Value, value: Value) -> bool:
    """Whether bits of `value` stay where they are or are written anew: what writes a part of a register keeps the rest."""
    if following is value or value not in forms.sources[following]:
        return True
    made = forms.made.get(following)
    if made is None or made.name not in ("and", "or", "convert", "select"):
        return False
    condition = made.operands[0] if made.name == "select" else None
    if condition is not None and value in forms.sources[condition]:
        return False
    return all(_stays(forms, operand, value) for operand in made.operands if operand is not condition)


def _reaches_itself(needs: dict[Value, set[Value]], value: Value) -> bool:
    seen, waiting = set[Value](), list(needs[value])
    while waiting:
        each = waiting.pop()
        if each is value:
            return True
        if each not in seen:
            seen.add(each)
            waiting.extend(needs[each])
    return False


def _operation(
    forms: Forms, ends: Sequence[Op], parameters: Sequence[Value], value: Value, cyclic: Sequence[Value]
) -> str:
    place = list(parameters).index(value)
    names = {_reduces(forms, end.operands[place], value, cyclic) for end in ends}
    names.discard("same")
    return names.pop() if len(names) == 1 else ""


def _reduces(forms: Forms, following: Value, value: Value, cyclic: Sequence[Value]) -> str:
    """The operation of ``following = value op others``; "same" where it is `value`, empty where it is another."""
    form = _inside(forms.of[following])
    if dict(form.terms) == {value: 1} and not form.constant:
        return "same"
    if form.terms.get(value) == 1:
        others = [term for term in form.terms if term is not value]
        used = {source for term in others for each in _values(term) for source in forms.sources[each]}
        return "" if used & set(cyclic) else "add"
    if len(form.terms) != 1 or form.constant:
        return ""
    ((term, _),) = form.terms.items()
    made = forms.made.get(term) if isinstance(term, Value) else None
    if made is None or made.name not in ASSOCIATIVE or made.result.type.is_float:
        return ""
    for own, other in (made.operands, made.operands[::-1]):
        if _reduces(forms, own, value, cyclic) in ("same", made.name) and not forms.sources[other] & set(cyclic):
            return made.name
    return ""


def _inside(form: Form) -> Form:
    """What is extended with zeros, without the extension."""
    while len(form.terms) == 1 and not form.constant:
        ((term, factor),) = form.terms.items()
        if not isinstance(term, Form) or factor != 1:
            break
        form = term
    return form


def _values(term: Value | Form) -> list[Value]:
    return list(term.values()) if isinstance(term, Form) else [term]
