"""How a table is shown: which of its rows, in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


def _rank(value: object) -> tuple[int, Any]:
    # Numbers before text before nothing, so that mixed columns have an order.
    if value is None or value == "":
        return 2, 0
    return (0, value) if isinstance(value, int | float) else (1, str(value).casefold())


@dataclass(slots=True)
class TableView:
    """The filter that was typed over a table, and its rows in the order asked for last.

    Attributes:
        words: a row shows where one of its cells has these, in any case.
    """

    words: str = ""
    _source: Sequence[Any] = ()
    _key: object = None
    _rows: list[Any] = field(default_factory=list)

    def rows(
        self,
        rows: Sequence[T],
        cells: Callable[[T], Sequence[object]],
        column: int | None,
        is_descending: bool = False,
    ) -> list[T]:
        """The rows that show, by the values in `column`; None for the order that they have. Worked out only when that changed."""
        key = (len(rows), self.words, column, is_descending)
        if rows is not self._source or key != self._key:
            words = self.words.casefold()
            found = [row for row in rows if not words or any(words in str(cell).casefold() for cell in cells(row))]
            if column is not None:
                found.sort(key=lambda row: _rank(cells(row)[column]), reverse=is_descending)
            self._source, self._key, self._rows = rows, key, found
        return self._rows
