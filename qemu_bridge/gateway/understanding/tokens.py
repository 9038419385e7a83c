"""A question as tokens: concepts, names of the guest, numbers, addresses, paths, quoted texts, and words that nobody knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from .names import KINDS, Names, find_exact, find_near
from .negation import mark_negated
from .quantities import attach_numbers, read_quantities
from .scan import scan, split_possessives
from .token import Token
from .vocabulary import COMMON_WORDS, FILLERS
from .words import FILLER_STEMS, find_concepts, mend, split_identifier, stem

_KIND_WORDS = {
    "process": "process",
    "thread": "process",
    "module": "module",
    "slab": "slab",
    "file": "file",
    "kernel_thread": "process",
}
_PREPOSITIONS = ("before", "after", "since", "now", "then", "last", "first")
"""Words that are no capture's name where a subject follows: compare with before, but before I go."""
_SUBJECTS = ("i", "we", "you", "he", "she", "it", "they", "the", "a", "an", "my", "our", "this", "that")
_CALLED = ("called", "named", "containing", "starting with", "beginning with", "like", "matching", "similar to")
"""Behind these a word is a name, whatever it means elsewhere."""
_NEVER_NAMES = (
    "is",
    "are",
    "was",
    "were",
    "does",
    "do",
    "has",
    "have",
    "the",
    "a",
    "an",
    "it",
    "now",
    "please",
    "something",
    "anything",
    "again",
    "that",
    "this",
    "word",
    "in",
    "with",
    "and",
    "or",
    "of",
)


def read_tokens(text: str, names: Names) -> list[Token]:
    """The tokens of `text` in their order, without words that say nothing."""
    words = split_possessives(scan(text))
    words = [part for at, word in enumerate(words) for part in split_identifier(word, names, is_first=not at)]
    words = [replace(word, text=mend(word.text, names)) if word.kind == "word" else word for word in words]
    tokens = _drop_called(_unquote(list(find_concepts(words)), names), names)
    tokens = read_quantities(list(_find_names(tokens, names)))
    tokens = mark_negated(_find_choices(_find_orders(_find_counts(list(attach_numbers(tokens))))))
    # Processes and their files are one table.
    tokens = [
        replace(token, text="and their")
        if token.concept == "and"
        and any(
            _POSSESSIVES & {*each.text.lower().split()} for each in tokens[at + 1 : at + 6] if each.kind == "filler"
        )
        else token
        for at, token in enumerate(tokens)
    ]
    tokens = [token for token in tokens if token.kind != "filler"]
    # The syslog file /var/log/messages: the path says which.
    tokens = [
        token
        for at, token in enumerate(tokens)
        if (token.kind != "name" and token.concept != "log")
        or [each.concept or each.kind for each in tokens[at + 1 : at + 3]] != ["file", "path"]
    ]
    # Whose name starts with: what is said last counts.
    tokens = [
        token
        for at, token in enumerate(tokens)
        if token.concept != "like" or tokens[at + 1 : at + 2] == [] or tokens[at + 1].concept != "like"
    ]
    if (
        tokens
        and tokens[-1].text.lower() in ("called", "named", "like", "contain", "contains")
        and not tokens[-1].is_negated
    ):
        tokens.pop()  # what are they called
    # The largest number of threads is the most threads.
    tokens = [
        replace(token, text=token.concept)
        if tokens[at + 1 : at + 2] and tokens[at + 1].concept == "count" and token.concept in ("most", "least")
        else token
        for at, token in enumerate(tokens)
        if token.concept != "count" or not at or tokens[at - 1].concept not in ("most", "least")
    ]
    # Against a capture: compare.
    tokens = [
        replace(token, concept="compare")
        if token.concept == "versus" and tokens[at + 1 : at + 2] and tokens[at + 1].kind == "path"
        else token
        for at, token in enumerate(tokens)
    ]
    # By number of objects is an order; raw sockets beside others need not be called so.
    tokens = [
        token
        for at, token in enumerate(tokens)
        if token.concept != "count" or not at or tokens[at - 1].concept != "sort"
    ]
    if any(token.concept in ("socket", "packet_socket") for token in tokens):
        kinds = {"raw": "raw_socket", "packet": "packet_socket"}
        tokens = [
            replace(token, kind="concept", concept=kinds[token.text.lower()])
            if token.kind == "unknown" and token.text.lower() in kinds
            else token
            for token in tokens
        ]
    # What is available of things that are no memory is what there is.
    tokens = [
        token
        for at, token in enumerate(tokens)
        if token.text.lower() != "available" or tokens[at + 1 : at + 2] == [] or tokens[at + 1].concept in _TAKEN
    ]
    # A snapshot that is a PNG is a picture.
    if any(token.kind == "path" and token.text.endswith(".png") for token in tokens):
        tokens = [replace(token, concept="picture") if token.concept == "capture" else token for token in tokens]
    # As a target, target pid:1/heap.
    tokens = [
        token
        for at, token in enumerate(tokens)
        if token.concept != "target" or tokens[at + 1 : at + 2] == [] or tokens[at + 1].kind != "target"
    ]
    # What joins nothing says nothing: and take a picture.
    if (
        len(tokens) > 1
        and tokens[-1].text.lower() == "first"
        and any(token.concept in ("most", "least") for token in tokens)
    ):
        # The smallest modules first: an order, not a choice.
        extreme = next(token.concept for token in tokens if token.concept in ("most", "least"))
        order = {"most": "descending", "least": "ascending"}[extreme]
        tokens = [token for token in tokens[:-1] if token.concept != extreme] + [Token("concept", "first", order)]
    while tokens and tokens[0].concept in ("and", "or"):
        tokens.pop(0)
    while tokens and tokens[-1].concept in ("and", "or"):
        tokens.pop()
    return tokens


