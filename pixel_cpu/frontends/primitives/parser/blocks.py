"""Blocks: on the line of their head, indented below it, or to a closing word; and the statements that have them."""

from __future__ import annotations

from collections.abc import Collection

from .. import tree
from ..lexer import Line, Token
from ..words import Word
from .cursor import IF_WORDS, TOP_READERS
from .statements import Statements

MAX_BLOCKS = 48
"""Blocks inside each other; each ELIF counts as one more."""


class Blocks(Statements):
    """Reads IF, WHILE, FOR and PARALLEL FOR."""

    def _lines(self, indent: int, outside: int, closers: Collection[str]) -> list[tree.Statement]:
        """Statements of lines that are indented by `indent`, to a closing word or a line that is indented less."""
        found: list[tree.Statement] = []
        while line := self._fresh():
            word = self._word()
            if word in ("GPU_END", "GPU_KERNEL") or (word in closers and line.indent == indent):
                break
            if line.indent <= outside and outside >= 0 and line.indent < indent:
                break
            line.depth = self._level
            if line.indent != indent and line.tokens[0].kind != "broken":
                message = (
                    "this line is indented more than its block" if line.indent > indent else "no block is indented so"
                )
                self._note(self.source.at(line.tokens[0], message))
                line.indent = indent
            self._guard(lambda: self._line_of(found), indent)
        return found

    def _line_of(self, found: list[tree.Statement]) -> None:
        """The statements of one line, and the blocks that belong to it."""
        while True:
            found.append(self._statement())
            if self._fresh() or self._row >= len(self.lines):
                return
            if not self._accept(";"):
                break
            self.attached.add(self._line.tokens[self._place - 1])
            if self._peek().kind == "end":
                break
        self._end()

    def _statement(self) -> tree.Statement:
        first, word = self._first()
        if word.reader in TOP_READERS or word.reader == "member":
            raise self.source.at(first, f"{word.name} does not stand in thread code")
        found: tree.Statement = self._read(first, word)
        return found

    def _suite(self, word: str, closers: tuple[str, ...], colon: str = "`:`") -> tree.Block:
        """What belongs to a head: on its line, indented below it, or to a closing word. Ends at the line's end or a fresh line."""
        header, head = self._line, self._line.tokens[0]
        self.attached.add(self._expect(":", colon))
        self._blocks += 1
        if self._blocks > MAX_BLOCKS:
            raise self.source.at(head, f"more than {MAX_BLOCKS} blocks inside each other")
        try:
            if self._peek().kind != "end":
                return self._inline_suite()
            if self._inline:
                raise self._unexpected(f"a statement: what belongs to {word} stands on its line here")
            self._move(self._row + 1)
            self._level += 1
            line = self._fresh()
            if line and line.indent > header.indent:
                body = self._lines(line.indent, header.indent, ())
            else:
                body = self._lines(header.indent, header.indent, closers) if line else []
                if not self._fresh() or self._word() not in closers or self._line.indent != header.indent:
                    raise self.source.at(
                        head, f"{word} has no block: indent what belongs to it, or end it with {closers[-1]}"
                    )
            self._level -= 1
            return tuple(body)
        finally:
            self._blocks -= 1

    def _inline_suite(self) -> tree.Block:
        self._inline += 1
        found = [self._statement()]
        while self._accept(";"):
            self.attached.add(self._line.tokens[self._place - 1])
            found.append(self._statement())
        self._inline -= 1
        return tuple(found)

    def _at_closer(self, words: Collection[str], header: Line) -> bool:
        """Whether one of `words` goes on with a block: on this line, or at the head of the next with the same indent."""
        if self._fresh():
            if self._line.indent != header.indent or self._word() not in words:
                return False
            self._line.depth = header.depth
            return True
        if self._row >= len(self.lines):
            return False
        if self._peek().kind == "end" and not self._inline and self._row + 1 < len(self.lines):
            line = self.lines[self._row + 1]
            if line.indent == header.indent and line.tokens[0].text.upper() in words:
                self._move(self._row + 1)
                line.depth = header.depth
                return True
        return self._word() in words

    def _close(self, word: str, header: Line) -> None:
        """The closing word of a block, where it is written."""
        if self._at_closer((word,), header):
            self._first()

    def _read_if_(self, at: Token, word: Word) -> tree.If:
        header, blocks = self._line, self._blocks
        arms = [(at, self._expression(), self._suite("IF", IF_WORDS))]
        otherwise: tree.Block = ()
        while self._at_closer(IF_WORDS, header):
            token, word = self._first()
            if word.name == "ENDIF":
                break
            self._blocks += 1
            if word.name == "ELSE":
                otherwise = self._suite("ELSE", ("ENDIF",))
                self._close("ENDIF", header)
                break
            arms.append((token, self._expression(), self._suite("ELIF", IF_WORDS)))
        self._blocks = blocks
        return tree.If(at, tuple(arms), otherwise)

    def _loop_body(self, word: str, closer: str) -> tree.Block:
        header = self._line
        self._loops += 1
        body = self._suite(word, (closer,))
        self._loops -= 1
        self._close(closer, header)
        return body

    def _read_while_(self, at: Token, word: Word) -> tree.While:
        condition = self._expression()
        return tree.While(at, condition, self._loop_body("WHILE", "ENDWHILE"))

    def _range(self) -> tuple[tree.Expression, tree.Expression]:
        first = self._expression()
        dots = self._expect("..", "`..` and where it ends")
        self.attached.add(dots)
        self.signs.add(dots)
        return first, self._expression()

    def _read_for_(self, at: Token, word: Word) -> tree.For:
        variable = self._name("the loop's variable")
        if not self._minor("IN"):
            raise self._unexpected("IN")
        first, last = self._range()
        step = self._expression() if self._minor("STEP") else None
        return tree.For(at, variable, first, last, step, self._loop_body("FOR", "ENDFOR"))

    def _read_parallel(self, at: Token, word: Word) -> tree.ParallelFor:
        if self._word() != "FOR":
            raise self._unexpected("FOR")
        self.spelling[self._next()] = "FOR"
        name = self._name("an array or a variable")
        first = last = None
        if self._minor("IN"):
            first, last = self._range()
        return tree.ParallelFor(at, name, first, last, self._loop_body("PARALLEL FOR", "ENDFOR"))
