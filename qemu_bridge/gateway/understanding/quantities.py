"""What numbers mean: the number of something (``pid 97``), so many of something (``top 5``), or what something is compared with (``more than 4``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .token import Token

OPERATORS = {"greater": ">", "less": "<", "at_least": ">=", "at_most": "<=", "equals": "=", "differs": "!="}
"""The operator that a concept stands for."""
NEGATED = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "=": "!=", "!=": "="}
"""The operator that holds where another does not."""
PAGE = 4096
_NAMED_AFTER = {
    "pid": "pid",
    "child": "pid",
    "parent": "pid",
    "command_line": "pid",
    "stack_trace": "pid",
    "kernel_stack": "pid",
    "page_table": "pid",
    "process": "pid",
    "user": "uid",
    "port": "port_number",
    "viewer": "session",
    "remote_port": "remote_number",
    "listen": "port_number",
    "frame": "frame_number",
    "epoch": "epoch_number",
    "since": "epoch_number",
    "thread": "pid",
    "page": "frame_number",
    "map": "pid",
    "open_file": "pid",
}
"""What a number after a concept is the number of."""
_PARTS_FROM_NUMBER = ("have", "has", "having", "with", "using", "than", "at", "over", "under")
"""Words behind which a number is no name of what stands before them: processes with 3 threads."""
_PLACED_AFTER = ("at", "offset", "byte", "address", "location", "physical", "virtual", "from")
"""Words before a number that make it an address, if it can be one."""
_COUNTS_BEFORE = ("most", "least", "last", "first")
_COUNTS_AFTER = ("most", "least", "last", "newest", "oldest", "log", "process", "file", "module", "slab", "hot")
_COUNTS_IF_ORDERED = ("thread", "kernel_thread", "socket", "mount", "cache", "open_file")
"""Things of which a number before them is how many are wanted where an order is said: five threads with the lowest nice value."""
_ONLY_BEFORE_NUMBERS = ("over", "under", "above", "below", "beyond", "beneath", "exactly", "precisely")
"""Words that compare only with a number: over 4, but over to the heap."""
_DESCRIPTORS = ("fd", "descriptor", "file descriptor", "handle", "file handle")
_IN_FOLDERS = ("file", "cache", "open_file")
_PLACES_BEFORE_PATHS = ("under", "below", "beneath", "inside", "within", "underneath")


def read_quantities(tokens: Sequence[Token]) -> list[Token]:
    """`tokens` with each comparison and its number as one token of kind ``quantity``.

    What compares is before the number (``more than 4``), or behind it (``4 or more``).
    """
    found: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        operator = OPERATORS.get(token.concept, "")
        if _is_span(tokens, at):
            low, high = tokens[at + 1], tokens[at + 3]
            if high.has_unit and not low.has_unit:
                low = replace(low, number=low.number * _unit_of(high), has_unit=True)
            found += [_quantity(low, ">=", f"at least {low.text}"), _quantity(high, "<=", f"at most {high.text}")]
            at += 4
            continue
        number = _number_behind(tokens, at) if operator else None
        if token.text.lower() in ("negative", "positive") and token.kind != "concept":
            found.append(Token("quantity", token.text, operator="<" if token.text.lower() == "negative" else ">"))
            at += 1
        elif number is not None:
            found.append(_quantity(tokens[number], operator, f"{token.text} {tokens[number].text}"))
            at = number + 1
            if at < len(tokens) and tokens[at].text.lower() in ("bytes", "byte"):
                found[-1] = replace(found[-1], has_unit=True)
                at += 1
            if tokens[number].kind == "filler" and at < len(tokens) and tokens[at].concept == "page":
                # Larger than a page.
                found[-1] = replace(found[-1], number=PAGE, has_unit=True)
                at += 1
        elif operator and found and found[-1].kind == "number" and token.concept in ("at_least", "at_most"):
            found[-1] = _quantity(found[-1], operator, f"{found[-1].text} {token.text}")
            at += 1
        elif _is_folder(tokens, at):
            found.append(replace(token, kind="concept", concept="below"))
            at += 1
        elif operator and token.text.lower() in _ONLY_BEFORE_NUMBERS:
            is_place = at + 1 < len(tokens) and tokens[at + 1].kind == "path"
            found.append(replace(token, concept="below") if is_place else replace(token, kind="filler", concept=""))
            at += 1
        else:
            is_place = (
                token.text.lower() in _PLACES_BEFORE_PATHS and at + 1 < len(tokens) and tokens[at + 1].kind == "path"
            )
            found.append(replace(token, kind="concept", concept="below") if is_place else token)
            at += 1
    return found


def _is_span(tokens: Sequence[Token], at: int) -> bool:
    """Whether from here on it says between which numbers something is: between 1 and 4 MB."""
    part = tokens[at : at + 4]
    return [token.text.lower() if i % 2 == 0 else token.kind for i, token in enumerate(part)] == [
        "between",
        "number",
        "and",
        "number",
    ]


def _unit_of(number: Token) -> int:
    return next(unit for unit in (1 << 30, 1 << 20, 1 << 10, 1) if number.number >= unit and not number.number % unit)


def _is_folder(tokens: Sequence[Token], at: int) -> bool:
    """Whether a word stands between files and the folder that they are in: files in /etc."""
    is_between = (
        tokens[at].text.lower() in ("in", "from", "of", "on") and at + 1 < len(tokens) and tokens[at + 1].kind == "path"
    )
    return is_between and any(token.concept in _IN_FOLDERS and token.is_plural for token in tokens[:at])


def _number_behind(tokens: Sequence[Token], at: int) -> int | None:
    """Where the number is that the comparison at `at` compares with: behind it, but for words that say nothing."""
    at += 1
    while at < len(tokens) and tokens[at].kind == "filler" and tokens[at].text.lower() not in ("one", "a", "an"):
        at += 1
    if at >= len(tokens):
        return None
    is_one_page = tokens[at].text.lower() in ("one", "a", "an") and tokens[at].kind == "filler"
    return at if tokens[at].kind == "number" or is_one_page else None


def _quantity(number: Token, operator: str, text: str) -> Token:
    value = number.number if number.kind == "number" else 1
    return Token("quantity", text, number=value, operator=operator, has_unit=number.has_unit)


def attach_numbers(tokens: Sequence[Token]) -> Iterator[Token]:
    """Numbers with the meaning that the word before or after them gives them; ``pid`` before one says no more than that."""
    for at, token in enumerate(tokens):
        if token.concept == "pid" and (after := _neighbour(tokens, at, 1)) is not None and after.kind == "number":
            yield replace(token, kind="filler", concept="")
            continue
        if token.text.lower() in ("cpu", "on cpu") and at + 1 < len(tokens) and tokens[at + 1].kind == "number":
            continue
        if at and token.kind == "number" and tokens[at - 1].text.lower() in ("cpu", "on cpu"):
            yield replace(token, kind="cpu_number")
            continue
        if token.text.lower() == "first" and at + 1 < len(tokens) and tokens[at + 1].kind == "number":
            yield replace(token, kind="filler")
            continue
        if (
            token.kind == "address"
            and at + 1 < len(tokens)
            and tokens[at + 1].text.lower() in ("bytes", "byte", "bytes at", "bytes from")
        ):
            yield replace(token, kind="length")
            continue
        if token.kind != "number":
            yield token
            continue
        if at and tokens[at - 1].text.lower().split()[-1] in _PLACED_AFTER and token.number >= PAGE:
            yield replace(token, kind="address", text=f"{token.number:#x}")
            continue
        if (
            at > 1
            and tokens[at - 1].text.lower() in ("of", "for")
            and tokens[at - 2].concept in ("nice", "command_line", "status")
        ):
            yield replace(token, kind="pid")
            continue
        same = _joined_number(tokens, at)
        if same and not token.has_unit:
            yield replace(token, kind=same)
            continue
        before = _neighbour(tokens, at, -1)
        after = _neighbour(tokens, at, 1)
        if (
            before is not None
            and before.concept == "file"
            and before.text.lower().startswith("lib")
            and not token.has_unit
        ):
            yield replace(token, kind="pid")
        elif before is not None and before.text.lower() in _DESCRIPTORS:
            yield replace(token, kind="descriptor")
        elif (
            before is not None and before.concept in _NAMED_AFTER and not token.has_unit and not _is_parted(tokens, at)
        ):
            yield replace(token, kind=_NAMED_AFTER[before.concept])
        elif after is not None and after.concept == "second":
            yield replace(token, kind="seconds", text=str(token.number))
        elif (after is not None and after.text.lower().split()[0] in ("bytes", "byte", "b", "words")) or token.has_unit:
            yield replace(token, kind="length")
        elif at == len(tokens) - 1 and any(each.concept in ("most", "least") for each in tokens):
            yield replace(token, kind="limit")  # biggest files 3
        elif (before is not None and (before.concept in _COUNTS_BEFORE or before.text.lower() == "first")) or (
            after is not None
            and (after.concept in _COUNTS_AFTER or (after.concept in _COUNTS_IF_ORDERED and _is_ordered(tokens)))
        ):
            yield replace(token, kind="limit")
        else:
            yield token


def _joined_number(tokens: Sequence[Token], at: int) -> str:
    """What the number is the number of that ``and`` or ``or`` joins to the one at `at`: port 22 or 80."""
    if at < 3 or tokens[at - 1].text.lower() not in ("and", "or") or tokens[at - 2].kind != "number":
        return ""
    before = tokens[at - 3].concept
    return _NAMED_AFTER.get(before, "") if before in ("port", "listen", "pid", "user", "process") else ""


def _is_ordered(tokens: Sequence[Token]) -> bool:
    return any(token.concept in ("most", "least") for token in tokens)


def _is_parted(tokens: Sequence[Token], at: int) -> bool:
    return at > 0 and tokens[at - 1].kind == "filler" and tokens[at - 1].text.lower().split()[-1] in _PARTS_FROM_NUMBER


def _neighbour(tokens: Sequence[Token], at: int, step: int) -> Token | None:
    """The next token that is no filler, except ``first`` and units."""
    at += step
    while 0 <= at < len(tokens):
        if tokens[at].kind != "filler" or tokens[at].text.lower() in ("first", "bytes", "byte"):
            return tokens[at]
        at += step
    return None