_TAKEN = ("memory", "page", "size", "huge", "heap", "count")
"""Of these something may be available, that is free."""
_POSSESSIVES = {"their", "its", "them", "it", "that", "whose"}
_COUNTED = ("process", "thread", "file", "socket", "module", "kernel_thread", "open_file", "slab", "mount", "port")


def _find_counts(tokens: list[Token]) -> list[Token]:
    """``how much`` before things that are counted is how many, and ``how many`` before memory how much."""
    found = list(tokens)
    for at, (token, after) in enumerate(pairwise(tokens)):
        if token.text.lower() == "how much" and after.concept in _COUNTED and after.is_plural:
            found[at] = replace(token, concept="count")
        elif token.text.lower() == "how many" and after.concept in ("memory", "heap", "free") and not after.is_plural:
            found[at] = replace(token, concept="size")
    return found


def _find_choices(tokens: list[Token]) -> list[Token]:
    """``or`` between two things is one more that is said; elsewhere it says nothing."""
    return _between(tokens, "or", "or", lambda before, after: _says(before) and _says(after))


_ORDERED_BY = ("count", "memory", "size", "resident", "thread", "object", "object_size", "page", "pid", "nice")


def _find_orders(tokens: list[Token]) -> list[Token]:
    """``by`` before a column says what rows are sorted by: processes by mem."""
    return _between(
        tokens,
        "by",
        "sort",
        lambda before, after: after[0].concept in _ORDERED_BY and before[-1].concept != "use",
    )


def _between(
    tokens: list[Token], word: str, concept: str, fits: Callable[[Sequence[Token], Sequence[Token]], bool]
) -> list[Token]:
    """The filler `word` between others is `concept` where what stands before and after it fits."""
    return [
        replace(token, kind="concept", concept=concept)
        if token.kind == "filler"
        and token.text.lower() == word
        and 0 < at < len(tokens) - 1
        and fits(tokens[:at], tokens[at + 1 :])
        else token
        for at, token in enumerate(tokens)
    ]


def _says(tokens: Sequence[Token]) -> bool:
    return any(token.kind != "filler" for token in tokens)


_QUOTED_KINDS = {**_KIND_WORDS, "open_file": "file"}


def _unquote(tokens: list[Token], names: Names) -> list[Token]:
    """`tokens` with a name of the guest, or a capture, that is in quotes behind what it is a name of: process "sshd"."""
    found = list(tokens)
    for at, token in enumerate(tokens):
        before = next(
            (
                each
                for each in reversed(found[:at])
                if each.kind != "filler" and each.text.lower() not in ("called", "named")
            ),
            None,
        )
        if token.kind != "quoted" or before is None:
            continue
        kind = _QUOTED_KINDS.get(before.concept)
        if token.text in (*names.captures, *names.traces) and before.concept in (
            "capture",
            "compare",
            "since",
            "trace",
        ):
            found[at] = Token("path", token.text)
        elif kind and (exact := find_exact(names, token.text, (kind,))):
            found[at] = Token("name", token.text, matches=tuple(exact))
        elif (
            token.text.startswith("/")
            and " " not in token.text
            and before.concept in ("file", "open_file", "open", "map")
        ):
            found[at] = Token("path", token.text)
        elif before.concept in ("symbol", "struct") and re.fullmatch(r"\w+", token.text):
            found[at] = Token("unknown", token.text)
    return found


