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
    (r"\bfilter(?:ed|ing)?\s+(?:by|on|for)\b", "with"),
    (rf"\band\s+(?:the |their |its )?({_COLUMNS})\s+(?:is|equals)\s+{_VALUE}", r"and \1 "),
    (rf"\bwhere\s+(?:the |their )?(?=({_COLUMNS})\b)", "with "),
    # How many rows, how many bytes, for how long.
    (r"\b(?:limit|limited to|max|count|top_n|max_results)\b" + _EQUALS + r"(\d+)\b(?!\s*(?:[kmg]i?b|bytes|pages))(?:\s*(?:rows|results|entries|lines|of them))?[\s)]*$", r"first \1"),
    (r"\b(?:limit|max_results)\b" + _SIGN + r"(\d+)\b", r"first \1 "),
    (r"\b(?:length|len|nbytes|num_bytes|size_bytes)\b" + _EQUALS + r"((?:0x[0-9a-f]+|\d+))\b(?:\s*bytes)?", r"\1 bytes"),
    (r"\bsize" + _SIGN + r"((?:0x[0-9a-f]+|\d+))\b(?:\s*bytes)?(?!\s*x)", r"\1 bytes"),
    (r"\bbytes" + _SIGN + r"(\d+)\b", r"\1 bytes"),
    (r"\b(?:seconds|duration|duration_s|secs)" + _SIGN + r"(\d+(?:\.\d+)?)(?:\s*s\b)?", r"\1 seconds"),
    # A picture's size.
    (r"\bwidth" + _EQUALS + r"(\d+)\s*(?:px|pixels)?\s*,?\s*(?:and\s+|x\s*)?height" + _EQUALS + r"(\d+)(?:\s*(?:px|pixels))?", r"\1x\2"),
    (r"\b(\d{2,4})\s*(?:by|x|×|\*)\s*(\d{2,4})\b(?:\s*(?:px|pixels))?", r"\1x\2"),
    # Signs for words.
    (r"\bw/(?=\s)", "with"),
    (r"(?<=\s)@\s*(?=\w)", "at "),
    (r"\b(?:sort|sort_by|sortby|order_by|orderby)" + _SIGN + r"(\w+)", r"sorted by \1"),
    # Named arguments whose value says it all.
    *((rf"\b{name}{_SIGN}(?=\d)", f"{word} ") for name, word in _NUMBERED.items() if word),
    (rf"\b(?:{_SILENT}){_SIGN}{_VALUE}", " "),
    (r"\b(?:process|process_name|comm)\s*=\s*(?=[\w\"'])", "process "),
    (r"\b(?:name|module|slab)\s*=\s*(?=[\w\"'])", " "),
    (r"\border" + _SIGN + r"(asc|desc)\w*", r"\1ending"),
    # A port as it is written behind an address; a table by its name; what the log says of something.
    (r"(?:(?<=\s)|^):(\d+)\b", r"port \1"),
    (r"\b(?:overlay|table)\s+(processes|threads|slabs|modules|sockets|mounts)\b", r"\1"),
    (r"\b(?:overlay|table)\s+kernel[-_ ]stacks\b", "kernel stack traces"),
    (r"\b(?:overlay|table)\s+open[-_ ]files\b", "open files"),
    (r"\b(?:overlay|table)\s+areas\b", "memory areas"),
    (r"\b(?:overlay|table)\s+page[-_ ]cache\b", "files in memory"),
    (r"\b(?:overlay|table)\s+dmesg\b", "kernel messages"),
    (r"^\W*(?:please\s+)?(?:run|execute|exec)\s+(?!\x01|for\b|a\b|an\b|the\b|all\b|every)([\w./-]+(?:\s+[\w./=-]+)*?)\s+(?:in|on|inside)\s+(?:the\s+|this\s+)?(?:guest|vm|machine|box)\W*$", r'run "\1"'),
    (r"^\W*grep\s+(?:for\s+)?([\w-]+)\s+(?:in|from)\s+(?:the\s+)?(?:dmesg|(?:kernel )?log)\W*$", r'kernel messages containing "\1"'),
    (r"\b(?:(kernel (?:log|messages?)|dmesg|log))\s+(?:about|regarding|concerning|mentioning|on)\s+(?:the |an? )?([\w-]+?)s?\W*$", r'\1 containing "\2"'),
    (r"\bsince\s+(?:the\s+)?(?:last\s+)?(?:machine|vm|system|guest|box|it|computer|power)\s*(?:was|has|is)?\s*(?:last\s+)?(?:booted|started|boot|start|up|on)\b", "since boot"),
    (r"\b(?:the )?(?:very )?first (process|task|thread|program) (?:that |to )?(?:was |be )?(?:start(?:ed)?|launch(?:ed)?|r[au]n)\b", r"the oldest \1"),
    (r"\b(?:the )?(?:very )?(?:last|latest) (process|task|thread|program) (?:that |to )?(?:was |be )?(?:start(?:ed)?|launch(?:ed)?)\b", r"the newest \1"),
    (r"\b(?:on|at) (?:all|any|every) (?:interfaces?|addresses|local addresses)\b", "on 0.0.0.0"),
    (r"\brecord (?:all |everything )?(?:what|that) (?:the )?(?:process )?(?!(?:cpu|processor|vcpu|it|gets|machine|guest|is)\b)([\w/:-]+) (?:executes|runs|does|is executing)\b", r"trace \1"),
    (r"\b(tcp|udp) (?:on|at|to) (?=\d+\b(?![.]))", r"\1 port "),
    (r"^\W*(?:find|search for|grep)\s+((?:[0-9a-f]{2}\s+){2,}[0-9a-f]{2})\W*$", r"find bytes \1"),
    (r"^(\W*(?:snap|screenshot|picture|render|draw)\b.*?)\bmode=(\w+)", r"\1 coloured by \2"),
    (r"\bport (\d+) (?:on|at|of) (?:an)?(?:other|remote|foreign) (?:machines?|hosts?|computers?|systems?)\b", r"remote port \1"),
    (r"^(\W*(?:please )?)write (?:a |the )?(trace|capture|picture|video|screenshot|checkpoint|recording)\b", r"\1make a \2"),
    (r"^\W*(?!machine|vm|guest|system|kernel|trace|box)(\S{2,}) (?:state|status)\W*$", r"status of \1"),
    (r"\bsince\s+(?:the\s+)?last\s+(?:boot|start)\b", "since boot"),
    (r"\b(?:state|protocol|level)" + _SIGN + r"(?=\w)", "with "),
)  # fmt: skip
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), words) for pattern, words in _RULES)  # more than `re` keeps
_TARGETS = re.compile(
    r"\b(?:pid|comm|file|slab|module|sym|class|pa|va):\S+|\"[^\"]*\"|'[^']*'(?!\w)|\b[\w-]*(?:yaw|pitch)=\S+"
)
"""What is left as it is: targets, views, and what is in quotes."""


_UNQUOTED = re.compile(r"""\b(?!(?:pattern|text|query|needle|string|command)\b)(\w+)\s*[:=]\s*(["'])([^"'\s]+)\2""")
"""A named argument whose value is in quotes, though it is no text."""


def to_question(text: str) -> str:
    """`text` with what programs write put into words; the same where there is none."""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found[0])
        return f"\x01{len(kept) - 1}\x01"

    hidden = _TARGETS.sub(keep, _UNQUOTED.sub(r"\1=\3 ", text))
    hidden = re.sub(r"\b([RSDZT])[- ](?=(?:procs?|process(?:es)?|tasks?|threads?)\b)", r"in state \1 ", hidden)
    hidden = re.sub(r"\b(in|state|status)[\s=:]+(?:state\s+)?([RSDZTI])(?![\w.])", r"in state \2", hidden)
    for pattern, words in _COMPILED:
        hidden = pattern.sub(words, hidden)
    return re.sub("\x01(\\d+)\x01", lambda found: kept[int(found[1])], hidden)
