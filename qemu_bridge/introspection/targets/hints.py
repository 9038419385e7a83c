"""Errors that point into a text, and suggestions of names that are near."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ...errors import UsageError
from .format import quote_name

_MAX_QUOTED = 40
_MAX_NEAR = 3


def error_at(text: str, column: int, what: str, hint: str) -> UsageError:
    """An error for `what` at `column` of `text`, counted from 1; it quotes the rest and ends with `hint`."""
    rest = text[column - 1 :].rstrip()
    shown = repr(rest if len(rest) <= _MAX_QUOTED else rest[:_MAX_QUOTED] + "…") if rest else "the end"
    return UsageError(f"{what} at column {column}, {shown}; {hint}")


def suggest(wanted: str, known: Iterable[str], otherwise: str) -> str:
    """A hint with the `known` names that begin with `wanted` or are similar, else `otherwise`."""
    names = list(known)
    longer = sorted((name for name in names if wanted and name.startswith(wanted)), key=len)
    near = list(
        dict.fromkeys([*longer[:_MAX_NEAR], *difflib.get_close_matches(wanted, names, n=_MAX_NEAR, cutoff=0.6)])
    )
    near = near[:_MAX_NEAR]
    return f"did you mean {' or '.join(quote_name(name) for name in near)}?" if near else otherwise