def _drop_called(tokens: list[Token], names: Names) -> list[Token]:
    """`tokens` without ``called`` between the one thing that is meant and its name: the process called nc is process nc."""
    return [
        token
        for at, token in enumerate(tokens)
        if token.text.lower() not in ("called", "named")
        or not 0 < at < len(tokens) - 1
        or tokens[at - 1].is_plural
        or tokens[at - 1].concept not in _KIND_WORDS
        or not (
            tokens[at + 1].kind == "name"
            or find_exact(names, tokens[at + 1].text, (_KIND_WORDS[tokens[at - 1].concept],))
        )
    ]


# --- names of the guest --------------------------------------------------------------------------------------------


def _find_names(tokens: Sequence[Token], names: Names) -> Iterator[Token]:
    for at, token in enumerate(tokens):
        if (
            token.kind == "concept"
            and at
            and tokens[at - 1].concept == "like"
            and tokens[at - 1].text.lower() in _CALLED
            and " " not in token.text
        ):
            yield _name_or_unknown(tokens, at, names)
        elif token.kind == "concept" and _is_kept_as(tokens, at):
            yield Token("unknown", token.text)  # a checkpoint as after
        elif (
            token.kind == "concept"
            and tokens[at + 1 : at + 2]
            and tokens[at + 1].text.lower().startswith("in ")
            and tokens[at + 1].concept == "like"
        ):
            yield Token("unknown", token.text)  # with task in their name
        elif (
            token.kind in ("concept", "word")
            and at
            and tokens[at - 1].text.lower() == "struct"
            and names.is_type(token.text)
        ):
            yield Token("unknown", token.text)  # struct file
        elif token.text.lower() == "data" and token.kind == "word" and any(each.concept == "kernel" for each in tokens):
            yield Token("concept", token.text, "kernel_data")
        elif token.text.lower() == "flags":
            yield Token("unknown", token.text)  # flags of the kernel
        elif token.kind == "concept":
            yield _name_in_context(tokens, at, names) or token
        elif (
            token.kind == "word"
            and (found := re.fullmatch(r"([A-Za-z_.]\w*)\+(0x[0-9a-fA-F]+|\d+)", token.text))
            and names.is_symbol(found[1])
        ):
            yield Token("address", token.text, number=int(found[2], 0))
        elif token.kind == "word":
            yield _name_or_unknown(tokens, at, names)
        else:
            yield token


def _is_kept_as(tokens: Sequence[Token], at: int) -> bool:
    """Whether a word is the name under which something is kept, whatever it means elsewhere."""
    is_named = (
        at == len(tokens) - 1 and at and tokens[at - 1].text.lower() in ("as", "called", "named", "under the name")
    )
    return bool(is_named) and " " not in tokens[at].text and any(each.concept == "capture" for each in tokens[:at])


def _name_in_context(tokens: Sequence[Token], at: int, names: Names) -> Token | None:
    """A word of the vocabulary that is a name, as the word beside it says: ``slab pid``, ``the process idle``."""
    token = tokens[at]
    before = tokens[at - 1].concept if at else ""
    kind = _KIND_WORDS.get(before)
    if kind is None or " " in token.text or token.concept in _KIND_WORDS or token.is_plural:
        return None
    exact = find_exact(names, token.text, (kind,))
    return Token("name", token.text, matches=tuple(exact)) if exact else None


def _name_or_unknown(tokens: Sequence[Token], at: int, names: Names) -> Token:
    token = tokens[at]
    beside = {tokens[i].concept for i in (at - 1, at + 1) if 0 <= i < len(tokens)}
    kinds = tuple(_KIND_WORDS[concept] for concept in beside if concept in _KIND_WORDS) or KINDS
    lower = token.text.lower()
    exact = find_exact(names, token.text, kinds) or find_exact(names, token.text)
    if exact:
        return Token("name", token.text, matches=tuple(exact))
    after = tokens[at + 1].text.lower() if at + 1 < len(tokens) else ""
    is_preposition = lower in _PREPOSITIONS and after in _SUBJECTS
    kept = (
        []
        if is_preposition
        else [path for path in (*names.captures, *names.traces) if token.text in (path, path.rsplit("/", 1)[-1])]
    )
    if kept:
        return Token("path", kept[-1])
    is_literal = at > 0 and (tokens[at - 1].text.lower() in _CALLED or tokens[at - 1].concept == "string")
    is_kept = at == len(tokens) - 1 and any(each.concept in ("capture", "picture", "video") for each in tokens)
    if is_literal and (lower not in _NEVER_NAMES or is_kept):
        return Token("unknown", token.text)
    is_letter = len(lower) == 1 and token.text.isupper() and lower not in ("a", "i")
    if not is_letter and (lower in FILLERS or stem(lower) in FILLER_STEMS):
        return Token("filler", token.text)
    near = [] if lower in COMMON_WORDS else find_near(names, token.text, kinds) or find_near(names, token.text)
    return Token("name", token.text, matches=tuple(near)) if near else Token("unknown", token.text)
