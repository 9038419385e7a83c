"""Which rows of a table a question wants: its conditions, from numbers, names, texts and adjectives.

Each part that is read marks the tokens that it used, so that `table_questions` sees what is left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..rows import Condition
from .quantities import NEGATED, PAGE
from .reading import Owner, Reading
from .tables import LEVELS, Column, Table
from .token import Token

AROUND = frozenset({"show", "running", "all", "and", "use", "has"})
"""Concepts that say nothing beside a table's."""


@dataclass
class Rows:
    """What has been understood so far of which rows are wanted."""

    where: list[Condition] = field(default_factory=list)
    says: list[str] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    places: list[tuple[int, int]] = field(default_factory=list)
    has_more_than_names: bool = False

    def add(self, condition: Condition, words: str, is_negated: bool, *tokens: int, is_name: bool = False) -> None:
        """Take a condition, or its contrary; a row that is only named is no question for a table."""
        self.has_more_than_names |= is_negated or not is_name
        if is_negated:
            condition = Condition(condition.column, condition.value, NEGATED[condition.operator])
            words = f"not {words}"
        self.used.update(tokens)
        if condition in self.where:
            return
        self.where.append(condition)
        self.says.append(words)
        self.places.append((min(tokens), max(tokens)))


# --- numbers -----------------------------------------------------------------------------------------------------


def _quantities(table: Table, reading: Reading, rows: Rows) -> None:
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


def _column_at(table: Table, reading: Reading, at: int, rows: Rows) -> bool:
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


def _numbers(table: Table, reading: Reading, rows: Rows) -> None:
    """Numbers that name something: a user, a port, a CPU; and those beside a column: nice 5."""
    for at, token in enumerate(reading.tokens):
        number = str(token.number)
        if at in rows.used:
            continue
        if token.kind == "uid" and any(column.name == "uid" for column in table.columns.values()):
            rows.add(Condition("uid", number), f"of user {number}", token.is_negated, at)
        elif token.kind == "descriptor" and table.overlay == "open-files":
            rows.add(Condition("descriptor", number), f"descriptor {number}", token.is_negated, at)
        elif token.kind == "ip" and table.overlay == "sockets":
            is_here = re.search(
                r"\b(on|at|bound to|local)( address)?$", reading.question.lower().split(token.text)[0].strip()
            )
            port = next((i for i in (at + 1, at + 2) if _kind_at(reading, i) in ("port_number", "remote_number")), None)
            value = (
                token.text
                if ":" in token.text
                else f"{token.text}:{'*' if port is None else reading.tokens[port].number}"
            )
            rows.add(
                Condition("local" if is_here else "remote", value),
                f"{'on' if is_here else 'with'} {value}",
                token.is_negated,
                at,
                *(() if port is None else (port,)),
            )
        elif token.kind == "cpu_number" and "cpu" in table.columns:
            rows.add(Condition("cpu", number), f"on CPU {number}", token.is_negated, at)
        elif token.kind == "remote_number" and "who" in reading.question.lower():
            continue  # at which end is not said
        elif token.kind in ("port_number", "remote_number") and table.overlay == "sockets":
            column, words = ("local", "on") if token.kind == "port_number" else ("remote", "to")
            noun = (at - 1,) if at and reading.tokens[at - 1].concept in ("port", "remote_port") else ()
            rows.add(Condition(column, f"*:{number}"), f"{words} port {number}", token.is_negated, at, *noun)
        elif token.kind == "number":
            for place in (at + 1, at - 1):
                beside = reading.tokens[place] if 0 <= place < len(reading.tokens) else token
                is_name = place > at and beside.concept in table.columns and not table.columns[beside.concept].unit
                if is_name:
                    continue  # 97 open files are not descriptor 97
                if beside.concept in table.columns and beside.concept not in table.nouns and place not in rows.used:
                    name = table.columns[beside.concept].name
                    rows.add(Condition(name, number), f"{name.replace('_', ' ')} {number}", token.is_negated, at, place)
                    break


def _kind_at(reading: Reading, at: int) -> str:
    return reading.tokens[at].kind if at < len(reading.tokens) else ""


# --- what is named -------------------------------------------------------------------------------------------------


def _relations(table: Table, reading: Reading, rows: Rows) -> None:
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


