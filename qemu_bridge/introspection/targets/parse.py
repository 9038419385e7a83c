"""Parses targets and places."""

from __future__ import annotations

import re

from ...errors import UsageError
from ...host.wildcards import has_wildcard
from .grammar import (
    BLANKS,
    CLASSES,
    HEAD,
    KERNEL_PARTS,
    KINDS,
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_TERMS,
    OPERATORS,
    PROCESS_PARTS,
    QUOTES,
    SUFFIXES,
    WORDS,
    Combined,
    Named,
    Span,
    SymbolPlace,
    Target,
)
from .hints import error_at, suggest

_U64 = (1 << 64) - 1
_WORD = re.compile(r"[A-Za-z_]+")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_SIZE = re.compile(r"(0[xX][0-9a-fA-F]+)|([0-9]+)([KMGT]?)(?:i?B)?", re.IGNORECASE)
_SIZE_FOLLOWS = re.compile(r"[ \t\r\n]*\+[ \t\r\n]*(?=[0-9])")
_ESCAPES = {"n": "\n", "t": "\t"}
_HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}


def parse_target(text: str) -> Target:
    """The target that `text` means; `UsageError` with the column where it is wrong."""
    reader = _Parser(text)
    target = reader.target(0)
    if reader.skip_blanks() < len(text):
        raise reader.error(reader.at, "the target continues without an operator", "join targets with +, & or -")
    return target


def parse_place(text: str, pid: int | None = None) -> Span | SymbolPlace:
    """One place: a physical address, ``va:ADDRESS@pid:N``, or a symbol with or without ``sym:`` and ``+OFFSET``.

    With `pid` a bare number is a virtual address of that process. `UsageError` for anything else.
    """
    reader = _Parser(text)
    reader.skip_blanks()
    place = reader.place(pid)
    if reader.skip_blanks() < len(text):
        raise reader.error(reader.at, "a place is one address or symbol, and more follows", "quote names with blanks")
    if pid is not None:
        if not isinstance(place, Span) or not place.is_virtual or place.pid not in (None, pid):
            raise UsageError(f"{text!r} is not a virtual address of process {pid}; give a number, or drop --pid")
        place = Span(place.start, None, True, pid, place.column)
    return place


class _Parser:
    """Reads one line from left to right; `at` is how far it has come."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._terms = 0
        if len(text) > MAX_LENGTH:
            raise UsageError(f"a target of {len(text)} characters is too long; write at most {MAX_LENGTH}")

    def error(self, at: int, what: str, hint: str) -> UsageError:
        return error_at(self.text, at + 1, what, hint)

    def skip_blanks(self) -> int:
        while self.at < len(self.text) and self.text[self.at] in BLANKS:
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
        if word in WORDS and (not following or following in BLANKS + OPERATORS + "()"):
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
        term = Named(kind, name, part, start + 1, not is_quoted and has_wildcard(name))
        if kind == "class" and not any(map(term.matches, CLASSES)):
            hint = suggest(name, CLASSES, f"the classes are {', '.join(CLASSES)}")
            raise self.error(start, "no class of pages matches" if term.is_pattern else "no such class of pages", hint)
        return term

    def _part(self, parts: tuple[str, ...], of_what: str) -> str:
        start = self.at
        word = re.compile("[A-Za-z_]*").match(self.text, start)
        name = word[0] if word else ""
        if name not in parts:
            raise self.error(
                start, f"no such part of {of_what}", suggest(name, parts, f"the parts are {', '.join(parts)}")
            )
        self.at += len(name)
        return name

    def _name(self, kind: str) -> tuple[str, bool]:
        """A name, and whether it was quoted."""
        start = self.at
        if self.text[start : start + 1] in tuple(QUOTES):
            return self._quoted(), True
        while self.at < len(self.text) and not self._ends_name(kind):
            self.at += 1
        if self.at == start:
            raise self.error(start, "a name is missing", "write one, in quotes if it has blanks or operators")
        return self.text[start : self.at], False

    def _ends_name(self, kind: str) -> bool:
        character = self.text[self.at]
        if character in BLANKS or character in "()":
            return True
        # No symbol has an operator in its name, and a place may say sym:NAME+OFFSET.
        return character in OPERATORS and (kind == "sym" or HEAD.match(self.text, self.at + 1) is not None)

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
        """The size after a plus sign that `_SIZE_FOLLOWS` has matched."""
        plus = _SIZE_FOLLOWS.match(self.text, self.at)
        start = plus.end() if plus else self.at
        match = _SIZE.match(self.text, start)
        if match is None or re.match(r"\w", self.text[match.end() : match.end() + 1]):
            raise self.error(start, "a size is malformed", "write bytes or a number with K, M or G, such as 8K")
        size = int(match[1], 16) if match[1] else int(match[2]) << SUFFIXES[match[3].upper()]
        if not 0 < size <= _U64:
            raise self.error(start, "a size must be at least 1 and fit 64 bits", "write one such as 8K")
        self.at = match.end()
        return size

    def _space(self) -> int | None:
        """The process of ``@pid:N``, None without."""
        if self.text[self.at : self.at + 1] != "@":
            return None
        if not self.text.startswith("@pid:", self.at):
            raise self.error(self.at, "no such address space", "write @pid:NUMBER, or omit it for the kernel's")
        self.at += 5
        return self._decimal()

    def _peek(self) -> str:
        at = self.skip_blanks()
        return self.text[at : at + 1]

    def _take(self) -> str:
        self.at += 1
        return self.text[self.at - 1]
