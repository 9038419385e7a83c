"""The language of targets: which part of guest memory is meant, in one line that every front end understands.

::

    target  = cut { ("+" | "-") cut }          union, difference; from left to right
    cut     = term { "&" term }                intersection; binds tighter
    term    = "(" target ")" | "all" | "free" | "kernel" [ "." PART ]
            | "pid:" NUMBER [ "/" PART ] | "comm:" NAME [ "/" PART ]
            | ( "file:" | "slab:" | "module:" | "sym:" | "class:" ) NAME
            | "pa:" ADDRESS [ "+" SIZE ] | "va:" ADDRESS [ "+" SIZE ] [ "@pid:" NUMBER ]

>>> parse_target("pid:1/heap + kernel.text & class:page-table")
Combined(operator='+', left=Named(kind='pid', name='1', part='heap', column=5), right=Combined(operator='&', ...))
>>> format_target(parse_target("( pid:1 ) + pa:4096"))
'pid:1 + pa:0x1000'

A NAME may stand in single or double quotes, where a backslash takes the next character as it is, or writes one as
``\\n``, ``\\t``, ``\\xHH``, ``\\uHHHH`` or ``\\UHHHHHHHH``. Without quotes it goes up to a blank or a parenthesis, and an
operator inside it counts as one only where another target, or a parenthesis, follows at once: ``file:/lib/libstdc++.so``
and ``class:page-table`` are single names, ``comm:sh-pid:1`` is a difference. Nothing here looks at a guest.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ...errors import UsageError
from ...wire.records import PageClass

MAX_LENGTH = 4096
MAX_TERMS = 256
MAX_DEPTH = 64
_MAX_QUOTED = 40
_MAX_NEAR = 3
_U64 = (1 << 64) - 1

KERNEL_PARTS = (
    *("text", "rodata", "data", "bss", "init", "percpu", "stack", "memmap"),
    *("pagetables", "slab", "vmalloc", "modules", "pages"),
)
PROCESS_PARTS = ("heap", "stack", "text", "anonymous", "file", "pagetables", "kernelstack")
CLASSES = {page_class.label.replace(" ", "-"): page_class for page_class in PageClass}
NAME_KINDS = ("comm", "file", "slab", "module", "sym", "class")
KINDS = ("pid", *NAME_KINDS, "pa", "va")
WORDS = ("kernel", "free", "all")

_BLANKS = " \t\r\n"
_QUOTES = "'\""
_OPERATORS = "+-&"
_HEAD = re.compile(rf"kernel\b|(?:{'|'.join(KINDS)}):|\(")
_WORD = re.compile(r"[A-Za-z_]+")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_SIZE = re.compile(r"(0[xX][0-9a-fA-F]+)|([0-9]+)([KMGT]?)(?:i?B)?", re.IGNORECASE)
_SIZE_FOLLOWS = re.compile(r"[ \t\r\n]*\+[ \t\r\n]*(?=[0-9])")
_SUFFIXES = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
# What may stand without quotes; what else a name holds is quoted when a target is written.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%,=~\[\]]+(?:-[A-Za-z0-9_./:@%,=~\[\]]+)*")
_ESCAPES = {"n": "\n", "t": "\t"}
_HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}


@dataclass(frozen=True, slots=True)
class Named:
    """Memory that has a name: `kind` is one of `KINDS` or `WORDS`, `part` a part of a process; `column` is where the name stands."""

    kind: str
    name: str = ""
    part: str = ""
    column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Span:
    """`size` bytes at address `start`, physical or virtual; without a size the page that `start` lies in.

    A virtual address is one of process `pid`, or the kernel's when that is None; `pid_column` is where that stands.
    """

    start: int
    size: int | None = None
    is_virtual: bool = False
    pid: int | None = None
    column: int = field(default=1, compare=False)
    pid_column: int = field(default=1, compare=False)


@dataclass(frozen=True, slots=True)
class Combined:
    """Two targets joined (``+``), cut (``&``) or one without the other (``-``)."""

    operator: str
    left: Target
    right: Target


Target = Named | Span | Combined


@dataclass(frozen=True, slots=True)
class SymbolPlace:
    """The byte `offset` past kernel symbol `name`."""

    name: str
    offset: int = 0


def parse_target(text: str) -> Target:
    """The target that `text` means; `UsageError` that says at which column it goes wrong."""
    reader = _Reader(text)
    target = reader.target(0)
    if reader.skip_blanks() < len(text):
        raise reader.error(reader.at, "the target goes on without an operator", "join targets with +, & or -")
    return target


def parse_place(text: str, pid: int | None = None) -> Span | SymbolPlace:
    """One place: a physical address, ``va:ADDRESS@pid:N``, or a symbol with or without ``sym:`` and ``+OFFSET``.

    With `pid` a bare number is a virtual address of that process. `UsageError` for anything else.
    """
    reader = _Reader(text)
    reader.skip_blanks()
    place = reader.place(pid)
    if reader.skip_blanks() < len(text):
        raise reader.error(reader.at, "a place is one address or symbol, and more follows", "quote names with blanks")
    if pid is not None:
        if not isinstance(place, Span) or not place.is_virtual or place.pid not in (None, pid):
            raise UsageError(f"{text!r} is no virtual address of process {pid}; give a number, or leave --pid away")
        place = Span(place.start, None, True, pid, place.column)
    return place


def format_target(target: Target) -> str:
    """A text that `parse_target` reads as `target`."""
    match target:
        case Combined(operator, left, right):
            return f"{_operand(left, operator, False)} {operator} {_operand(right, operator, True)}"
        case Span(start, size, is_virtual, pid):
            length = "" if size is None else f"+{_format_size(size)}"
            space = "" if pid is None else f"@pid:{pid}"
            return f"{'va' if is_virtual else 'pa'}:{start:#x}{length}{space}"
        case Named("kernel", part):
            return f"kernel.{part}" if part else "kernel"
        case Named(kind, name, part):
            return kind if kind in WORDS else f"{kind}:{quote_name(name, kind)}{part and '/' + part}"
    raise AssertionError(target)


def quote_name(name: str, kind: str = "file") -> str:
    """`name` as it must be written in a target of `kind`: in double quotes unless it can do without."""
    looks_like_part = kind == "comm" and name.rpartition("/")[1:][-1] in PROCESS_PARTS and "/" in name
    hides_operator = any(_HEAD.match(name, match.end()) for match in re.finditer("-", name))
    if _PLAIN.fullmatch(name) and not looks_like_part and not hides_operator and not (kind == "sym" and "-" in name):
        return name
    return '"' + "".join(map(_escape, name)) + '"'


def error_at(text: str, column: int, what: str, hint: str) -> UsageError:
    """The error that `what` stands at `column` of `text`, counted from 1; it quotes the rest and ends with `hint`."""
    rest = text[column - 1 :].rstrip()
    shown = repr(rest if len(rest) <= _MAX_QUOTED else rest[:_MAX_QUOTED] + "…") if rest else "the end"
    return UsageError(f"{what} at column {column}, {shown}; {hint}")


def suggest(wanted: str, known: Iterable[str], otherwise: str) -> str:
    """A hint that names what begins with `wanted` or is near to it among `known`, else `otherwise`."""
    names = list(known)
    longer = sorted((name for name in names if wanted and name.startswith(wanted)), key=len)
    near = list(
        dict.fromkeys([*longer[:_MAX_NEAR], *difflib.get_close_matches(wanted, names, n=_MAX_NEAR, cutoff=0.6)])
    )
    near = near[:_MAX_NEAR]
    return f"did you mean {' or '.join(quote_name(name) for name in near)}?" if near else otherwise


def _operand(target: Target, operator: str, is_right: bool) -> str:
    """An operand of `operator`, in parentheses where they change the meaning."""
    text = format_target(target)
    if not isinstance(target, Combined):
        return text
    outer, inner = operator == "&", target.operator == "&"
    return f"({text})" if (outer and not inner) or (is_right and outer == inner) else text


def _format_size(size: int) -> str:
    for suffix in "TGMK":
        if size and size % (1 << _SUFFIXES[suffix]) == 0:
            return f"{size >> _SUFFIXES[suffix]}{suffix}"
    return str(size)


def _escape(character: str) -> str:
    if character in ('"', "\\"):
        return "\\" + character
    if character.isprintable():
        return character
    number = ord(character)
    letter, digits = ("x", 2) if number < 0x100 else ("u", 4) if number < 0x10000 else ("U", 8)
    return f"\\{letter}{number:0{digits}x}"


def start_of_last_term(text: str) -> int:
    """Where the last, perhaps unfinished, term of a target begins: for completion, so nothing here is an error."""
    begin, quote = 0, ""
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES:
            quote = character
        elif character in _BLANKS or character == "(":
            begin = at + 1
        elif character in _OPERATORS:
            # Inside a name it may be part of that.
            in_name = text[begin:at].partition(":")[0] in NAME_KINDS
            if not in_name or _HEAD.match(text, at + 1):
                begin = at + 1
    return begin


class _Reader:
    """Reads one line from left to right; `at` is how far it has come."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._terms = 0
        if len(text) > MAX_LENGTH:
            raise UsageError(f"a target of {len(text)} letters is too long; {MAX_LENGTH} are the most")

    def error(self, at: int, what: str, hint: str) -> UsageError:
        return error_at(self.text, at + 1, what, hint)

    def skip_blanks(self) -> int:
        while self.at < len(self.text) and self.text[self.at] in _BLANKS:
            self.at += 1
        return self.at

    def target(self, depth: int) -> Target:
        left = self._cut(depth)
        while self._peek() in ("+", "-"):
            operator = self._take()
            left = Combined(operator, left, self._cut(depth))
        return left

    def place(self, pid: int | None) -> Span | SymbolPlace:
        start = self.at
        if self.text.startswith(("pa:", "va:"), start):
            is_virtual = self.text.startswith("va:", start)
            self.at += 3
            address = self._address()
            return Span(address, None, is_virtual, self._space() if is_virtual else None, start + 1)
        if self._peek().isdigit():
            return Span(self._address(), None, pid is not None, pid, start + 1)
        if self.text.startswith("sym:", start):
            self.at += 4
        name = self._name("sym")[0]
        offset = self._size() if _SIZE_FOLLOWS.match(self.text, self.at) else 0
        return SymbolPlace(name, offset)

    def _cut(self, depth: int) -> Target:
        left = self._term(depth)
        while self._peek() == "&":
            operator = self._take()
            left = Combined(operator, left, self._term(depth))
        return left

    def _term(self, depth: int) -> Target:
        start = self.skip_blanks()
        self._terms += 1
        if self._terms > MAX_TERMS or depth > MAX_DEPTH:
            raise self.error(start, f"more than {MAX_TERMS} terms or {MAX_DEPTH} parentheses", "ask for less at a time")
        if self._peek() == "(":
            self._take()
            inside = self.target(depth + 1)
            if self._peek() != ")":
                raise self.error(self.at, "a closing parenthesis is missing", f"the one at column {start + 1} is open")
            self._take()
            return inside
        word = _WORD.match(self.text, start)
        if word is None:
            raise self.error(start, "a target is missing", "write one such as pid:1, kernel.text or file:/bin/busybox")
        return self._word(word[0], start)

    def _word(self, word: str, start: int) -> Target:
        self.at = start + len(word)
        following = self.text[self.at : self.at + 1]
        if word in KINDS and following == ":":
            self.at += 1
            if word in ("pa", "va"):
                return self._span(word == "va")
            return self._pid() if word == "pid" else self._named(word)
        if word == "kernel" and following == ".":
            self.at += 1
            return Named("kernel", self._part(KERNEL_PARTS, "kernel"), column=self.at + 1)
        if word in WORDS and (not following or following in _BLANKS + _OPERATORS + "()"):
            return Named(word, column=start + 1)
        kinds = (*(f"{kind}:" for kind in KINDS), *WORDS, "kernel.text")
        otherwise = f"targets begin with {', '.join(kinds[:-1])} or kernel.PART"
        raise self.error(start, "no such kind of target", suggest(word + following, kinds, otherwise))

    def _span(self, is_virtual: bool) -> Span:
        start = self.at
        address = self._address()
        size = self._size() if _SIZE_FOLLOWS.match(self.text, self.at) else None
        if size is not None and address + size > _U64 + 1:
            raise self.error(start, "the range goes past the last address", "give a smaller size")
        pid_column = self.at + len("@pid:") + 1
        return Span(address, size, is_virtual, self._space() if is_virtual else None, start + 1, pid_column)

    def _pid(self) -> Named:
        start = self.at
        number = self._decimal()
        part = ""
        if self.text[self.at : self.at + 1] == "/":
            self.at += 1
            part = self._part(PROCESS_PARTS, "a process")
        return Named("pid", str(number), part, start + 1)

    def _named(self, kind: str) -> Named:
        start = self.at
        name, is_quoted = self._name(kind)
        part = ""
        if kind == "comm":
            head, slash, tail = name.rpartition("/")
            if not is_quoted and slash and head and tail in PROCESS_PARTS:
                name, part = head, tail
            elif is_quoted and self.text[self.at : self.at + 1] == "/":
                self.at += 1
                part = self._part(PROCESS_PARTS, "a process")
        if kind == "class" and name not in CLASSES:
            hint = suggest(name, CLASSES, f"the classes are {', '.join(CLASSES)}")
            raise self.error(start, "no such class of pages", hint)
        return Named(kind, name, part, start + 1)

    def _part(self, parts: tuple[str, ...], whose: str) -> str:
        start = self.at
        word = re.compile("[A-Za-z_]*").match(self.text, start)
        name = word[0] if word else ""
        if name not in parts:
            raise self.error(
                start, f"no such part of {whose}", suggest(name, parts, f"the parts are {', '.join(parts)}")
            )
        self.at += len(name)
        return name

    def _name(self, kind: str) -> tuple[str, bool]:
        """A name, and whether it was quoted."""
        start = self.at
        if self.text[start : start + 1] in tuple(_QUOTES):
            return self._quoted(), True
        while self.at < len(self.text) and not self._ends_name(kind):
            self.at += 1
        if self.at == start:
            raise self.error(start, "a name is missing", "write one, in quotes if it has blanks or operators")
        return self.text[start : self.at], False

    def _ends_name(self, kind: str) -> bool:
        character = self.text[self.at]
        if character in _BLANKS or character in "()":
            return True
        # No symbol has an operator in its name, and a place may say sym:NAME+OFFSET.
        return character in _OPERATORS and (kind == "sym" or _HEAD.match(self.text, self.at + 1) is not None)

    def _quoted(self) -> str:
        start, quote, letters = self.at, self._take(), []
        while (character := self.text[self.at : self.at + 1]) != quote:
            if not character:
                raise self.error(start, "a quoted name does not end", f"close it with {quote}")
            self.at += 1
            letters.append(self._escaped() if character == "\\" else character)
        self.at += 1
        if not letters:
            raise self.error(start, "a name is empty", "write something between the quotes")
        return "".join(letters)

    def _escaped(self) -> str:
        start, letter = self.at - 1, self.text[self.at : self.at + 1]
        self.at += 1
        digits = self.text[self.at : self.at + _HEX_ESCAPES.get(letter, 0)]
        if letter in _HEX_ESCAPES:
            if not re.fullmatch(f"[0-9a-fA-F]{{{_HEX_ESCAPES[letter]}}}", digits) or int(digits, 16) > 0x10FFFF:
                raise self.error(start, "an escape is not a character", r"write \xHH, \uHHHH or \UHHHHHHHH")
            self.at += len(digits)
            return chr(int(digits, 16))
        return _ESCAPES.get(letter, letter)

    def _address(self) -> int:
        start = self.at
        number = self._number(_NUMBER, "an address", "write it as 0x1f000 or 126976")
        if number > _U64:
            raise self.error(start, "an address has more than 64 bits", "write it as 0x1f000 or 126976")
        return number

    def _decimal(self) -> int:
        return self._number(re.compile(r"[0-9]{1,10}"), "a process number", "write one of 'glassbox ps', such as pid:1")

    def _number(self, pattern: re.Pattern[str], what: str, hint: str) -> int:
        match = pattern.match(self.text, self.at)
        if match is None or re.match(r"\w", self.text[match.end() : match.end() + 1]):
            raise self.error(self.at, f"{what} is missing or malformed", hint)
        self.at = match.end()
        return int(match[0], 16 if match[0][:2] in ("0x", "0X") else 10)

    def _size(self) -> int:
        """What follows a plus sign that `_SIZE_FOLLOWS` has seen."""
        plus = _SIZE_FOLLOWS.match(self.text, self.at)
        start = plus.end() if plus else self.at
        match = _SIZE.match(self.text, start)
        if match is None or re.match(r"\w", self.text[match.end() : match.end() + 1]):
            raise self.error(start, "a size is malformed", "write bytes or a number with K, M or G, such as 8K")
        size = int(match[1], 16) if match[1] else int(match[2]) << _SUFFIXES[match[3].upper()]
        if not 0 < size <= _U64:
            raise self.error(start, "a size must be at least 1 and fit 64 bits", "write one such as 8K")
        self.at = match.end()
        return size

    def _space(self) -> int | None:
        """The process of ``@pid:N``, None without."""
        if self.text[self.at : self.at + 1] != "@":
            return None
        if not self.text.startswith("@pid:", self.at):
            raise self.error(self.at, "no such address space", "write @pid:NUMBER, or leave it away for the kernel's")
        self.at += 5
        return self._decimal()

    def _peek(self) -> str:
        at = self.skip_blanks()
        return self.text[at : at + 1]

    def _take(self) -> str:
        self.at += 1
        return self.text[self.at - 1]
