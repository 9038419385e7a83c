"""The first look at a question: words, numbers with their units, addresses, paths, quoted texts, targets, signs of comparison.

>>> [(token.kind, token.number) for token in scan("more than 1.5 MiB at 0x1000")]
[('word', 0), ('word', 0), ('number', 1572864), ('word', 0), ('address', 4096)]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from .token import Token

_TERM = (
    r"""\b(?:(?:pid|comm|file|slab|module|sym|class|pa|va):(?:"[^"]*"|'[^']*'|[^\s"'?!;()]+)|kernel\.[a-z]+\b(?!\.))"""
)
_UNIT = r"(?:[kmg]i?b|kilobytes?|megabytes?|gigabytes?|kibibytes?|mebibytes?|gibibytes?|kbytes?|mbytes?|gbytes?|megs?|gigs?)"
_QUOTED = r"""(?: "[^"]+" | “[^”]+” | `[^`]+` | (?<![\w'])'[^']+'(?!\w) )"""
QUOTED = re.compile(_QUOTED, re.VERBOSE)
"""A text in quotes, which is taken as it is."""
_SCANNER = re.compile(
    r"""
      (?P<quoted> QUOTED )
    | (?P<target> \(*(?:TERM|\b(?:all|free)\b(?=\s*[-+&]\s*\(*(?:TERM|kernel\b|free\b|all\b)))\)*(?:\s*[-+&]\s*\(*(?:TERM|kernel\b|free\b|all\b)\)*)* )
    | (?P<address> \b0[xX][0-9a-fA-F]+\b | \b(?=[0-9a-f]*[0-9])f{4}[0-9a-f]{12}\b )
    | (?P<expression> (?<!\S)/(?=[^\s/]*[.*+\[(|^$\\])[^\s/]+/(?!\S) )
    | (?P<path> (?<!\S)/(?=[\s?.!,]|$) | (?<![\w.])\.{0,2}/[\w.*?+@%:=~/-]*[\w*] | \b[\w-]+\.(?:gbt|png|mp4)\b )
    | (?P<share> \b(?i:(?:(?P<half>half|a\ half|one\ half)\s+)?(?:an?|one)\s+(?P<unit>UNIT))\b )
    | (?P<size_of_picture> \b\d{2,4}x\d{2,4}\b | (?<![<>=])(?<![<>=]\ )(?<!than\ )(?<!over\ )(?<!above\ )(?<!under\ )(?<!below\ )(?<!least\ )(?<!most\ )\b(?i:4k|uhd|full\ ?hd|1080p|720p)\b(?=\W*$|\W+(?:picture|screenshot|image|snap|png|resolution)) )
    | (?P<ip> (?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b )
    | (?P<seconds> (?<![\w.-])(?:(?P<time>\d+(?:\.\d+)?)\s?(?P<scale>ms|milliseconds?|msecs?|s|secs?|seconds?|mins?|minutes?)|half\ a\ second|a\ second|one\ second|a\ minute|one\ minute|half\ a\ minute)\b )
    | (?P<percent> (?<![\w.-])\d+(?:\.\d+)?\s?(?:%|percent\b) )
    | (?P<number> (?<![\w.-])\d+(?:\.\d+)?(?![\w.-]*[A-Za-z_/:-]\w)(?:\s?(?:(?i:UNIT)|k|K|m\b(?=\W*$)|M|G)\b)? )
    | (?P<pattern> \b[A-Za-z_]\w*\*[\w*]* | \*[\w.]*\w\*? )
    | (?P<sign> [<>!=]=|[<>]|=(?=\s*[\w"'/]) )
    | (?P<plus> (?<=\w)\+(?=[\s,.;:?!)]|$) )
    | (?P<not> !(?=\w) | \b[nN]on-(?=\w) )
    | (?P<word> (?:[A-Za-z_]|\.(?=\w))(?:[\w.'’/:+-]*\w)? | \d+[\w.-]*[A-Za-z]\w* )
    """.replace("QUOTED", _QUOTED)
    .replace("TERM", _TERM)
    .replace("UNIT", _UNIT),
    re.VERBOSE,
)
_SIZES = {"4k": "3840x2160", "uhd": "3840x2160", "fullhd": "1920x1080", "1080p": "1920x1080", "720p": "1280x720"}
_SIGNS = {
    ">": "greater",
    "<": "less",
    ">=": "at_least",
    "<=": "at_most",
    "=": "equals",
    "==": "equals",
    "!=": "differs",
}
_WORD_NUMBERS = {
    **dict(zip("two three four five six seven eight nine ten eleven twelve".split(), range(2, 13), strict=True)),
    **dict(
        zip("twenty thirty forty fifty sixty seventy eighty ninety hundred".split(), range(20, 101, 10), strict=True)
    ),
    "dozen": 12,
    "thousand": 1000,
    "million": 1000000,
}