def _owners(table: Table, reading: Reading, rows: Rows) -> None:
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


def _texts(table: Table, reading: Reading, rows: Rows) -> None:
    """Names, paths, and what they are like."""
    like = next(
        (
            at
            for at, token in enumerate(reading.tokens)
            if token.concept in ("like", "string") or token.text.lower().startswith("mention")
        ),
        None,
    )
    for at, token in enumerate(reading.tokens):
        if at in rows.used:
            continue
        if token.kind == "path" and table.path:
            below = at > 0 and reading.tokens[at - 1].concept == "below"
            is_folder = below or (token.text.endswith("/") and token.text != "/")
            value = token.text.rstrip("/") + "/*" if is_folder else token.text
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
        elif like is not None and like == at - 1 and _is_text(table, reading, token):
            command_line = next((i for i, each in enumerate(reading.tokens) if each.concept == "command_line"), None)
            column = "command_line" if command_line is not None and table.overlay == "processes" else table.text
            value = _path_pattern(table, _like(reading.tokens[like].text.lower(), token.text))
            is_negated = token.is_negated or reading.tokens[like].is_negated
            rows.add(Condition(column, value), f"{column.replace('_', ' ')} like {value}", is_negated, at, like)
            rows.used |= {command_line} if command_line is not None else set()
        elif (
            token.kind == "name"
            and not (table.owner and _is_process(token))
            and (name := _name_of_kind(reading, token, table.kind))
        ):
            rows.add(Condition(table.text, name), name, token.is_negated, at, is_name=True)


def _is_process(token: Token) -> bool:
    return bool(token.matches) and token.matches[0].kind == "process"


def _is_text(table: Table, reading: Reading, token: Token) -> bool:
    """Whether a word behind ``called`` or ``containing`` is a text, not just the name of a process that is called so."""
    said = next((each.text.lower() for each in reading.tokens if each.concept in ("like", "string")), "")
    is_called = said in ("called", "named", "name", "with the name")
    return token.kind in ("unknown", "quoted") or (token.kind == "name" and (table.text == "path" or not is_called))


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


def _conditions(table: Table, reading: Reading, rows: Rows) -> None:
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
        if token.concept in table.around | AROUND and not token.is_negated:
            continue
        condition, words = table.conditions[token.concept]
        if token.concept == "established" and reading.has("unix"):
            condition = Condition("state", "CONNECTED")  # so UNIX sockets call it
        if token.concept == "listen" and reading.has("udp", "udp6") and not reading.has("tcp", "tcp6"):
            condition, words = (
                Condition("state", "ESTABLISHED", "!="),
                "not connected to one peer",
            )  # UDP has no other listening
        after = reading.tokens[at + 1].concept if at + 1 < len(reading.tokens) else ""
        if condition.column == "level" and after == "at_least" and not token.is_negated:
            severe = LEVELS[: LEVELS.index(condition.value) + 1]
            rows.add(Condition("level", "|".join(severe)), f"{words} or worse", False, at, at + 1)
            continue
        rows.add(condition, words, token.is_negated, at)


def join(table: Table, reading: Reading, rows: Rows) -> None:
    """Make one condition of two of a column that ``and`` or ``or`` joins: errors or warnings."""
    at = 0
    while at + 1 < len(rows.where):
        one, other = rows.where[at], rows.where[at + 1]
        start, end = sorted(rows.places[at : at + 2])
        between = reading.tokens[start[1] + 1 : end[0]]
        is_joined = any(token.concept in ("and", "or") for token in between) and all(
            token.concept in ("and", "or") or token.concept in table.nouns | table.around for token in between
        )
        if not (is_joined and one.column == other.column != "permissions" and one.operator == other.operator == "="):
            at += 1
            continue
        rows.where[at : at + 2] = [Condition(one.column, f"{one.value}|{other.value}")]
        rows.says[at : at + 2] = [f"{rows.says[at]} or {rows.says[at + 1]}"]
        rows.places[at : at + 2] = [end]
        rows.has_more_than_names = True
        rows.used |= {i for i in range(start[1], end[0]) if reading.tokens[i].concept in ("and", "or")}


READERS = (_quantities, _relations, _texts, _owners, _numbers, _conditions)
"""What reads conditions, in this order."""
