"""Lines and tokens of a program, with their places, and the limits of a text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ...errors import SourceError

MAX_CHARACTERS = 1 << 20
"""Characters of a text."""
MAX_LINE = 2000
"""Characters of a line."""
MAX_DIGITS = 40
"""Digits of a number."""
MAX_NAME = 64
"""Characters of a name."""
TAB = 4

_TOKEN = re.compile(
    r"""(?P<space>[ \t]+)
    |(?P<float>[0-9][0-9_]*(?:\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+))
    |(?P<int>0[xX][0-9a-fA-F][0-9a-fA-F_]*|0[bB][01][01_]*|[0-9][0-9_]*)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<char>'(?:[^'\\]|\\.)')
    |(?P<op>->|→|\.\.|\*\*|<<|>>|<=|>=|==|!=|[-+*/%&|^~<>=()\[\],:;])""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\", '"': '"', "'": "'"}
_HINTS = {
    "!": "write not, or !=",
    "?": "write select(condition, a, b)",
    "{": "a block is indented",
    "}": "a block is indented",
    '"': 'a text ends with " on its own line',
    "'": "a character is one letter between '",
    ".": "a number has digits on both sides of its point, a range is a..b",
    "‘": "a character stands between '",
    "“": 'a text stands between "',
}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a line. `kind` is ``name``, ``int``, ``float``, ``char``, ``string``, ``op`` or ``end``; `column` counts from 1."""

    kind: str
    text: str
    line: int
    column: int

    @property
    def end(self) -> int:
        """The column behind it."""
        return self.column + len(self.text)


@dataclass(slots=True)
class Line:
    """A line with something on it: how far it is indented, its tokens with an ``end`` behind them, its comment."""

    number: int
    indent: int
    tokens: list[Token]
    comment: str = ""
    depth: int = field(default=0)
    """Blocks around it; the parser fills it in."""


class Source:
    """A text, its lines, and errors that point into it."""

    def __init__(self, text: str, file: str = "") -> None:
        self.text, self.file = text, file
        self.lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")

    def error(self, message: str, line: int, column: int) -> SourceError:
        """An error at a place of the text."""
        shown = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return SourceError(message, line=line, column=column, text=shown, file=self.file)

    def at(self, token: Token, message: str) -> SourceError:
        """An error at a token."""
        return self.error(message, token.line, token.column)

    def check_size(self) -> None:
        """Raise `SourceError` where the text is longer than what the language takes."""
        if len(self.text) > MAX_CHARACTERS:
            before = self.text[:MAX_CHARACTERS]
            line, column = before.count("\n") + 1, MAX_CHARACTERS - before.rfind("\n")
            raise self.error(f"the text has more than {MAX_CHARACTERS} characters", line, column)


def read_line(source: Source, number: int) -> Line | None:
    """The tokens of line `number`; None for an empty one or a comment alone."""
    text = source.lines[number - 1]
    if len(text) > MAX_LINE:
        raise source.error(f"a line has at most {MAX_LINE} characters, this one {len(text)}", number, MAX_LINE + 1)
    indent, place = 0, 0
    while place < len(text) and text[place] in " \t":
        indent = indent + 1 if text[place] == " " else (indent // TAB + 1) * TAB
        place += 1
    tokens: list[Token] = []
    comment = ""
    while place < len(text):
        if text[place] == "#":
            comment = text[place:].rstrip()
            break
        found = _TOKEN.match(text, place)
        if not found:
            hint = _HINTS.get(text[place])
            what = f"{text[place]!r} is no part of the language"
            raise source.error(f"{what}; {hint}" if hint else what, number, place + 1)
        kind = found.lastgroup or ""
        if kind != "space":
            tokens.append(_token(source, kind, found.group(), number, place + 1))
        place = found.end()
    if not tokens:
        return None
    tokens.append(Token("end", "", number, len(text[:place].rstrip()) + 1))
    return Line(number, indent, tokens, comment)


def _token(source: Source, kind: str, text: str, number: int, column: int) -> Token:
    if kind == "name" and len(text) > MAX_NAME:
        raise source.error(f"a name has at most {MAX_NAME} characters", number, column)
    if kind in ("int", "float") and len(text) > MAX_DIGITS:
        raise source.error(f"a number has at most {MAX_DIGITS} characters", number, column)
    behind = source.lines[number - 1][column - 1 + len(text) :][:1]
    if kind in ("int", "float") and (behind.isalnum() or behind == "_"):
        raise source.error(f"{text}{behind} is no number", number, column)
    return Token(kind, text, number, column)


def unquote(source: Source, token: Token) -> str:
    """The characters of a string or character token."""

    def replace(found: re.Match[str]) -> str:
        letter = found.group(1)
        if letter not in _ESCAPES:
            place = token.column + 1 + found.start()
            raise source.error(f"\\{letter} means nothing; there are \\n \\t \\0 \\\\ \\\" \\'", token.line, place)
        return _ESCAPES[letter]

    return re.sub(r"\\(.)", replace, token.text[1:-1])
