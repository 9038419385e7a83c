"""What the topics make of a question as it was read: of all of its words, without those that say little, or nearly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...wire.operations import Permission
from .accounting import left_over
from .reading import Reading
from .request import Meaning, Request, Unsure
from .tables import STATES, TABLES
from .token import Token
from .topics import TOPICS, TOPICS_WITH_NEGATION

MOST_ALTERNATIVES = 4
_NARROWS = {concept for table in TABLES for concept in table.conditions} | {
    "child", "parent", "most", "least", "newest", "oldest", "first", "last", "count", "size", "sort", "or", "shared", "below", "like", "only",
}  # fmt: skip
"""Concepts that say which of several are asked for, or what of them."""
_THINGS = {
    *(noun for table in TABLES for noun in table.nouns),
    "page_table",
    "heap",
    "stack",
    "memory",
    "open",
    "parent",
    "child",
    "start",
}
_CHOOSES = ("most", "least", "newest", "oldest", "hog", "listen", "port_number", "root", "established", *STATES)
"""Words for things, and words that choose among things: with two things the choice may be a question of its own."""


def meanings(reading: Reading) -> list[Meaning]:
    """What each topic makes of `reading`."""
    has_negated = any(token.is_negated for token in reading.tokens)
    topics = TOPICS_WITH_NEGATION if has_negated else TOPICS
    return [meaning for topic in topics if (meaning := topic(reading)) is not None]


def without(reading: Reading, concepts: tuple[str, ...]) -> list[Meaning]:
    """What is meant if words that may say little say nothing."""
    first = reading.tokens[0] if reading.tokens else None
    wish = first if first is not None and first.concept == "take" and reading.is_wish(first.text.lower()) else None
    hexdump = next(
        (
            token
            for token in reading.tokens
            if token.concept == "read" and token.text.lower().startswith(("hex", "xxd", "hd", "od"))
        ),
        None,
    )
    rest = [
        token
        for token in reading.tokens
        if token.concept not in concepts or token.is_negated or token in (wish, hexdump)
    ]
    if not rest or len(rest) == len(reading.tokens):
        return []
    found = meanings(Reading(rest, reading.names, reading.question))
    return [meaning for meaning in found if isinstance(meaning, Unsure) or meaning.permission is Permission.READ]


def by_account(reading: Reading, said: Sequence[Token]) -> list[Meaning]:
    """What a topic makes of all but one of the words, if what it makes accounts for that word, too; what narrows a question is never left out."""
    found: list[Request] = []
    for token in reading.tokens if len(reading.tokens) > 1 else ():
        if token.kind != "concept" or token.is_negated or token.concept in _NARROWS:
            continue
        for meaning in meanings(reading.without(token)):
            if not isinstance(meaning, Request) or meaning.permission is not Permission.READ:
                continue
            if not left_over(said, meaning, reading.names):
                found.append(meaning)
    return list(distinct(found))


def distinct(requests: Iterable[Request]) -> tuple[Request, ...]:
    """Those of `requests` that mean different things."""
    found: dict[tuple[str, ...], Request] = {}
    for request in requests:
        found.setdefault(request.meaning, request)
    return tuple(found.values())


def nearest_to(reading: Reading) -> Unsure:
    """Why nothing fits, and what would if one word, or those that nobody knows, were not there."""
    unknown = [token for token in reading.tokens if token.kind == "unknown"]
    known = Reading([token for token in reading.tokens if token.kind != "unknown"], reading.names, reading.question)
    smaller = [known] if unknown and known.tokens else []
    smaller += [known.without(token) for token in known.tokens if len(known.tokens) > 1]
    alternatives: list[Request] = []
    for each in smaller:
        for meaning in meanings(each):
            alternatives += meaning.alternatives if isinstance(meaning, Unsure) else (meaning,)
    if unknown:
        words = ", ".join(repr(token.text) for token in unknown[:3])
        reason = (
            f"{words} {'is' if len(unknown) == 1 else 'are'} not understood, and nothing in this guest is called so"
        )
    else:
        reason = "these words together are not understood"
        if len({token.concept for token in reading.tokens if token.concept in _THINGS}) > 1 and reading.has(*_CHOOSES):
            reason += "; where one question takes the answer of another, ask that other one first"
    return Unsure(reason, distinct(alternatives)[:MOST_ALTERNATIVES])
