"""A question as tokens: concepts, names of the guest, numbers, addresses, paths, quoted texts, and words that nobody knows."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from .names import KINDS, Names, find_exact, find_near
from .negation import mark_negated
from .quantities import attach_numbers, read_quantities
from .scan import scan, split_possessives
from .spelling import best_slips
from .token import Token
from .vocabulary import COMMON_WORDS, CONCEPTS, FILLERS, REFUSED

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
_ARTICLES = ("the", "a", "an")
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
_IRREGULAR = {
    "use": "us",
    "used": "us",
    "uses": "us",
    "using": "us",
    "usage": "usage",
    "data": "data",
    "children": "child",
    "proces": "process",
}


def read_tokens(text: str, names: Names) -> list[Token]:
    """The tokens of `text` in their order, without words that say nothing."""
    words = split_possessives(scan(text))
    words = [replace(word, text=_mend(word.text, names)) if word.kind == "word" else word for word in words]
    tokens = read_quantities(list(_find_names(list(_find_concepts(words)), names)))
    tokens = mark_negated(_find_choices(_find_orders(_find_counts(list(attach_numbers(tokens))))))
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


_ORDERED_BY = ("memory", "size", "resident", "thread", "object", "object_size", "page", "pid", "nice")


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


# --- words of the vocabulary -------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A word without its ending, so that its plural and the forms of a verb are one."""
    word = word.lower()
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("eed"):
            word = word[: -len(ending)]
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "slz":
                word = word[:-1]
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


_PHRASES = [
    (tuple(phrase.split()), concept)
    for concept, row in (*CONCEPTS.items(), *((f"no_{name}", row[0]) for name, row in REFUSED.items()))
    for phrase in map(str.strip, row.split(","))
]
_EXACT: dict[tuple[str, ...], str] = {}
_STEMMED: dict[tuple[str, ...], str] = {}
for _words, _concept in _PHRASES:
    # As two words, or joined by a hyphen: per cpu memory, per-cpu memory.
    for _form in (_words, (f"{_words[0]}-{_words[1]}", *_words[2:])) if len(_words) > 1 else (_words,):
        _EXACT.setdefault(_form, _concept)
        if _form != ("runs",):  # how long it runs; running is what runs
            _STEMMED.setdefault(tuple(map(stem, _form)), _concept)
_EXACT_ONLY = ("machines", "deleted")
"""Concepts whose words mean them in no other form: deleted files, but delete the files."""
_LONGEST = max(len(words) for words, _ in _PHRASES)
_PHRASE_WORDS = {word for words, _ in _PHRASES for word in words}
_PHRASE_STEMS = {stem(word) for word in _PHRASE_WORDS}
_FILLER_STEMS = {stem(word) for word in FILLERS}
_COMMON = COMMON_WORDS | FILLERS
_LONG_FILLERS = {word for word in FILLERS if len(word) > 4}
_SINGLE_WORDS = sorted(
    {
        words[0]
        for words, concept in _PHRASES
        if len(words) == 1 and concept != "filesystem" and len(words[0]) > 3 and words[0].isalpha()
    }
    | _LONG_FILLERS
)
_CORRECTIONS = sorted(
    {
        word
        for concept, row in CONCEPTS.items()
        if concept != "filesystem"
        for word in {*row.replace(",", " ").split()} | _LONG_FILLERS
        if len(word) >= 4 and word.isalpha()
    }
)


def _mend(word: str, names: Names) -> str:
    """`word` without a slip of the pen, if it can be one for a word of the vocabulary alone."""
    lower = word.lower()
    short = re.sub(r"(.)\1+$|(.)\2{2,}", r"\1\2", lower)
    if lower not in _COMMON and lower not in _PHRASE_WORDS and short in FILLERS:
        return short  # soo, pleeease
    if lower in _PHRASE_WORDS or lower in _COMMON or stem(lower) in _PHRASE_STEMS or not word.isalpha():
        return word
    if find_exact(names, word):
        return word
    # A word that means something by itself is likelier than one of a phrase.
    near = best_slips(lower, _SINGLE_WORDS) or best_slips(lower, _CORRECTIONS)
    if not near and lower.endswith("s"):
        near = best_slips(lower[:-1], _SINGLE_WORDS) or best_slips(lower[:-1], _CORRECTIONS)
    if not near or find_near(names, word):
        return word
    # Several are as near: they have to mean one thing.
    meant = {_EXACT.get((each,)) or _STEMMED.get((stem(each),)) or each for each in near}
    return near[0] if len(meant) == 1 else word


def _find_concepts(words: Sequence[Token]) -> Iterator[Token]:
    at = 0
    while at < len(words):
        found, length = _longest_phrase(words, at)
        if found is not None:
            yield found
            at += length
        else:
            yield words[at]
            at += 1


def _longest_phrase(words: Sequence[Token], at: int) -> tuple[Token | None, int]:
    for length in range(min(_LONGEST, len(words) - at), 0, -1):
        part = words[at : at + length]
        # init's code is not the kernel's init code.
        if any(word.kind != "word" or (word.is_owner and word.text == "init") for word in part):
            continue
        lower = tuple(word.text.lower() for word in part)
        concept = _EXACT.get(lower) or _STEMMED.get(tuple(map(stem, lower)))
        if concept is None and length > 2 and lower[0] not in _ARTICLES and lower[-1] not in _ARTICLES:
            # Waiting for the disk, as waiting for disk.
            short = tuple(word for word in lower if word not in _ARTICLES)
            concept = (_EXACT.get(short) or _STEMMED.get(tuple(map(stem, short)))) if 2 < len(short) < length else None
        if concept == "filler":
            return Token("filler", " ".join(lower)), length
        if lower == ("by", "process") and at + length < len(words) and words[at + length].kind == "number":
            continue  # mapped by process 98, not coloured by process
        if lower == ("frame",) and at + 1 < len(words) and words[at + 1].kind in ("number", "address"):
            concept = "frame"
        if concept is not None and (concept not in _EXACT_ONLY or lower in _EXACT):
            is_plural = any(
                each.endswith("s") and not each.endswith(("ss", "us")) and stem(each) != each and each != "proces"
                for each in lower
            )
            return Token("concept", " ".join(word.text for word in part), concept, is_plural=is_plural), length
    return None, 1


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
        elif token.kind == "word":
            yield _name_or_unknown(tokens, at, names)
        else:
            yield token


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
    if is_literal and lower not in _NEVER_NAMES:
        return Token("unknown", token.text)
    if lower in FILLERS or stem(lower) in _FILLER_STEMS:
        return Token("filler", token.text)
    near = [] if lower in COMMON_WORDS else find_near(names, token.text, kinds) or find_near(names, token.text)
    return Token("name", token.text, matches=tuple(near)) if near else Token("unknown", token.text)
