"""Rows of a table, chosen, sorted and counted.

>>> shape_rows(({"name": "a", "pages": 3}, {"name": "b", "pages": 9}), Shape(sort="pages", reverse=True, first=1))
[{'name': 'b', 'pages': 9}]
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..host.wildcards import wildcard_expression
from ..memory.addresses import parse_size

Row = dict[str, Any]
_CONDITION = re.compile(r"\s*([^\s=!<>]+)\s*(!=|>=|<=|=|>|<)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """What a row's field has to be.

    Attributes:
        column: of the table.
        value: a text, which may have the wildcards ``*`` and ``?``, or a number, which may be hexadecimal or have a unit: ``1M``; of
            several with ``|`` between them one has to fit: ``err|warning``. Of a column that is a list one item has to fit; an empty value stands for an empty list.
        operator: ``=``, ``!=``, or of numbers ``<``, ``<=``, ``>``, ``>=``.
    """

    column: str
    value: str
    operator: str = "="

    def holds(self, field: Any) -> bool:  # noqa: ANN401  # any field of a row
        """Whether `field` is so; `UsageError` if the order of texts is asked for."""
        if self.operator in ("=", "!="):
            return fits(field, self.value) is (self.operator == "=")
        wanted = _to_number(self.value)
        if wanted is None or isinstance(field, bool) or not isinstance(field, (int, float)):
            raise UsageError(f"'{self}' compares numbers, and {'that is' if wanted is None else 'the column has'} none")
        return _COMPARE[self.operator](field, wanted)

    def __str__(self) -> str:
        return f"{self.column}{self.operator}{self.value}"


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _to_number(text: str) -> float | None:
    """The number that a text is, as an address, a decimal one, or with a unit; None for none."""
    for parse in (lambda each: int(each, 0), float, parse_size):
        try:
            return parse(text)
        except (ValueError, UsageError):
            continue
    return None


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a table is wanted, in this order.

    Attributes:
        where: conditions that a row has to fit, all of them.
        sort: a column, empty for the table's own order; `reverse` for the greatest first.
        first, last: so many rows of the beginning, or of the end; None for all.
        count: only how many rows these are.
    """

    where: tuple[Condition, ...] = ()
    sort: str = ""
    reverse: bool = False
    first: int | None = None
    last: int | None = None
    count: bool = False

    def to_words(self) -> tuple[str, ...]:
        """The options of ``glassbox overlay`` that ask for it."""
        words = [word for condition in self.where for word in ("--where", str(condition))]
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
    for column in [*(condition.column for condition in shape.where), *([shape.sort] if shape.sort else [])]:
        if known and column not in known:
            raise UsageError(f"there is no column {column!r}; there are {', '.join(known)}")
    chosen = [row for row in rows if all(condition.holds(row[condition.column]) for condition in shape.where)]
    if shape.sort:
        chosen.sort(key=lambda row: _key(row[shape.sort]), reverse=shape.reverse)
    if shape.first is not None:
        chosen = chosen[: shape.first]
    return chosen if shape.last is None else chosen[len(chosen) - min(shape.last, len(chosen)) :]


def sum_by_class(ranges: Iterable[tuple[str, int]]) -> list[Row]:
    """How much memory of each class ranges are, of which class and size in bytes are given: rows with ``page_class`` and ``size``, the greatest first."""
    sums: Counter[str] = Counter()
    for name, size in ranges:
        sums[name] += size
    return [{"page_class": name, "size": size} for name, size in sums.most_common()]


def fits(value: Any, wanted: str) -> bool:  # noqa: ANN401  # any field of a row
    """Whether a field's `value` is what `wanted` describes: the same text or number, or a pattern that it matches."""
    if "|" in wanted:
        return any(fits(value, each) for each in wanted.split("|"))
    if isinstance(value, (list, tuple)):
        return any(fits(item, wanted) for item in value) if wanted else not value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return value == int(wanted, 0)
        except ValueError:
            pass
    return re.fullmatch(wildcard_expression(wanted), str(value), re.DOTALL | re.IGNORECASE) is not None


def parse_where(text: str) -> Condition:
    """The condition ``COLUMN=VALUE``, or with another operator; `UsageError` for anything else."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{text!r} is no condition; write COLUMN=VALUE, such as state=LISTEN, or with !=, <, <=, >, >="
        )
    return Condition(found[1], found[3], found[2])


def _key(value: Any) -> tuple[int, Any]:  # noqa: ANN401  # any field of a row
    # Numbers before texts, which cannot be compared with each other.
    return (0, value) if isinstance(value, (int, float)) else (1, str(value))