_PUNCTUATION = re.compile(r"""[\s.,;:?!'"’‘“”`()\[\]{}…–—/\\|#*_-]+""")
"""Signs that say nothing where they stand for themselves."""


def scan(text: str) -> Iterator[Token]:
    """Yield what `text` consists of; a ``word`` is not yet looked up, and a sign that is no punctuation is ``unknown``."""
    at = 0
    for found in _SCANNER.finditer(text):
        yield from _signs(text[at : found.start()])
        at = found.end()
        kind, written = str(found.lastgroup), found[0]
        if found["share"]:
            number = _to_number(f"1 {found['unit']}")
            yield Token("number", written, number=number // 2 if found["half"] else number, has_unit=True)
        elif kind == "seconds":
            yield Token(kind, f"{_to_seconds(written, found['time'], found['scale']):g}")
        elif kind == "quoted":
            yield Token(kind, written[1:-1])
        elif kind == "number":
            yield Token(kind, written, number=_to_number(written), has_unit=written[-1].isalpha())
        elif kind == "address":
            yield Token(kind, written, number=int(written, 16))
        elif kind == "sign":
            yield Token("concept", written, _SIGNS[written])
        elif kind == "expression":
            yield from (Token("quoted", written[1:-1]), Token("concept", written, "regex"))
        elif kind == "size_of_picture":
            yield Token(kind, _SIZES.get(written.lower().replace(" ", ""), written))
        elif kind == "plus":
            yield Token("concept", "or more", "at_least")
        elif kind == "not":
            yield Token("concept", written, "not")
        elif kind == "word" and written.lower() in _WORD_NUMBERS:
            yield Token("number", written, number=_WORD_NUMBERS[written.lower()])
        else:
            yield Token(kind, written)

    yield from _signs(text[at:])


def _signs(between: str) -> Iterator[Token]:
    for sign in _PUNCTUATION.sub(" ", between).split():
        yield Token("concept", sign, "and") if sign in ("&", "&&", "+") else Token("unknown", sign)


def _to_number(text: str) -> int:
    digits = re.match(r"[\d.]+", text)
    assert digits is not None
    unit = text[digits.end() :].strip()[:1].upper()
    return (
        int(float(digits[0]) * (1 << {"K": 10, "M": 20, "G": 30}.get(unit, 0)))
        if "." in digits[0]
        else int(digits[0]) << {"K": 10, "M": 20, "G": 30}.get(unit, 0)
    )


def _to_seconds(text: str, time: str | None, scale: str | None) -> float:
    unit = 60.0 if "min" in text else 1.0
    if time is None or scale is None:
        return unit / 2 if text.startswith("half") else unit
    return float(time) * (0.001 if scale.startswith("m") and "min" not in scale else unit)


def split_possessives(words: Iterator[Token]) -> list[Token]:
    """``crond's`` is crond; what is a word with its apostrophe stays one."""
    found = []
    for word in words:
        text = word.text.replace("’", "'") if word.kind == "word" else word.text
        if word.kind == "word" and not text.lower().endswith("n't"):
            text = re.sub(r"('s|s'|'re|'ll|'d|'ve|'m)$", lambda end: "s" if end[0] == "s'" else "", text)
        found.append(replace(word, text=text, is_owner=text != word.text))
    return found
