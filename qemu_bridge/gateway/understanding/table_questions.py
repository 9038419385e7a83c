"""Questions about a table of the kernel's, answered from what `tables` says of it: which rows, in which order, or how many.

Each token of the question has to be accounted for, as a condition, a column with a number, an order, or as one that says nothing beside them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..rows import Condition
from .quantities import NEGATED, PAGE
from .reading import Owner, Reading
from .request import Meaning, Request, Unsure, overlay
from .tables import TABLES, Column, Table
from .token import Token

TOP = 10
"""How many rows are shown of the greatest, if that is not said."""
_AROUND = frozenset({"show", "running", "all", "and", "use", "has"})
_ORDER = {"most", "least", "sort", "limit", "count", "ascending", "descending", "by_name"}
_EXTENTS = ("largest", "biggest", "smallest", "big", "large", "greatest", "tiniest", "heaviest")
_COUNTED = ("object", "thread")
"""Columns that count things which have a size of their own: the largest objects are not the most."""
_FIRST_NOUNS = {"processes": "thread", "threads": "process"}
"""A noun that says, where it comes first, that another table is asked about."""


@dataclass
class _Rows:
    """What has been understood so far of which rows are wanted."""

    where: list[Condition] = field(default_factory=list)
    says: list[str] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    has_more_than_names: bool = False

    def add(self, condition: Condition, words: str, is_negated: bool, *tokens: int, is_name: bool = False) -> None:
        """Take a condition, or its contrary; a row that is only named is no question for a table."""
        self.has_more_than_names |= is_negated or not is_name
        if is_negated:
            condition = Condition(condition.column, condition.value, NEGATED[condition.operator])
            words = f"not {words}"
        self.where.append(condition)
        self.says.append(words)
        self.used.update(tokens)


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
    if reading.asks_state and reading.has("quantity") and is_one and not reading.asks_which:
        return None  # is the page cache larger than 1M: a total, not rows
    rows = _Rows()
    for read in (_quantities, _relations, _texts, _owners, _numbers, _conditions):
        read(table, reading, rows)
    return _shaped(table, reading, rows)


def _is_named(table: Table, reading: Reading) -> bool:
    if table.overlay == "processes" and reading.within({"quantity"}, {"memory", "size", "show", "thread"}):
        return True  # memory >= 1M
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


# --- numbers -----------------------------------------------------------------------------------------------------


def _quantities(table: Table, reading: Reading, rows: _Rows) -> None:
    """``more than 4 threads``, ``size > 1M``, ``larger than 1 MiB``."""
    for at, token in enumerate(reading.tokens):
        if token.kind != "quantity":
            continue
        place = next((i for i in (at + 1, at - 1) if _column_at(table, reading, i, rows)), None)
        column = (
            _column_of(table, reading.tokens[place].concept, token)
            if place is not None
            else _column_of_size(table, token)
        )
        condition = None if column is None else _compared(column, token)
        if condition is None:
            continue
        rows.add(*condition, token.is_negated, at, *(() if place is None else (place,)))


def _column_at(table: Table, reading: Reading, at: int, rows: _Rows) -> bool:
    if not 0 <= at < len(reading.tokens) or at in rows.used or (at > 0 and reading.tokens[at].is_negated):
        return False
    return reading.tokens[at].concept in table.columns


def _column_of(table: Table, concept: str, quantity: Token) -> Column | None:
    """The column that a concept names, for a quantity of its unit: objects larger than 64 bytes are of that size."""
    column = table.columns[concept]
    if not quantity.has_unit or column.unit in ("bytes", "pages"):
        return column
    return table.columns.get(f"{concept}_size") or (
        _column_of_size(table, quantity) if concept in table.nouns else None
    )


def _column_of_size(table: Table, quantity: Token) -> Column | None:
    return table.columns[table.size] if table.size and quantity.has_unit else None


def _compared(column: Column, quantity: Token) -> tuple[Condition, str] | None:
    """The condition that a column compares so, and its words; None if the units do not fit."""
    number, operator = quantity.number, quantity.operator
    words = f"{column.name.replace('_', ' ')} {operator} {number}{' bytes' if column.unit == 'bytes' else ''}"
    if quantity.has_unit and column.unit == "pages":
        words = f"memory {operator} {number} bytes"
        if number % PAGE and operator in ("=", "!="):
            return None
        # Of whole pages, those that are more than 1000 bytes are more than 0 pages, and at least 1.
        number = number // PAGE if operator in (">", "<=", "=", "!=") else -(-number // PAGE)
    return Condition(column.name, str(number), operator), words


def _numbers(table: Table, reading: Reading, rows: _Rows) -> None:
    """Numbers that name something: a user, a port, a CPU; and those beside a column: nice 5."""
    for at, token in enumerate(reading.tokens):
        number = str(token.number)
        if token.kind == "uid" and any(column.name == "uid" for column in table.columns.values()):
            rows.add(Condition("uid", number), f"of user {number}", token.is_negated, at)
        elif token.kind == "descriptor" and table.overlay == "open-files":
            rows.add(Condition("descriptor", number), f"descriptor {number}", token.is_negated, at)
        elif token.kind == "ip" and table.overlay == "sockets":
            is_here = re.search(
                r"\b(on|at|bound to|local)( address)?$", reading.question.lower().split(token.text)[0].strip()
            )
            value = token.text if ":" in token.text else f"{token.text}:*"
            rows.add(
                Condition("local" if is_here else "remote", value),
                f"{'on' if is_here else 'with'} {token.text}",
                token.is_negated,
                at,
            )
        elif token.kind == "cpu_number" and "cpu" in table.columns:
            rows.add(Condition("cpu", number), f"on CPU {number}", token.is_negated, at)
        elif token.kind == "remote_number" and "who" in reading.question.lower():
            continue  # at which end is not said
        elif token.kind in ("port_number", "remote_number") and table.overlay == "sockets":
            column, words = ("local", "on") if token.kind == "port_number" else ("remote", "to")
            rows.add(Condition(column, f"*:{number}"), f"{words} port {number}", token.is_negated, at)
        elif token.kind == "number":
            for place in (at + 1, at - 1):
                beside = reading.tokens[place] if 0 <= place < len(reading.tokens) else token
                if beside.concept in table.columns and beside.concept not in table.nouns and place not in rows.used:
                    name = table.columns[beside.concept].name
                    rows.add(Condition(name, number), f"{name.replace('_', ' ')} {number}", token.is_negated, at, place)
                    break


# --- what is named -------------------------------------------------------------------------------------------------


def _relations(table: Table, reading: Reading, rows: _Rows) -> None:
    """Whose child a process is."""
    child = next((at for at, token in enumerate(reading.tokens) if token.concept == "child"), None)
    if child is None or table.overlay != "processes":
        return
    for at, token in enumerate(reading.tokens):
        owner = _owner(reading, token)
        known = reading.pids(owner) if owner is not None else []
        if len(known) == 1:
            is_negated = token.is_negated or reading.tokens[child].is_negated
            words = f"children of process {known[0].name} ({known[0].pid})"
            rows.add(Condition("parent_pid", str(known[0].pid)), words, is_negated, at, child)


def _owners(table: Table, reading: Reading, rows: _Rows) -> None:
    """The processes that rows are of, or are not of."""
    if not table.owner:
        return
    for at, token in enumerate(reading.tokens):
        owner = _owner(reading, token)
        if owner is None or at in rows.used:
            continue
        if table.overlay == "processes":
            rows.add(Condition(*owner.where), str(owner), token.is_negated, at, is_name=True)
            continue
        known = reading.pids(owner)
        if len(known) == 1:
            words = f"of process {known[0].name} ({known[0].pid})"
            rows.add(Condition(table.owner, str(known[0].pid)), words, token.is_negated, at, is_name=True)


def _owner(reading: Reading, token: Token) -> Owner | None:
    found = Reading([token], reading.names).owners
    return found[0] if found else None


def _texts(table: Table, reading: Reading, rows: _Rows) -> None:
    """Names, paths, and what they are like."""
    like = next((at for at, token in enumerate(reading.tokens) if token.concept in ("like", "string")), None)
    for at, token in enumerate(reading.tokens):
        if at in rows.used:
            continue
        if token.kind == "path" and table.path:
            below = at > 0 and reading.tokens[at - 1].concept == "below"
            value = token.text.rstrip("/") + "/*" if below or token.text.endswith("/") else token.text
            words = f"below {token.text}" if below else token.text
            rows.add(
                Condition(table.path, value),
                words,
                token.is_negated,
                at,
                *((at - 1,) if below else ()),
                is_name=not below,
            )
        elif table.overlay == "areas" and token.kind == "unknown" and re.fullmatch("[r-][w-][x-][ps-]?", token.text):
            letters = token.text.replace("-", "?").ljust(4, "?")
            rows.add(Condition("permissions", letters), token.text, token.is_negated, at)
        elif token.kind == "pattern":
            rows.add(
                Condition(table.text, _path_pattern(table, token.text)), f"like {token.text}", token.is_negated, at
            )
            rows.used |= {like} if like is not None else set()
        elif table.overlay == "mounts" and (token.concept == "filesystem" or token.text.lower() in ("tmpfs", "proc")):
            rows.add(Condition("filesystem", token.text.lower()), f"of type {token.text.lower()}", token.is_negated, at)
        elif like is not None and like == at - 1 and _is_text(reading, token):
            command_line = next((i for i, each in enumerate(reading.tokens) if each.concept == "command_line"), None)
            column = "command_line" if command_line is not None and table.overlay == "processes" else table.text
            value = _like(reading.tokens[like].text.lower(), token.text)
            is_negated = token.is_negated or reading.tokens[like].is_negated
            rows.add(Condition(column, value), f"{column.replace('_', ' ')} like {value}", is_negated, at, like)
            rows.used |= {command_line} if command_line is not None else set()
        elif token.kind == "name" and (name := _name_of_kind(reading, token, table.kind)):
            rows.add(Condition(table.text, name), name, token.is_negated, at, is_name=True)


def _is_text(reading: Reading, token: Token) -> bool:
    """Whether a word behind ``called`` or ``containing`` is a text, not just the name of a process that is called so."""
    said = next(each.text.lower() for each in reading.tokens if each.concept in ("like", "string"))
    return token.kind in ("unknown", "quoted") or (
        token.kind == "name" and said not in ("called", "named", "name", "with the name")
    )


def _path_pattern(table: Table, text: str) -> str:
    return f"*{text}" if table.text == "path" and not text.startswith("*") else text


def _name_of_kind(reading: Reading, token: Token, kind: str) -> str:
    named = Reading([token], reading.names).named(kind) if kind else []
    return named[0] if named else ""


def _like(said: str, text: str) -> str:
    """The pattern that ``starting with`` and the like mean."""
    if re.search(r"start|begin", said):
        return f"{text}*"
    if "end" in said:
        return f"*{text}"
    return f"{text}*" if said in ("called", "named", "name", "with the name") else f"*{text}*"


# --- adjectives, order, and the rest ---------------------------------------------------------------------------------


def _conditions(table: Table, reading: Reading, rows: _Rows) -> None:
    for at, token in enumerate(reading.tokens):
        is_counted = token.concept in table.columns and (
            table.columns[token.concept].unit not in ("", "bytes") or token.concept == "parent"
        )
        if at not in rows.used and token.is_negated and is_counted and token.concept not in table.nouns:
            name = table.columns[token.concept].name
            rows.add(Condition(name, "0"), f"no {token.text}", False, at)
            continue
        if at in rows.used or token.concept not in table.conditions:
            continue
        if token.concept in table.around | _AROUND and not token.is_negated:
            continue
        condition, words = table.conditions[token.concept]
        if token.concept == "established" and reading.has("unix"):
            condition = Condition("state", "CONNECTED")  # so UNIX sockets call it
        rows.add(condition, words, token.is_negated, at)


def _shaped(table: Table, reading: Reading, rows: _Rows) -> Request | Unsure | None:
    """The request for the rows, if nothing is left that is not understood."""
    left = [token for at, token in enumerate(reading.tokens) if at not in rows.used]
    rest = {token.concept or token.kind for token in left} - table.nouns
    if any(token.is_negated for token in left) or _contradicts(rows):
        return None
    if (
        table.overlay == "processes"
        and reading.asks_whether
        and reading.owners
        and not reading.has("child", "parent")
        and not any(token.is_negated for token in reading.tokens)
    ):
        return None  # its row tells whether it is so
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
    around = _AROUND | table.around | (_ORDER if column else {"count"})
    around |= {"user"} if any(condition.column == "uid" for condition in rows.where) else set()
    is_measured = column is not None or any(token.kind == "quantity" for token in reading.tokens)
    around |= set(table.columns) if is_measured else set()
    if not rest <= around or not (column or rows.has_more_than_names):
        return None
    if {"uid", "user"} & rest and not any(condition.column == "uid" for condition in rows.where) and not column:
        return None
    return _request(table, reading, rows, column, is_count)


def _contradicts(rows: _Rows) -> bool:
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


def _request(table: Table, reading: Reading, rows: _Rows, column: Column | None, is_count: bool) -> Request:
    says = f"{'how many ' if is_count else ''}{table.says}" + (": " if rows.says else "") + ", ".join(rows.says)
    if column is None:
        return overlay(table.overlay, says, where=rows.where, count=is_count)
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
