"""HTML tables of records for notebooks. All text from a guest is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import msgspec

MOST_ROWS = 200
_IN_HEX = ("address", "base", "start", "end", "physical", "virtual", "page_table", "kernel_address", "ram_offset")


def table_html(value: Any, grade: str, skipped: Iterable[str]) -> str:  # noqa: ANN401  # any record, or several
    """The HTML of an answer's `value`: a row a record, its grade and what was left out below; at most `MOST_ROWS` rows."""
    rows = _rows(value)
    columns = list(rows[0]) if rows else []
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(column, row.get(column))}</td>" for column in columns) + "</tr>"
        for row in rows[:MOST_ROWS]
    )
    notes = [f"{len(rows)} rows, {grade}", *(f"incomplete: {sentence}" for sentence in skipped)]
    if len(rows) > MOST_ROWS:
        notes.append(f"the first {MOST_ROWS} are shown")
    foot = "".join(f"<div><small>{html.escape(note)}</small></div>" for note in notes)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{foot}"


def _rows(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # any record, or several
    if isinstance(table := getattr(value, "rows", None), tuple):
        return list(table)
    records: Iterable[Any] = value if isinstance(value, tuple) else (value,)
    return [
        msgspec.structs.asdict(record) if isinstance(record, msgspec.Struct) else {"value": record}
        for record in records
    ]


def _cell(column: str, value: Any) -> str:  # noqa: ANN401  # a field of a record
    if isinstance(value, int) and not isinstance(value, bool) and column in _IN_HEX:
        return f"{value:#x}"
    if isinstance(value, (tuple, list)):
        return html.escape(", ".join(map(str, value)))
    return "" if value is None else html.escape(str(value))
