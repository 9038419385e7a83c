"""Completes the beginning of a target, for a shell."""

from __future__ import annotations

from collections.abc import Iterable

from .format import quote_name
from .grammar import BLANKS, HEAD, KERNEL_PARTS, KINDS, NAME_KINDS, OPERATORS, PROCESS_PARTS, QUOTES, WORDS
from .resolve import known_names
from .sources import Sources

MAX_COMPLETIONS = 1000


def complete_target(prefix: str, sources: Sources) -> list[str]:
    """Targets that begin with `prefix`, at most `MAX_COMPLETIONS`."""
    begin = _start_of_last_term(prefix)
    stem, term = prefix[:begin], prefix[begin:]
    kind, colon, name = term.partition(":")
    found: Iterable[str]
    if not colon:
        words = [f"{kind}:" for kind in KINDS]
        found = [*words, *WORDS, *(f"kernel.{part}" for part in KERNEL_PARTS)]
    elif kind in ("pid", "comm"):
        whole = sorted({str(row.pid) if kind == "pid" else quote_name(row.name, kind) for row in sources.processes()})
        parts = [f"{each}/{part}" for each in whole if name.startswith(f"{each}/") for part in PROCESS_PARTS]
        found = (f"{kind}:{each}" for each in [*whole, *parts])
    else:
        found = (f"{kind}:{quote_name(each, kind)}" for each in known_names(sources, kind, name))
    return [stem + each for each in found if each.startswith(term)][:MAX_COMPLETIONS]


def _start_of_last_term(text: str) -> int:
    """Where the last term of a target begins; the term may be unfinished, so nothing here is an error."""
    begin, quote = 0, ""
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in QUOTES:
            quote = character
        elif character in BLANKS or character == "(":
            begin = at + 1
        elif character in OPERATORS:
            # Inside a name it may be part of the name.
            in_name = text[begin:at].partition(":")[0] in NAME_KINDS
            if not in_name or HEAD.match(text, at + 1):
                begin = at + 1
    return begin
