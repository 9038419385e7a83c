"""Statements of one line: a word, its operands, and where the result goes."""

from __future__ import annotations

from typing import Any

from .. import tree
from ..lexer import Token, unquote
from ..words import FUNCTIONS, REDUCTIONS, STATEMENTS, Word, near
from .cursor import IF_WORDS, BrokenLineError
from .expressions import COMPARISONS, Expressions

MAX_STATEMENTS = 20_000
"""Statements of a text."""


class Statements(Expressions):
    """Reads the word that begins a statement, and what follows it."""

    def _first(self) -> tuple[Token, Word]:
        """The word that begins a statement."""
        token = self._peek()
        if token.kind != "name":
            raise self._unexpected("a statement")
        word = STATEMENTS.get(token.text.upper())
        if not word:
            if self._line.tokens[self._place + 1].text in ("=", "["):
                raise self.source.at(token, f"an assignment is written CALCULATE {token.text} = expression")
            raise self.source.at(token, f"{token.text} begins no statement{near(token.text, STATEMENTS)}")
        self.spelling[self._next()] = word.name
        return token, word

    def _read(self, token: Token, word: Word) -> Any:  # noqa: ANN401  # the reader's own statement
        self._statements += 1
        if self._statements > MAX_STATEMENTS:
            raise self.source.at(token, f"the text has more than {MAX_STATEMENTS} statements")
        return getattr(self, f"_read_{word.reader}")(token, word)

    def _read_stray(self, at: Token, word: Word) -> None:
        if word.name in self._headless:
            raise BrokenLineError  # what it belongs to has an error of its own
        raise self.source.at(at, f"{word.name} belongs to nothing here")

    def _target(self) -> tree.Target:
        name = self._name("a variable or an element")
        return self._element(name) if self._is("[") else tree.Name(name)

    def _variable(self) -> tree.Name:
        name = self._name("a variable")
        if self._is("["):
            raise self._unexpected("a variable, not an element")
        return tree.Name(name)

    def _operands(self, count: int) -> list[tree.Expression]:
        found: list[tree.Expression] = []
        while len(found) < count:
            if found and (comma := self._accept(",")):
                self.dropped.add(comma)
            if self._is("->", "→") or self._peek().kind == "end":
                raise self._unexpected(f"{count} operands, here the {('first', 'second', 'third')[len(found)]}")
            found.append(self._operand())
        if not self._is("->", "→"):
            raise self._unexpected("`->` and a result (an expression stands in brackets here)")
        return found

    def _operand(self) -> tree.Expression:
        """An operand that stands among others: brackets around anything longer."""
        if sign := self._accept("-", "~"):
            self.signs.add(sign)
            return tree.Unary(sign, sign.text, self._operand_inside())
        return self._primary(is_among=True)

    def _operand_inside(self) -> tree.Expression:
        return self._inside(self._operand)

    def _result(self, at: Token, value: tree.Expression) -> tree.Assign:
        self._arrow()
        return tree.Assign(at, self._target(), value)

    def _read_binary(self, at: Token, word: Word) -> tree.Assign:
        left, right = self._operands(2)
        return self._result(at, tree.Binary(at, word.operation, left, right))

    def _read_unary(self, at: Token, word: Word) -> tree.Assign:
        (operand,) = self._operands(1)
        return self._result(at, tree.Unary(at, "not" if word.name == "NOT" else word.operation, operand))

    def _read_function(self, at: Token, word: Word) -> tree.Assign:
        arguments = self._operands(FUNCTIONS[word.operation].arity)
        return self._result(at, tree.Call(at, word.operation, tuple(arguments)))

    def _read_identity(self, at: Token, word: Word) -> tree.Identity:
        self._arrow("a variable")
        return tree.Identity(at, word.operation, self._variable())

    def _read_index(self, at: Token, word: Word) -> tree.Index:
        self._arrow("a variable")
        return tree.Index(at, self._variable())

    def _as(self, element: tree.Element) -> tree.Element:
        return tree.Element(element.at, element.index, self._type()) if self._minor("AS") else element

    def _read_load(self, at: Token, word: Word) -> tree.Assign:
        element = self._as(self._element(self._name("an array")))
        self._arrow("a variable")
        return tree.Assign(at, self._variable(), element)

    def _read_store(self, at: Token, word: Word) -> tree.Assign:
        value = self._expression()
        self._arrow("an element")
        return tree.Assign(at, self._as(self._element(self._name("an array"))), value)

    def _read_calculate(self, at: Token, word: Word) -> tree.Assign:
        target = self._target()
        self._expect("=", "`=`")
        return tree.Assign(at, target, self._expression())

    def _read_pixel(self, at: Token, word: Word) -> tree.Pixel:
        parts = [self._expression()]
        while self._accept(","):
            parts.append(self._expression())
        if len(parts) not in (3, 4):
            raise self._unexpected("3 or 4 parts: red, green, blue, alpha")
        self._arrow()
        return tree.Pixel(at, tuple(parts), self._target())

    def _read_compare(self, at: Token, word: Word) -> tree.Assign:
        value = self._expression()
        if not isinstance(value, tree.Binary) or value.sign not in COMPARISONS:
            raise self._unexpected("a comparison with < <= > >= == !=")
        return self._result(at, value)

    def _read_jump(self, at: Token, word: Word) -> tree.Jump:
        if not self._loops:
            raise self.source.at(at, f"{word.name} stands in no loop")
        return tree.Jump(at)

    def _read_return_(self, at: Token, word: Word) -> tree.Return:
        is_bare = self._peek().kind == "end" or self._is(";") or self._word() in IF_WORDS
        return tree.Return(at, None if is_bare else self._expression())

    def _read_sync(self, at: Token, word: Word) -> tree.Sync:
        return tree.Sync(at)

    def _read_transform(self, at: Token, word: Word) -> tree.Transform:
        source = self._name("an array")
        self._arrow("an array")
        target = self._name("an array")
        value = self._expression() if self._minor("BY") else tree.Name(source)
        return tree.Transform(at, source, target, value)

    def _read_matmul(self, at: Token, word: Word) -> tree.Matmul:
        left = self._name("an array")
        right = self._name("an array")
        self._arrow("an array")
        target = self._name("an array")
        size = tuple(self._operand() for _ in range(3)) if self._minor("SIZE") else ()
        return tree.Matmul(at, left, right, target, size)

    def _read_atomic(self, at: Token, word: Word) -> tree.Atomic:
        element = self._element(self._name("an array"))
        values = tuple(self._operand() for _ in range(2 if word.operation == "atomic_cas" else 1))
        target = None
        if self._is("->", "→"):
            self._arrow()
            target = self._variable()
        return tree.Atomic(at, word.operation, element, values, target)

    def _read_reduce(self, at: Token, word: Word) -> tree.Reduce:
        name = self._word()
        if name not in REDUCTIONS:
            raise self._unexpected(f"one of {', '.join(REDUCTIONS)}")
        self.spelling[self._next()] = name
        (value,) = self._operands(1)
        self._arrow("a variable")
        return tree.Reduce(at, word.operation == "warp", REDUCTIONS[name], value, self._variable())

    def _text(self) -> str:
        token = self._peek()
        if token.kind != "string":
            raise self._unexpected('a text in "')
        return unquote(self.source, self._next())

    def _read_trap(self, at: Token, word: Word) -> tree.Trap:
        return tree.Trap(at, self._text())

    def _read_print_(self, at: Token, word: Word) -> tree.Print:
        text = self._text() if self._peek().kind == "string" else ""
        values: list[tree.Expression] = []
        while self._peek().kind != "end" and not self._is(";") and self._word() not in IF_WORDS:
            if comma := self._accept(","):
                self.dropped.add(comma)
            values.append(self._operand())
        return tree.Print(at, text, tuple(values))
