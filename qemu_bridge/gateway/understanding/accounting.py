"""Whether a request accounts for every word of its question: what it leaves out is asked about, never passed over.

Topics say what a question may mean; here is checked that nothing of it got lost on the way: each token has to be in a mark of the request
(`marks`), or in the text of its command.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .marks import MARKS, WORDS, marks_in, marks_of
from .names import Names
from .quantities import NEGATED, PAGE
from .request import Request
from .tables import TABLES
from .token import Token

_DONE_BY_ONE = {"name", "pid", "root", "kernel", "process"}
_RELATIONS = ("parent", "child")
_OUTPUTS = (".png", ".mp4", ".gbt")
_LOOK = ("show", "highlight", "go", "colour", "draw", "viewer")
_HAVING = {"use", "map", "open", "open_file", "identify", "shared", "has", "memory", "read", "change", "socket", "listen"}  # fmt: skip


def left_over(tokens: Sequence[Token], request: Request, names: Names) -> list[Token]:
    """Those of a question's `tokens` that `request` does not account for."""
    marks = frozenset(marks_in(request))
    text = f"{' '.join(request.words)} {request.says}".lower()
    left = [
        token
        for at, token in enumerate(tokens)
        if not (
            _in_negation(token, request, marks) if token.is_negated else _is_in(tokens, at, request, marks, text, names)
        )
    ]
    # The parent of the parent is not the parent.
    left += [token for token in tokens if token.concept in _RELATIONS][1:]
    if not left and sum(token.is_negated for token in tokens) > _negations(request):
        left = [token for token in tokens if token.is_negated]
    return left


def _is_in(tokens: Sequence[Token], at: int, request: Request, marks: frozenset[str], text: str, names: Names) -> bool:
    token = tokens[at]
    if token.kind == "concept":
        if token.concept == "only":
            return not _is_exclusive(tokens, at)
        if token.text.lower() == "between" and "read" in marks:
            return [each.kind for each in tokens].count("address") == 2
        if token.concept == "or" and "ended" in marks:
            return any(each.concept == "ended" for each in tokens)  # is it running or has it ended
        if token.concept == "start" and "processes" in marks and any(each.concept == "command_line" for each in tokens):
            return True  # with which arguments it was started
        if token.concept == "and" and not marks & {"hide", "only"} and _joins_tables(tokens, at):
            return False
        if (
            token.concept == "user"
            and "processes" in marks
            and any(each.concept in ("most", "least") for each in tokens)
        ):
            return "uid" in marks  # the user of most processes is no process
        if token.concept == "identify" and token.text.lower() in _WHO and marks & _OWNERLESS and "target" not in marks:
            return False
        if token.concept == "use" and _is_using(tokens, at):
            return "total" not in marks
        if token.concept == "use" and "highlight" in marks:
            return any(each.concept in _LOOK for each in tokens)
        if token.concept == "root" and "sockets" in marks:
            return not any(each.concept == "process" for each in tokens)
        word = token.text.lower()
        of_word = WORDS.get(word, WORDS.get(word.removesuffix("s")))
        known = set(of_word.split()) if of_word is not None else marks_of(token.concept)
        return bool(known & marks) or f"text:{word}" in marks
    if token.kind == "name":
        meant = {name for match in token.matches for name in match.names}
        known = {name.lower() for name in meant} | {f"pid:{each.pid}" for each in names.processes if each.name in meant}
        return any(name in text for name in known) or f"text:{token.text.lower()}" in marks
    if token.kind == "path" and token.text.endswith(_OUTPUTS) and "target" in marks:
        return False
    if token.kind == "limit":
        return token.number in (request.shape.first, request.shape.last) or "-n" in request.words
    if token.kind == "quantity":
        values = {token.number, token.number // PAGE, -(-token.number // PAGE)}
        return any(
            condition.operator in (token.operator, NEGATED.get(token.operator)) and condition.value in map(str, values)
            for condition in request.shape.where
        )
    if "--hex" in request.words and token.kind in ("address", "number", "unknown"):
        return token.text.lower().removeprefix("0x") in request.words[-1].lower()
    if token.kind == "address" and not token.text[:1].isdigit() and "+" in token.text:
        return token.text.lower() in text
    if token.kind in ("address", "frame_number", "number", "length"):
        return any(f"{number:{form}}" in text for number in (token.number, token.number << 12) for form in ("d", "#x"))
    if token.kind in ("pid", "uid", "port_number", "remote_number", "cpu_number", "epoch_number", "descriptor", "session"):  # fmt: skip
        return re.search(rf"(?<!\d){token.number}(?!\d)", text) is not None
    return _is_word_of(text, token.text.lower().strip("*")) or _is_word_of(text, re.sub("0x| ", "", token.text.lower()))


def _is_word_of(text: str, word: str) -> bool:
    """Whether `word` is in `text`, and not only as a part of another: ``hl`` is not in ``highlight``."""
    start, end = (r"(?<!\w)" if word[:1].isalnum() else ""), (r"(?!\w)" if word[-1:].isalnum() else "")
    return re.search(f"{start}{re.escape(word)}{end}", text) is not None


def _in_negation(token: Token, request: Request, marks: frozenset[str]) -> bool:
    if " - " in str(request.arguments.get("target", "")):
        return token.kind != "concept" or token.concept == "shared" or bool(marks_of(token.concept) & marks)
    if token.kind == "concept":
        columns = {f"no {mark}" for mark in MARKS.get(token.concept, "").split()}
        return bool((marks_of(token.concept, negated=True) | columns) & marks) or (
            "negated" in marks and f"text:{token.text.lower()}" in marks
        )
    if token.kind == "quantity":
        return any(condition.operator == NEGATED.get(token.operator) for condition in request.shape.where)
    return "negated" in marks


def _negations(request: Request) -> int:
    target = str(request.arguments.get("target", ""))
    return 99 if " - " in target or request.words[-1].startswith("only=") else len(request.shape.where)


_WHO = ("who owns", "owner", "owner of", "whose")
_OWNERLESS = {"page-cache", "slabs", "modules", "mounts", "dmesg"}
"""Tables that say nothing of who owns a row."""
_TABLES = {noun: table.overlay for table in TABLES for noun in table.nouns}


def _joins_tables(tokens: Sequence[Token], at: int) -> bool:
    """Whether ``and`` stands between two tables' names, of which an answer is one: processes and sockets, not processes and their sockets."""
    beside = [*tokens[at - 1 : at], *tokens[at + 1 : at + 2]]
    tables = {_TABLES[each.concept] for each in beside if each.concept in _TABLES and each.is_plural}
    return len(beside) == len(tables) == 2 and tokens[at].text.lower() in ("and", "&", "+", "plus")


def _is_using(tokens: Sequence[Token], at: int) -> bool:
    """Whether several things of one kind use what is named behind: modules using fat are not how much it uses."""
    return (
        0 < at < len(tokens) - 1
        and tokens[at - 1].is_plural
        and tokens[at - 1].concept in ("module", "process", "thread")
        and tokens[at + 1].kind == "name"
    )


def _is_exclusive(tokens: Sequence[Token], at: int) -> bool:
    """Whether ``only`` says that nobody else has something, or nothing else is had: what only crond maps, the only process, has only sockets."""
    before, after = tokens[:at], tokens[at + 1 : at + 3]
    is_alone = tokens[at].text.lower().startswith("the only") or (before and before[-1].concept in _HAVING)
    return bool(is_alone) or (
        len(after) == 2 and (after[0].concept or after[0].kind) in _DONE_BY_ONE and after[1].concept in _HAVING
    )
