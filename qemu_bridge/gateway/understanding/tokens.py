"""A question as tokens: concepts, names of the guest, numbers, addresses, paths, quoted texts, and words that nobody knows."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from .names import KINDS, Match, Names, find_exact, find_near
from .spelling import best_slips
from .vocabulary import COMMON_WORDS, CONCEPTS, FILLERS, REFUSED

_TERM = (
    r"""\b(?:(?:pid|comm|file|slab|module|sym|class|pa|va):(?:"[^"]*"|'[^']*'|[^\s"'?!;()]+)|kernel\.[a-z]+\b(?!\.))"""
)
_SCANNER = re.compile(
    r"""
      (?P<quoted> "[^"]+" | “[^”]+” | `[^`]+` | (?<![\w'])'[^']+'(?!\w) )
    | (?P<target> \(*TERM\)*(?:\s*[-+&]\s*\(*(?:TERM|free\b|all\b)\)*)* )
    | (?P<address> \b0[xX][0-9a-fA-F]+\b | \b(?=[0-9a-f]*[0-9])f{4}[0-9a-f]{12}\b )
    | (?P<path> (?<![\w.])\.{0,2}/[\w.*?+@%:=~/-]*[\w*] | \b[\w-]+\.(?:gbt|png|mp4)\b )
    | (?P<number> (?<![\w.-])\d+(?![\w.-]*[A-Za-z_/:-]\w)(?:\s?(?:KiB|MiB|GiB|kib|kb|KB|MB|GB|k|K|M|G)\b)? )
    | (?P<pattern> \b[A-Za-z_]\w*\*[\w*]* | \*\w+\*? )
    | (?P<word> [A-Za-z_.](?:[\w.'’/:+-]*\w)? | \d+[\w.-]*[A-Za-z]\w* )
    """.replace("TERM", _TERM),
    re.VERBOSE,
)
_KIND_WORDS = {
    "process": "process",
    "thread": "process",
    "module": "module",
    "slab": "slab",
    "file": "file",
    "kernel_thread": "process",
}
_NAMED_AFTER = {
    "pid": "pid",
    "process": "pid",
    "user": "uid",
    "port": "port_number",
    "viewer": "session",
    "remote_port": "remote_number",
    "listen": "port_number",
    "frame": "frame_number",
    "epoch": "epoch_number",
    "thread": "pid",
    "page": "frame_number",
    "map": "pid",
}
_PLACED_AFTER = ("at", "offset", "byte", "address", "location", "physical", "virtual", "from")
"""Words before a number that make it an address, if it can be one."""
_COUNTS_BEFORE = {"most", "least", "last", "first"}
_WORD_NUMBERS = {
    **dict(zip("two three four five six seven eight nine ten".split(), range(2, 11), strict=True)),
    "dozen": 12,
    "twenty": 20,
}
_IRREGULAR = {
    "use": "us",
    "used": "us",
    "uses": "us",
    "using": "us",
    "usage": "usage",
    "data": "data",
    "children": "child",
}


@dataclass(frozen=True, slots=True)
class Token:
    """One word, or several that mean one thing.

    Attributes:
        kind: concept, name, number, address, quoted, path, target, pattern, or unknown; and for a number that belongs to a word
            before or after it pid, uid, port_number, epoch_number, seconds, limit or length.
        text: as it was written; of a quoted one what is in the quotes.
        concept: of a word of the vocabulary.
        number: of a number.
        matches: what a name may mean.
        is_plural: whether a concept's word is a plural.
        is_owner: whether a word has a possessive ending.
    """

    kind: str
    text: str
    concept: str = ""
    number: int = 0
    matches: tuple[Match, ...] = ()
    is_plural: bool = False
    is_owner: bool = False


def read_tokens(text: str, names: Names) -> list[Token]:
    """The tokens of `text` in their order, without words that say nothing."""
    words = _split_possessives(_scan(text))
    words = [replace(word, text=_mend(word.text, names)) if word.kind == "word" else word for word in words]
    tokens = list(_find_names(list(_find_concepts(words)), names))
    return [token for token in _attach_numbers(tokens) if token.kind != "filler"]


def _scan(text: str) -> Iterator[Token]:
    for found in _SCANNER.finditer(text):
        kind, written = str(found.lastgroup), found[0]
        if kind == "quoted":
            yield Token(kind, written[1:-1])
        elif kind == "number":
            yield Token(kind, written, number=_to_number(written))
        elif kind == "address":
            yield Token(kind, written, number=int(written, 16))
        elif kind == "word" and written.lower() in _WORD_NUMBERS:
            yield Token("number", written, number=_WORD_NUMBERS[written.lower()])
        else:
            yield Token(kind, written)


def _to_number(text: str) -> int:
    digits = re.match(r"\d+", text)
    assert digits is not None
    unit = text[digits.end() :].strip()[:1].upper()
    return int(digits[0]) << {"K": 10, "M": 20, "G": 30}.get(unit, 0)


