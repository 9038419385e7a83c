"""The one way to write a program: indented by 4, words in upper case, ``->``, one space where there is one; comments stay."""

from __future__ import annotations

import bisect

from ...errors import SourceError
from .lexer import Line, Source, Token
from .parser import Parser

INDENT = 4


def format_source(text: str, file: str = "") -> str:
    """The text in canonical form, which means the same; formatting it again changes nothing.

    Raises `SourceError` where the text does not parse.
    """
    source = Source(text, file)
    parser = Parser(source)
    parser.run()
    if parser.errors:
        first = parser.errors[0]
        raise SourceError(
            first.message,
            line=first.line,
            column=first.column,
            text=first.text,
            file=first.file,
            others=parser.errors[1:],
        )
    lines = {line.number: line for line in parser.lines}
    found: list[str] = []
    for number, raw in enumerate(source.lines, 1):
        line = lines.get(number)
        if line:
            comment = f"  {line.comment}" if line.comment else ""
            found.append(" " * (INDENT * line.depth) + _tokens(parser, line) + comment)
        elif raw.strip(" \t"):
            found.append(" " * (INDENT * _comment_depth(parser.lines, number, raw)) + raw.strip())
        elif found and found[-1]:
            found.append("")
    while found and not found[-1]:
        found.pop()
    return "\n".join(found) + "\n" if found else ""


def _comment_depth(lines: list[Line], number: int, raw: str) -> int:
    """How deep a line with a comment alone stands: as what follows, or as what it follows if it is indented like that."""
    place = bisect.bisect(lines, number, key=lambda line: line.number)
    before = lines[place - 1] if place else None
    after = lines[place] if place < len(lines) else None
    if before is None or (after and after.depth >= before.depth):
        return after.depth if after else 0
    width = len(raw.expandtabs(INDENT)) - len(raw.expandtabs(INDENT).lstrip())
    return before.depth if before.depth and width >= before.indent else after.depth if after else 0


def _tokens(parser: Parser, line: Line) -> str:
    text = ""
    last: Token | None = None
    for token in line.tokens:
        if token.kind == "end" or token in parser.dropped:
            continue
        if last is not None and _has_space(parser, last, token):
            text += " "
        text += parser.spelling.get(token, token.text)
        last = token
    return text


def _has_space(parser: Parser, last: Token, token: Token) -> bool:
    if token in parser.attached or last in parser.signs:
        return False
    if last.kind == "op" and last.text in ("(", "["):
        return False
    return not (token.kind == "op" and token.text == ",")
