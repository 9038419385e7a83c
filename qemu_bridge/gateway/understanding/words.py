"""Words of a question as the vocabulary means them: their stems, phrases, slips of the pen, and what is written as one word."""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from .names import Names, find_exact, find_near
from .scan import scan, split_possessives
from .spelling import best_slips, is_short_for, is_slip
from .token import Token
from .vocabulary import COMMON_WORDS, CONCEPTS, FILLERS, REFUSED

_SHORT = 3
_ARTICLES = ("the", "a", "an")
_IRREGULAR = {
    "use": "us",
    "used": "us",
    "uses": "us",
    "using": "us",
    "usage": "usage",
    "data": "data",
    "children": "child",
    "proces": "process",
    "took": "tak",
}


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
FILLER_STEMS = {stem(word) for word in FILLERS}
_COMMON = COMMON_WORDS | FILLERS
_KNOWN = _PHRASE_WORDS | _COMMON
_IDENTIFIED = _PHRASE_WORDS | FILLERS
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


def mend(word: str, names: Names) -> str:
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
    near = near or sorted(each for each in _SINGLE_WORDS if is_short_for(lower, each))
    # A short word is not passed over as one that says nothing: ver is not very.
    near = [each for each in near if each not in FILLERS or len(lower) > _SHORT]
    # What is as near is rather a word that says something.
    near = [each for each in near if each not in FILLERS] or near
    if not near and lower.endswith("s"):
        near = best_slips(lower[:-1], _SINGLE_WORDS) or best_slips(lower[:-1], _CORRECTIONS)
    if not near or find_near(names, word):
        return word
    # Several are as near: they have to mean one thing.
    meant = {_EXACT.get((each,)) or _STEMMED.get((stem(each),)) or each for each in near}
    return (
        max(near, key=lambda each: len(posixpath.commonprefix([each[::-1], lower[::-1]]))) if len(meant) == 1 else word
    )


def split_identifier(word: Token, names: Names, *, is_first: bool) -> list[Token]:
    """The words of one that programs write, where all of them are understood: list_processes, user-space."""
    text = word.text
    ends = text.split("/")
    if (
        word.kind == "word"
        and len(ends) == 2
        and not find_exact(names, text)
        and all(find_exact(names, each) for each in ends)
    ):
        return [replace(word, text=ends[0]), Token("word", "and"), replace(word, text=ends[1])]
    if word.kind != "word" or not re.fullmatch("[A-Za-z]+([_-][A-Za-z]+)+", text):
        return [word]
    if "_" in text and (not is_first or names.is_symbol(text) or names.is_type(text)):
        return [word]  # elsewhere it is the name of something
    if (text.lower(),) in _EXACT or (stem(text),) in _STEMMED or text.lower() in _COMMON or find_exact(names, text):
        return [word]
    parts = re.split("[_-]", text)
    if not all(part.lower() in _IDENTIFIED or stem(part) in _PHRASE_STEMS for part in parts):
        return [word]
    return [replace(word, text=part) for part in parts]


def corrections(text: str, names: Names) -> list[tuple[str, str]]:
    """The slips of the pen in `text`, each with what it is read as: a word of the vocabulary, or a name of the guest."""
    found = []
    for word in split_possessives(scan(text)):
        if word.kind != "word":
            continue
        mended = mend(word.text, names)
        if mended != word.text and mended not in _COMMON:
            found.append((word.text, mended))
        elif mended == word.text and word.text.lower() not in _KNOWN and stem(word.text) not in _PHRASE_STEMS:
            near = find_near(names, word.text)
            meant = near[0].names[0] if len(near) == 1 and len(near[0].names) == 1 else ""
            if (
                meant != word.text
                and is_slip(word.text.lower(), meant.lower())
                and not meant.lower().startswith(word.text.lower())
            ):
                found.append((word.text, meant))
    return found


def find_concepts(words: Sequence[Token]) -> Iterator[Token]:
    """`words` with those that are in the vocabulary as concepts or fillers, the longest phrase first."""
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
