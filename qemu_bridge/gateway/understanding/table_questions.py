"""Questions about a table of the kernel's, answered from what `tables` says of it: which rows, in which order, or how many.

Each token of the question has to be accounted for, as a condition, a column with a number, an order, or as one that says nothing beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .reading import Reading
from .request import Meaning, Request, Unsure, overlay
from .table_rows import AROUND, READERS, Rows, join
from .tables import TABLES, Column, Table

TOP = 10
"""How many rows are shown of the greatest, if that is not said."""
_ORDER = {"most", "least", "sort", "limit", "count", "ascending", "descending", "by_name"}
_EXTENTS = ("largest", "biggest", "smallest", "big", "large", "greatest", "tiniest", "heaviest")
_COUNTED = ("object", "thread")
"""Columns that count things which have a size of their own: the largest objects are not the most."""
_OF_PROCESSES = ("most", "thread", "memory", "size", "resident")
_FIRST_NOUNS = {"processes": "thread", "threads": "process"}
"""A noun that says, where it comes first, that another table is asked about."""


def table_topics() -> Iterator[Callable[[Reading], Meaning | None]]:
    """Yield a topic for each table."""
    for table in TABLES:
        yield _topic(table)


def _topic(table: Table) -> Callable[[Reading], Meaning | None]:
    def topic(reading: Reading) -> Meaning | None:
        return ask_table(table, reading)

    return topic


def ask_table(table: Table, reading: Reading) -> Meaning | None:
    """The rows of `table` that are asked for; None if something else is."""
    if (
        not _is_named(table, reading)
        or reading.unclear
        or reading.is_wish("run", "start", "launch", "execute", "load", "mount")
    ):
        return None
    is_one = not any(reading.is_plural(noun) for noun in table.nouns)
    if reading.asks_state and reading.has("quantity") and is_one and not reading.asks_which and not reading.owners:
        return None  # is the page cache larger than 1M: a total, not rows
    rows = Rows()
    for read in READERS:
        read(table, reading, rows)
    return _shaped(table, reading, rows)


def _is_named(table: Table, reading: Reading) -> bool:
    if table.overlay == "open-files" and reading.has("open") and reading.has("file") and not reading.is_wish("open"):
        return not any(token.is_negated for token in reading.tokens)
    if table.overlay == "processes" and reading.has("most") and reading.within({"sort", "limit"}, _OF_PROCESSES):
        return True  # top 10 by threads
    if table.overlay == "processes" and reading.within({"quantity"}, {"memory", "size", "show", "thread"}):
        return True  # memory >= 1M
    if (
        table.overlay == "processes"
        and reading.owners
        and reading.within({"quantity", "owner"}, {"use", "memory", "size", "thread", "has"})
    ):
        return True  # is crond larger than 1M
    concepts = [token.concept or token.kind for token in reading.tokens]
    other = _FIRST_NOUNS.get(table.overlay)
    nouns = [at for at, concept in enumerate(concepts) if concept in table.nouns and not reading.tokens[at].is_negated]
    if reading.question.lower().startswith("whose child"):
        return False  # that asks for the parent
    if reading.is_wish("open") and concepts[0] == "open":
        return False
    is_its_own = bool(table.only_here & set(concepts))
    if (
        other in concepts
        and not is_its_own
        and (not nouns or concepts.index(other) < nouns[0])
        and not _is_of_a_process(reading, other)
    ):
        return False
    return bool(nouns) or any(concept in table.implies for concept in concepts)


def _is_of_a_process(reading: Reading, noun: str) -> bool:
    """Whether a noun only says what is named behind it: process 97."""
    tokens = reading.tokens
    at = next(at for at, token in enumerate(tokens) if token.concept == noun)
    return at + 1 < len(tokens) and tokens[at + 1].kind in ("pid", "name")


def _shaped(table: Table, reading: Reading, rows: Rows) -> Request | Unsure | None:
    """The request for the rows, if nothing is left that is not understood."""
    join(table, reading, rows)
    left = [token for at, token in enumerate(reading.tokens) if at not in rows.used]
    rest = {token.concept or token.kind for token in left} - table.nouns
    if any(token.is_negated for token in left) or _contradicts(rows):
        return None
    if (
        table.overlay == "processes"
        and reading.asks_whether
        and reading.owners
        and not reading.has("child", "parent", "quantity")
        and not any(token.is_negated for token in reading.tokens)
    ):
        return None  # its row tells whether it is so
    if (
        table.overlay == "page-cache"
        and reading.has("cache")
        and (reading.named("file") or reading.has("path"))
        and not reading.asks_whether
    ):
        rows.has_more_than_names = True  # of that file in the page cache there is a row
    is_extreme = bool(rest & {"most", "least"})
    is_sorted = bool(rest & {"sort", "ascending", "descending", "by_name"})
    is_count = "count" in rest and not is_sorted
    nouns = [token.concept for token in left if token.concept in table.nouns]
    columns = [token.concept for token in left if token.concept in table.columns and token.concept not in nouns[:1]]
    if table.overlay == "sockets" and {"open", "port"} <= {token.concept for token in left}:
        return None
    if "size" in rest and any(token.concept == "size" and token.text.lower().startswith("how") for token in left):
        return None
    column = _order(table, reading, columns) if is_extreme or is_sorted else None
    if (is_extreme or is_sorted) and (column is None or is_count):
        return None
    around = (
        AROUND | table.around | (_ORDER if column else {"count"} if table.overlay == "dmesg" else {"count", "limit"})
    )
    around |= {"user"} if any(condition.column == "uid" for condition in rows.where) else set()
    is_measured = column is not None or any(token.kind == "quantity" for token in reading.tokens)
    around |= set(table.columns) if is_measured else set()
    if not rest <= around or not (column or rows.has_more_than_names):
        return None
    if {"uid", "user"} & rest and not any(condition.column == "uid" for condition in rows.where) and not column:
        return None
    return _request(table, reading, rows, column, is_count)


def _contradicts(rows: Rows) -> bool:
    """Whether a column is to be two things at once: tcp and udp sockets are no sockets."""
    equal = [
        condition.column for condition in rows.where if condition.operator == "=" and condition.column != "permissions"
    ]
    return len(set(equal)) < len(equal)


def _order(table: Table, reading: Reading, columns: list[str]) -> Column | None:
    """The column that rows are sorted by."""
    if reading.has("by_name"):
        return Column(table.text, "") if table.text in ("name", "path") and not reading.has("most", "least") else None
    words = " ".join(token.text.lower() for token in reading.tokens if token.concept == "sort")
    named = [concept for concept in columns if concept not in ("size", "memory")]
    if len(named) == 1 and not table.columns[named[0]].unit and not _is_beside(table, reading, named[0]):
        return None
    if len(named) == 1:
        is_of_size = (
            reading.has("most", "least")
            and not reading.has("sort", "count")
            and any(token.text.lower() in _EXTENTS for token in reading.tokens)
        )
        return table.columns.get(f"{named[0]}_size") if is_of_size and named[0] in _COUNTED else table.columns[named[0]]
    if named:
        return None
    rank = table.columns.get(table.rank or table.size)
    return rank if columns or reading.has("most", "least", "ascending", "descending") or " by" in f" {words}" else None


def _is_beside(table: Table, reading: Reading, column: str) -> bool:
    """Whether what is ordered by a column of names is that column: the largest pid, but not the largest process's parent, nor the user with most processes."""
    extremes = [at for at, token in enumerate(reading.tokens) if token.concept in ("most", "least")]
    place = next(at for at, token in enumerate(reading.tokens) if token.concept == column)
    return not any(token.concept in table.nouns for at in extremes for token in reading.tokens[at : max(place, at + 2)])


def _request(table: Table, reading: Reading, rows: Rows, column: Column | None, is_count: bool) -> Request:
    says = f"{'how many ' if is_count else ''}{table.says}" + (": " if rows.says else "") + ", ".join(rows.says)
    if column is None:
        first = reading.number("limit")
        says += "" if first is None else f", the first {first}"
        return overlay(table.overlay, says, where=rows.where, count=is_count, first=first)
    is_least = reading.has("least", "ascending")
    is_sorted = reading.has("sort", "ascending", "descending", "by_name") and not reading.has("most", "least")
    is_plural = any(reading.is_plural(noun) for noun in table.nouns)
    first = reading.number("limit") or (None if is_sorted else TOP if is_plural and not reading.asks_one else 1)
    is_reverse = not is_least and (bool(column.unit) or reading.has("most", "descending"))
    which = ("greatest" if is_reverse else "least") if column.unit else "last" if is_reverse else "first"
    says += f", by {column.name.replace('_', ' ')}: the {which} " + (
        "first" if first is None else "one" if first == 1 else f"{first}"
    )
    return overlay(table.overlay, says, where=rows.where, sort=column.name, reverse=is_reverse, first=first)
