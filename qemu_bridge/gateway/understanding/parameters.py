"""What programs write, and people who are used to it, as a question in words: ``pid=97``, ``limit 10``, ``where state is LISTEN``, ``read(addr=0x1000)``.

>>> to_question("read_memory(address=0x1000, length=64)")
'read_memory( 0x1000, 64 bytes)'
>>> to_question("list sockets where state is LISTEN limit 5")
'list sockets with state LISTEN first 5'
"""

from __future__ import annotations

import re

_EQUALS = r"\s*(?:[:=]|==|\bis\b|\bequals\b|\bequal to\b|\bof\b)?\s*"
_SIGN = r"\s*[:=]\s*"
_VALUE = r"(?=[\w\"'./\x01])"
_NUMBERED = {"pid": "pid", "process": "pid", "port": "port", "uid": "uid", "session": "viewer", "viewer": "viewer", "epoch": "epoch", "since": "epoch", "since_epoch": "epoch", "cpu": "cpu", "seconds": "", "duration": ""}  # fmt: skip
_SILENT = "address|addr|place|before|after|target|path|file|filename|output|dest|pattern|text|query|needle|symbol|struct|type|mode|camera|overlay|table|machine"
_COLUMNS = (
    "state|name|protocol|uid|user|pid|ppid|size|level|severity|path|port|permissions|access|local|remote|options|type|filesystem|cpu|nice|"
    "resident|pages|threads|objects|object size|rss|command line"
)
_RULES = (
    # A column's value in a condition, as in SQL.
    (rf"\b(?:where|whose|with|having|filter(?:ed)? (?:by|on|for))\s+(?:the |their |its )?({_COLUMNS})(?:\s*==?\s*|\s+(?:is|equals|are|equal to)\s+){_VALUE}(?![<>])", r"with \1 "),
    (rf"\band\s+(?:the |their |its )?({_COLUMNS})\s+(?:is|equals)\s+{_VALUE}", r"and \1 "),
    (rf"\bwhere\s+(?:the |their )?(?=({_COLUMNS})\b)", "with "),
    # How many rows, how many bytes, for how long.
    (r"\b(?:limit|limited to|max|count|top_n|max_results)\b" + _EQUALS + r"(\d+)\b(?!\s*(?:[kmg]i?b|bytes|pages))(?:\s*(?:rows|results|entries|lines|of them))?\s*$", r"first \1"),
    (r"\b(?:limit|max_results)\b" + _SIGN + r"(\d+)\b", r"first \1 "),
    (r"\b(?:length|len|nbytes|num_bytes|size_bytes)\b" + _EQUALS + r"((?:0x[0-9a-f]+|\d+))\b(?:\s*bytes)?", r"\1 bytes"),
    (r"\bsize" + _SIGN + r"((?:0x[0-9a-f]+|\d+))\b(?:\s*bytes)?(?!\s*x)", r"\1 bytes"),
    (r"\bbytes" + _SIGN + r"(\d+)\b", r"\1 bytes"),
    (r"\b(?:seconds|duration|duration_s|secs)" + _SIGN + r"(\d+(?:\.\d+)?)(?:\s*s\b)?", r"\1 seconds"),
    # A picture's size.
    (r"\bwidth" + _EQUALS + r"(\d+)\s*(?:px|pixels)?\s*,?\s*(?:and\s+|x\s*)?height" + _EQUALS + r"(\d+)(?:\s*(?:px|pixels))?", r"\1x\2"),
    (r"\b(\d{2,4})\s*(?:by|x|×|\*)\s*(\d{2,4})\b(?:\s*(?:px|pixels))?", r"\1x\2"),
    # Named arguments whose value says it all.
    *((rf"\b{name}{_SIGN}(?=\d)", f"{word} ") for name, word in _NUMBERED.items() if word),
    (rf"\b(?:{_SILENT}){_SIGN}{_VALUE}", " "),
    (r"\b(?:name|process|process_name|comm|module|slab)\s*=\s*(?=[\w\"'])", "process "),
    (r"\b(?:state|protocol|level)" + _SIGN + r"(?=\w)", "with "),
)  # fmt: skip
_TARGETS = re.compile(
    r"\b(?:pid|comm|file|slab|module|sym|class|pa|va):\S+|\"[^\"]*\"|'[^']*'(?!\w)|\b[\w-]*(?:yaw|mode|pitch)=\S+"
)
"""What is left as it is: targets, views, and what is in quotes."""


def to_question(text: str) -> str:
    """`text` with what programs write put into words; the same where there is none."""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\x01{len(kept) - 1}\x01"

    hidden = _TARGETS.sub(keep, text)
    for pattern, words in _RULES:
        hidden = re.sub(pattern, words, hidden, flags=re.IGNORECASE)
    return re.sub("\x01(\\d+)\x01", lambda found: kept[int(found[1])], hidden)
