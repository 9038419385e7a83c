"""What a question was understood as: one operation with its arguments, and the command line that asks the same."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...wire.operations import BY_NAME, Permission
from ..rows import EVERYTHING, Condition, Shape

MACHINE = "{machine}"
"""Stands for the machine's name in `Request.words`."""


@dataclass(frozen=True, slots=True)
class Request:
    """One understood question.

    Attributes:
        says: what is asked, in a few words: ``listening sockets``.
        words: of the command line behind ``glassbox``, with `MACHINE` where the machine's name goes.
        operation, arguments: the row of the operation table that answers it; an empty operation for what a client does by itself.
        shape: which rows are wanted of an overlay.
    """

    says: str
    words: tuple[str, ...]
    operation: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    shape: Shape = EVERYTHING

    def command(self, machine: str) -> tuple[str, ...]:
        """The command line for `machine`, as words."""
        return ("glassbox", *(machine if word == MACHINE else word for word in self.words))

    def command_text(self, machine: str) -> str:
        """The command line for `machine`, to paste into a shell."""
        return shlex.join(self.command(machine))

    @property
    def meaning(self) -> tuple[str, ...]:
        """Words that are the same for requests with the same answer: conditions have no order."""
        conditions = [f"--where {condition}" for condition in self.shape.where]
        return (
            *sorted(conditions),
            *(word for word in self.words if word != "--where" and f"--where {word}" not in conditions),
        )

    @property
    def permission(self) -> Permission:
        """What the operation may do; `READ` for what a client does by itself."""
        row = BY_NAME.get(self.operation)
        return Permission.READ if row is None else row.permission


@dataclass(frozen=True, slots=True)
class Unsure:
    """A question that was not understood: why, and what may have been meant, likeliest first."""

    reason: str
    alternatives: tuple[Request, ...] = ()


Meaning = Request | Unsure


def overlay(name: str, says: str, where: Sequence[tuple[str, str] | Condition] = (), **shape: Any) -> Request:  # noqa: ANN401  # fields of Shape
    """Rows of an overlay; of a condition in `where` that is a pair of column and value, the row's field has to fit the value."""
    conditions = tuple(each if isinstance(each, Condition) else Condition(*each) for each in where)
    wanted = Shape(conditions, **shape)
    return Request(says, ("overlay", MACHINE, name, *wanted.to_words()), "overlay", {"overlay": name}, wanted)


def verb(name: str, says: str, *words: str, operation: str | None = None, **arguments: Any) -> Request:  # noqa: ANN401  # any arguments
    """A verb of the command line on the machine; of the same name as its operation unless that is given."""
    return Request(says, (name, MACHINE, *words), name if operation is None else operation, arguments)


def call(operation: str, says: str, **arguments: Any) -> Request:  # noqa: ANN401  # any arguments
    """An operation without a verb of its own."""
    words = tuple(f"{key}={value}" for key, value in arguments.items())
    return Request(says, ("call", MACHINE, operation, *words), operation, arguments)


def to_session(request: Request, session: int) -> Request:
    """`request`, which is about viewers, for one of them."""
    words = (*request.words, "--session", str(session))
    arguments = {**request.arguments, "session": session}
    return Request(f"{request.says}: only {session}", words, request.operation, arguments)
