"""Where a parser stands in a text: its lines and tokens, what was expected there, and how it goes on after an error."""

from __future__ import annotations

from collections.abc import Callable

from ....errors import SourceError
from ....ir.types import Type
from .. import tree
from ..lexer import MAX_LINE, Line, Source, Token, read_line
from ..words import STATEMENTS, TYPES, is_reserved, near

MAX_ERRORS = 20
"""Errors of one run; reading ends there."""

IF_WORDS = ("ELIF", "ELSE", "ENDIF")
"""Words that go on with an IF, or end it."""
TOP_READERS = ("kernel", "func", "host_alloc", "host_copy", "host_free", "host_launch", "host_sync")
"""Readers of statements that stand outside of kernels."""
_CLOSERS = {
    "IF": set(IF_WORDS),
    "WHILE": {"ENDWHILE"},
    "FOR": {"ENDFOR"},
    "PARALLEL": {"ENDFOR"},
    "FUNC": {"ENDFUNC"},
}


class BrokenLineError(Exception):
    """A line that could not be split into tokens; its error is recorded already."""


class TooManyErrorsError(Exception):
    """Enough errors for one run."""


class Cursor:
    """A place in one text. `errors` are what was found so far, in order; `file` is complete where there are none.

    For the formatter it notes how tokens are spelled (`spelling`), which may be left out (`dropped`), which stand close to the one
    before (`attached`), and which are signs of what follows (`signs`).
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.file = tree.File()
        self.errors: list[SourceError] = []
        self.lines: list[Line] = []
        self.spelling: dict[Token, str] = {}
        self.dropped: set[Token] = set()
        self.attached: set[Token] = set()
        self.signs: set[Token] = set()
        self._row, self._place = 0, 0
        self._behind = [Token("end", "", len(source.lines), len(source.lines[-1]) + 1)]
        self._tokens = self._behind
        self._level, self._blocks, self._nesting = 0, 0, 0
        self._inline, self._statements, self._loops = 0, 0, 0
        self._headless: set[str] = set()
        """Words that end or go on with a block whose head is broken."""

    # Lines and errors

    def _read_lines(self) -> None:
        for number in range(1, len(self.source.lines) + 1):
            try:
                line = read_line(self.source, number)
            except SourceError as error:
                self._note(error)
                text = self.source.lines[number - 1]
                first = (text[:MAX_LINE].split() or [""])[0]
                line = Line(number, len(text) - len(text.lstrip()), [Token("broken", first, number, 1)])
            if line:
                self.lines.append(line)

    def _note(self, error: SourceError) -> None:
        self.errors.append(error)
        if len(self.errors) >= MAX_ERRORS:
            raise TooManyErrorsError

    def _guard(self, read: Callable[[], None], indent: int) -> None:
        """Read a statement; after an error go on behind it and behind what is indented below it."""
        start, level, blocks, loops = self._row, self._level, self._blocks, self._loops
        try:
            read()
        except (SourceError, BrokenLineError) as error:
            if isinstance(error, SourceError):
                self._note(error)
            self._level, self._blocks, self._loops, self._nesting, self._inline = level, blocks, loops, 0, 0
            row = self._row if self._row > start or self._place else start
            if row > start and self._place == 0:
                row -= 1  # the line that begins here is not to blame
            if row >= len(self.lines):
                return
            self._headless |= _CLOSERS.get(self.lines[row].tokens[0].text.upper(), set())
            self._move(row + 1)
            self._skip(self.lines[row], indent)

    def _skip(self, failed: Line, indent: int) -> None:
        """Pass over what makes no sense without the line that failed."""
        while line := self._fresh():
            word = self._word()
            if indent < 0:
                if word in STATEMENTS and STATEMENTS[word].reader in TOP_READERS:
                    return
            elif word in ("GPU_END", "GPU_KERNEL"):
                return
            elif line.indent < failed.indent or (line.indent == failed.indent and word not in self._headless):
                return
            self._move(self._row + 1)

    def _move(self, row: int) -> None:
        self._row, self._place = row, 0
        self._tokens = self.lines[row].tokens if row < len(self.lines) else self._behind

    @property
    def _line(self) -> Line:
        return self.lines[self._row]

    def _fresh(self) -> Line | None:
        """The line that begins here, None at the end of the text or inside a line."""
        return self.lines[self._row] if self._row < len(self.lines) and self._place == 0 else None

    def _word(self) -> str:
        """The word at this place, in upper case."""
        token = self._peek()
        return token.text.upper() if token.kind == "name" else ""

    # Tokens

    def _peek(self) -> Token:
        return self._tokens[self._place]

    def _next(self) -> Token:
        token = self._peek()
        if token.kind != "end":
            self._place += 1
        return token

    def _is(self, *texts: str) -> bool:
        token = self._peek()
        return token.kind == "op" and token.text in texts

    def _accept(self, *texts: str) -> Token | None:
        return self._next() if self._is(*texts) else None

    def _expect(self, text: str, what: str = "") -> Token:
        if not self._is(text):
            raise self._unexpected(what or f"`{text}`")
        return self._next()

    def _unexpected(self, what: str) -> SourceError:
        token = self._peek()
        if token.kind == "broken":
            raise BrokenLineError
        found = "the end of the line" if token.kind == "end" else f"`{token.text[:40]}`"
        return self.source.at(token, f"expected {what}, found {found}")

    def _minor(self, word: str) -> bool:
        """Read a word inside a statement, where it stands here."""
        if self._word() != word:
            return False
        self.spelling[self._next()] = word
        return True

    def _name(self, what: str) -> Token:
        token = self._peek()
        if token.kind != "name":
            raise self._unexpected(what)
        if is_reserved(token.text):
            raise self.source.at(token, f"{token.text} is a word of the language, not {what}")
        return self._next()

    def _arrow(self, what: str = "a result") -> None:
        token = self._accept("->", "→")
        if not token:
            raise self._unexpected(f"`->` and {what}")
        self.spelling[token] = "->"

    def _type(self) -> Type:
        token = self._peek()
        if token.kind != "name":
            raise self._unexpected("a type")
        kind = TYPES.get(token.text.lower())
        if not kind:
            raise self.source.at(token, f"there is no type {token.text}{near(token.text, TYPES)}")
        self.spelling[self._next()] = token.text.lower()
        return kind

    def _end(self) -> None:
        """The end of a line: nothing follows."""
        if self._peek().kind != "end":
            raise self._unexpected("the end of the line")
        self._move(self._row + 1)
