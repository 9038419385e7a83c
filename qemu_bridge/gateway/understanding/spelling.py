"""Slips of the pen: which words are so near that one was meant for the other.

>>> is_slip("proceses", "processes"), is_slip("stick", "stack")
(True, False)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

_SHORT, _LONG = 4, 8
_SUBSTITUTES_FROM = 6


def is_slip(word: str, meant: str) -> bool:
    """Whether `word` is `meant` with a letter left out, doubled, exchanged with its neighbour or, in longer words, another one."""
    if word == meant or min(len(word), len(meant)) < _SHORT - 1 or len(meant) < _SHORT:
        return word == meant
    allowed = 2 if len(meant) >= _LONG else 1
    if abs(len(word) - len(meant)) > allowed or word[0] != meant[0]:
        return False
    cost = distance(word, meant)
    # In a short word another letter makes another word: stock is not stack.
    return cost <= allowed and (len(meant) >= _SUBSTITUTES_FROM or not _is_one_substitution(word, meant))


def best_slips(word: str, known: Iterable[str]) -> list[str]:
    """The nearest of `known` that `word` is a slip for, all that are equally near."""
    first = word[:1]
    near = [(distance(word, each), each) for each in known if each[:1] == first and is_slip(word, each)]
    least = min((cost for cost, _ in near), default=0)
    return sorted(each for cost, each in near if cost == least)


@functools.lru_cache(maxsize=4096)
def is_short_for(word: str, meant: str) -> bool:
    """Whether `word` is `meant` without its vowels: lvl is level, msgs is messages."""
    if len(word) < _SHORT - 1 or word[:1] != meant[:1] or len(meant) <= len(word):
        return False
    rest = re.sub(r"(.)\1", r"\1", re.sub("[aeiou]", "", meant[1:]))
    return word[1:].removesuffix("s") == rest.removesuffix("s")


@functools.lru_cache(maxsize=4096)
def distance(one: str, other: str) -> int:
    """Letters to insert, delete, replace or exchange with their neighbours between `one` and `other`."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]


def _is_one_substitution(one: str, other: str) -> bool:
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) == 1