def _split_possessives(words: Iterator[Token]) -> list[Token]:
    """``crond's`` is crond; what is a word with its apostrophe stays one."""
    found = []
    for word in words:
        text = word.text.replace("’", "'") if word.kind == "word" else word.text
        if word.kind == "word" and not text.lower().endswith("n't"):
            text = re.sub(r"('s|s'|'re|'ll|'d|'ve|'m)$", lambda end: "s" if end[0] == "s'" else "", text)
        found.append(replace(word, text=text, is_owner=text != word.text))
    return found


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
        if word.endswith(ending) and len(word) - len(ending) >= 3:
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
    _EXACT.setdefault(_words, _concept)
    _STEMMED.setdefault(tuple(map(stem, _words)), _concept)
_PLURAL_ONLY = ("machines",)
_LONGEST = max(len(words) for words, _ in _PHRASES)
_PHRASE_WORDS = {word for words, _ in _PHRASES for word in words}
_PHRASE_STEMS = {stem(word) for word in _PHRASE_WORDS}
_FILLER_STEMS = {stem(word) for word in FILLERS}
_COMMON = COMMON_WORDS | FILLERS
_CORRECTIONS = sorted(
    {
        word
        for row in CONCEPTS.values()
        for word in {*row.replace(",", " ").split()} | FILLERS
        if len(word) >= 4 and word.isalpha()
    }
)


def _mend(word: str, names: Names) -> str:
    """`word` without a slip of the pen, if it can be one for a word of the vocabulary alone."""
    lower = word.lower()
    if lower in _PHRASE_WORDS or lower in _COMMON or stem(lower) in _PHRASE_STEMS or not word.isalpha():
        return word
    if find_exact(names, word):
        return word
    near = best_slips(lower, _CORRECTIONS)
    if not near and lower.endswith("s"):
        near = best_slips(lower[:-1], _CORRECTIONS)
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
        if concept == "filler":
            return Token("filler", " ".join(lower)), length
        if concept is not None and (concept not in _PLURAL_ONLY or lower in _EXACT):
            is_plural = any(
                each.endswith("s") and not each.endswith(("ss", "us")) and stem(each) != each for each in lower
            )
            return Token("concept", " ".join(word.text for word in part), concept, is_plural=is_plural), length
    return None, 1


# --- names of the guest --------------------------------------------------------------------------------------------


def _find_names(tokens: Sequence[Token], names: Names) -> Iterator[Token]:
    for at, token in enumerate(tokens):
        if token.kind == "concept":
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
    kept = [path for path in (*names.captures, *names.traces) if token.text in (path, path.rsplit("/", 1)[-1])]
    if kept:
        return Token("path", kept[-1])
    if lower in FILLERS or stem(lower) in _FILLER_STEMS:
        return Token("filler", token.text)
    near = [] if lower in COMMON_WORDS else find_near(names, token.text, kinds) or find_near(names, token.text)
    return Token("name", token.text, matches=tuple(near)) if near else Token("unknown", token.text)


# --- numbers -------------------------------------------------------------------------------------------------------


def _attach_numbers(tokens: Sequence[Token]) -> Iterator[Token]:
    """Numbers with the meaning that the word before or after them gives them; ``pid`` before one says no more than that."""
    for at, token in enumerate(tokens):
        if token.concept == "pid" and (after := _neighbour(tokens, at, 1)) is not None and after.kind == "number":
            yield replace(token, kind="filler", concept="")
            continue
        if token.text.lower() == "first" and at + 1 < len(tokens) and tokens[at + 1].kind == "number":
            yield replace(token, kind="filler")
            continue
        if token.kind != "number":
            yield token
            continue
        if at and tokens[at - 1].text.lower().split()[-1] in _PLACED_AFTER and token.number >= 4096:
            yield replace(token, kind="address", text=f"{token.number:#x}")
            continue
        before = _neighbour(tokens, at, -1)
        after = _neighbour(tokens, at, 1)
        if before is not None and before.concept in _NAMED_AFTER:
            yield replace(token, kind=_NAMED_AFTER[before.concept])
        elif after is not None and after.concept == "second":
            yield replace(token, kind="seconds")
        elif (after is not None and after.text.lower().split()[0] in ("bytes", "byte", "b", "words")) or (
            token.text[0].isdigit() and not token.text.isdigit()
        ):
            yield replace(token, kind="length")
        elif (before is not None and (before.concept in _COUNTS_BEFORE or before.text.lower() == "first")) or (
            after is not None
            and after.concept
            in ("most", "least", "last", "newest", "oldest", "log", "process", "file", "module", "slab", "hot")
        ):
            yield replace(token, kind="limit")
        else:
            yield token


def _neighbour(tokens: Sequence[Token], at: int, step: int) -> Token | None:
    """The next token that is no filler, except ``first`` and units."""
    at += step
    while 0 <= at < len(tokens):
        if tokens[at].kind != "filler" or tokens[at].text.lower() in ("first", "bytes", "byte"):
            return tokens[at]
        at += step
    return None
