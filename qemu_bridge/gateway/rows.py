"""Rows of a table, chosen, sorted and counted.

>>> shape_rows(({"name": "a", "pages": 3}, {"name": "b", "pages": 9}), Shape(sort="pages", reverse=True, first=1))
[{'name': 'b', 'pages': 9}]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..host.wildcards import wildcard_expression

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a table is wanted, in this order.

    Attributes:
        where: (column, value) pairs that a row has to fit, all of them; a value may have the wildcards ``*`` and ``?``, and a column
            that is a list fits if one of its items does.
        sort: a column, empty for the table's own order; `reverse` for the greatest first.
        first, last: so many rows of the beginning, or of the end; None for all.
        count: only how many rows these are.
    """

    where: tuple[tuple[str, str], ...] = ()
    sort: str = ""
    reverse: bool = False
    first: int | None = None
    last: int | None = None
    count: bool = False

    def to_words(self) -> tuple[str, ...]:
        """The options of ``glassbox overlay`` that ask for it."""
        words = [word for column, value in self.where for word in ("--where", f"{column}={value}")]
        words += ["--sort", self.sort] if self.sort else []
        words += ["--reverse"] if self.reverse else []
        words += ["--first", str(self.first)] if self.first is not None else []
        words += ["--last", str(self.last)] if self.last is not None else []
        return (*words, *(["--count"] if self.count else []))


EVERYTHING = Shape()
"""All rows, as they are."""


def shape_rows(rows: Sequence[Row], shape: Shape, columns: Sequence[str] = ()) -> list[Row]:
    """The rows that `shape` chooses; `UsageError` for a column that is not among `columns`, else among those of the first row."""
    known = [column.partition(":")[0] for column in columns] or list(rows[0] if rows else ())
    for column in [*(column for column, _ in shape.where), *([shape.sort] if shape.sort else [])]:
        if known and column not in known:
            raise UsageError(f"there is no column {column!r}; there are {', '.join(known)}")
    chosen = [row for row in rows if all(fits(row[column], value) for column, value in shape.where)]
    if shape.sort:
        chosen.sort(key=lambda row: _key(row[shape.sort]), reverse=shape.reverse)
    if shape.first is not None:
        chosen = chosen[: shape.first]
    return chosen if shape.last is None else chosen[len(chosen) - min(shape.last, len(chosen)) :]


def fits(value: Any, wanted: str) -> bool:  # noqa: ANN401  # any field of a row
    """Whether a field's `value` is what `wanted` describes: the same text or number, or a pattern that it matches."""
    if isinstance(value, (list, tuple)):
        return any(fits(item, wanted) for item in value)
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return value == int(wanted, 0)
        except ValueError:
            pass
    return re.fullmatch(wildcard_expression(wanted), str(value), re.DOTALL | re.IGNORECASE) is not None


def parse_where(text: str) -> tuple[str, str]:
    """(column, value) of ``COLUMN=VALUE``; `UsageError` for anything else."""
    column, equals, value = text.partition("=")
    if not equals or not column:
        raise UsageError(f"{text!r} is no condition; write COLUMN=VALUE, such as state=LISTEN")
    return column.strip(), value


def _key(value: Any) -> tuple[int, Any]:  # noqa: ANN401  # any field of a row
    # Numbers before texts, which cannot be compared with each other.
    return (0, value) if isinstance(value, (int, float)) else (1, str(value))
