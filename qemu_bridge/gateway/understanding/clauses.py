"""Clauses: where one text asks several things, or speaks of what an earlier question was about.

>>> split_clauses("list the modules, and what is listening on port 80?")
('list the modules', 'what is listening on port 80')
>>> refers_back("what files does that process have open?")
'that process'
"""

from __future__ import annotations

import re

_HEADS = (
    "what|which|who|whose|where|when|how (?:many|much|big|large|long)|(?:is|are|does|do|did|has|have|was|were)\\s+(?:it|there|they|he|she|that|this|the|any\\w*|some\\w*|\\w+\\s+\\w+(?:ing|ed))|can you|could you|list|show|give me|tell me|"
    "find|take|make|pause|freeze|resume|fly|go to|zoom to|jump to|highlight|trace|record|capture|count|get|read|dump|hexdump|compare|display|print|identify|resolve"
)
_BREAK = re.compile(
    rf"\s*(?:[;?!\n]+|\.(?=\s))\s*(?:(?:and|then|also|next|plus|or)\b[\s,]*)*|\s*,?\s*\b(?:and|then|also)\b[\s,]*(?:(?:then|also)\b[\s,]*)?(?=(?:{_HEADS})\b)"
    rf"|\s*,\s*(?=(?:{_HEADS})\b)",
    re.IGNORECASE,
)
_NOUNS = (
    "ones?|process(?:es)?|tasks?|programs?|daemons?|services?|files?|modules?|sockets?|connections?|threads?|pages?|frames?|address(?:es)?|pids?|"
    "caches?|slabs?|symbols?|structs?|mounts?|ports?|captures?|checkpoints?|traces?"
)
_DEMONSTRATIVE = "that|this|those|these|the same|the other|the above|the previous|the preceding|said"
_RESTRICTS = "that|which|who|with|without|whose|where|of|in|on|at|from|below|under|owned|running|using|having|larger|bigger|named|called|containing|not"
_BACK = re.compile(
    rf"\b(?:{_DEMONSTRATIVE}) (?:{_NOUNS})\b(?!\W*(?:{_RESTRICTS})\b)|\bthe (?:latter|former|above)\b|\bof (?:those|these|them)\b"
    r"|^\W*(?:and|same|also|now|likewise|ditto)(?: again)?(?: for| with| of| the)\b|\b(?:them|those|these|that|it|this|same) again\b",
    re.IGNORECASE,
)


def split_clauses(text: str) -> tuple[str, ...]:
    """The clauses of `text` that may be questions of their own; one where it is one. What is in quotes is not looked into."""
    hidden = re.sub(r"\"[^\"]*\"|“[^”]*”|`[^`]*`|(?<![\w'])'[^']+'(?!\w)", lambda found: "\0" * len(found[0]), text)
    found, at = [], 0
    for each in _BREAK.finditer(hidden):
        found.append(text[at : each.start()])
        at = each.end()
    found.append(text[at:])
    return tuple(part.strip(" ,") for part in found if re.search(r"\w", part))


def are_questions(clauses: tuple[str, ...]) -> bool:
    """Whether each of `clauses` asks: is sshd running, and what is it doing."""
    return all(
        re.match(r"\W*(?:what|which|who|whose|where|when|is|are|does|do|did|has|have)\b", each, re.IGNORECASE)
        for each in clauses
    )


def join_list(text: str) -> str:
    """`text` with ``and`` for the commas of a list of things: processes, sockets and mounts."""
    return re.sub(r",\s*(?=\w+s\b\s*(?:,|and\b|or\b|[.?!]?\s*$))", " and ", text)


def refers_back(text: str) -> str:
    """The words of `text` that stand for something said before it: ``that process``, ``same for``; empty if there are none."""
    found = _BACK.search(text)
    return found[0].strip() if found else ""
