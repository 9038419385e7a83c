"""Results cut to a size that is worth reading, with a pointer to the rest.

>>> cut_to_page({"value": [1, 2, 3]}, offset=0, limit=2)
{'value': [1, 2], 'page': {'of': 'value', 'offset': 0, 'shown': 2, 'total': 3, 'next_offset': 2}}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

LIMIT, MOST_ROWS = 40, 500
MOST_BYTES = 24_000
"""Of a result's JSON; a page has fewer rows where they are long."""
_MOST_LETTERS = 6000
_DEPTH = 3

Json = Any


def cut_to_page(value: Json, offset: int = 0, limit: int = LIMIT) -> dict[str, Json]:
    """`value` as an object whose longest list has at most `limit` rows from `offset` on, and ``page`` that says what was left out.

    Long texts are cut too, and say so.
    """
    found = value if isinstance(value, dict) else {"value": value}
    path, rows = max(_lists(found), key=lambda each: len(each[1]), default=((), []))
    limit = min(max(limit, 1), MOST_ROWS)
    while True:
        made = _page(found, path, rows, max(offset, 0), limit)
        if limit == 1 or len(msgspec.json.encode(made)) <= MOST_BYTES:
            return made
        limit //= 2


def _page(value: dict[str, Json], path: tuple[str, ...], rows: list[Json], offset: int, limit: int) -> dict[str, Json]:
    shown = rows[offset : offset + limit]
    made: dict[str, Json] = _shorten(_with(value, path, shown) if path else value, path)
    if path and len(shown) < len(rows):
        page = {"of": ".".join(path), "offset": offset, "shown": len(shown), "total": len(rows)}
        end = offset + len(shown)
        made["page"] = page | ({"next_offset": end} if end < len(rows) else {})
    return made


def _lists(value: dict[str, Json], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], list[Json]]]:
    for name, one in value.items():
        if isinstance(one, list) and name != "skipped":
            yield (*path, name), one
        elif isinstance(one, dict) and len(path) < _DEPTH:
            yield from _lists(one, (*path, name))


def _with(value: dict[str, Json], path: tuple[str, ...], rows: list[Json]) -> dict[str, Json]:
    first, rest = path[0], path[1:]
    return value | {first: _with(value[first], rest, rows) if rest else rows}


def _shorten(value: Json, kept: tuple[str, ...] | None) -> Json:
    """Texts and lists that are still long, cut; the list at path `kept` is a page already."""
    if isinstance(value, str) and len(value) > _MOST_LETTERS:
        return f"{value[:_MOST_LETTERS]}… ({len(value) - _MOST_LETTERS} letters more; ask for less at a time)"
    if isinstance(value, dict):
        return {name: _shorten(one, kept[1:] if kept and kept[0] == name else None) for name, one in value.items()}
    if isinstance(value, list):
        short = value if kept == () else value[:LIMIT]
        more = [f"… ({len(value) - LIMIT} more)"] if len(short) < len(value) else []
        return [_shorten(one, None) for one in short] + more
    return value
