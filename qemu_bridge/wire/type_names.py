"""The types of records and arguments in the words of docs/protocol.md, for the document and for errors: no Python here.

>>> type_name(tuple[tuple[AnyAddress, int], ...] | None)
'[[address, integer], …] | null'
>>> problem_of(error, Operations.maps.arguments)
'pid: expected integer, got string'
"""

from __future__ import annotations

import json
import re
import types
import typing
from enum import Enum, Flag
from typing import Any

import msgspec

from .json_text import is_address
from .records import Answer, Blob

_WORDS: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    Blob: "frame",
    Any: "any JSON",
}
_GIVEN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def type_name(kind: Any) -> str:  # noqa: ANN401  # a type expression
    """What the document calls `kind`: a JSON type, with its bounds, or the name of a record."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is type(None) or kind is None:
        return "null"
    if kind in _WORDS:
        return _WORDS[kind]
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(type_name, inner))
    if origin is tuple:
        return f"[{type_name(inner[0])}, …]" if inner[-1] is ... else f"[{', '.join(map(type_name, inner))}]"
    if is_address(kind):
        return "address"
    if origin is typing.Annotated:
        return type_name(inner[0]) + "".join(map(_bounds, kind.__metadata__))
    if origin is list:
        return f"[{type_name(inner[0])}, …]"
    if origin is dict:
        return f"object of {type_name(inner[1])}"
    if origin is Answer:
        return f"Answer[{type_name(inner[0])}]"
    # A NewType of an integer travels as one.
    return _WORDS.get(getattr(kind, "__supertype__", None)) or str(kind.__name__)


def _bounds(mark: Any) -> str:  # noqa: ANN401  # what a type is annotated with
    limits = ((sign, getattr(mark, name, None)) for name, sign in _BOUNDS.items())
    return "".join(f" {sign} {limit:g}" for sign, limit in limits if limit is not None)


def problem_of(error: msgspec.ValidationError, kind: Any) -> str:  # noqa: ANN401  # a type expression
    """What is wrong with a value of type `kind`, its place first."""
    problem, _, place = str(error).partition(" - at ")
    path = place.strip("`").removeprefix("$")
    part = type_at(kind, path)
    if given := re.search(r"^Expected `[^`]*`, got `(\w+)`$", problem):
        wanted = f"{type_name(part)}{_hint(part)}" if path else "object"
        problem = f"expected {wanted}, got {_GIVEN.get(given[1], given[1])}"
    elif wrong := re.search(r"^Invalid enum value (.*)$", problem):
        problem = f"{wrong[1]} is not{_hint(part)}"
    else:
        problem = re.sub(r"`(\w+)`", lambda word: _GIVEN.get(word[1], word[1]), problem)
        problem = (problem[:1].lower() + problem[1:]).removeprefix("object ")
    field = path.removeprefix(".")
    return f"{field}: {problem}" if field else problem


def _hint(kind: Any) -> str:  # noqa: ANN401  # a type expression
    if is_address(kind):
        return ' such as "0x1f000"'
    choices = [one for one in (kind, *typing.get_args(kind)) if isinstance(one, type) and issubclass(one, Enum)]
    if not choices:
        return ""
    values = (json.dumps(member.value) for member in choices[0])
    return f" {'a sum' if issubclass(choices[0], Flag) else 'one'} of {', '.join(values)}"


def type_at(kind: Any, path: str) -> Any:  # noqa: ANN401  # a type expression
    """The type at a place in values of type `kind`, such as ``.ranges[0][1]``; `Any` where it is not known."""
    for name, number in _STEP.findall(path):
        kinds = [one for one in (kind, *typing.get_args(kind)) if one is not type(None)]
        kind = next((found for one in kinds if (found := _inside(one, name, number)) is not None), Any)
    return kind


def _inside(kind: Any, name: str, number: str) -> Any:  # noqa: ANN401  # a type expression
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if name and isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        return next((field.type for field in msgspec.structs.fields(origin) if field.name == name), None)
    if number and origin in (list, tuple, dict) and inner:
        return inner[-1] if origin is dict else inner[0] if origin is list or inner[-1] is ... else inner[int(number)]
    return None
