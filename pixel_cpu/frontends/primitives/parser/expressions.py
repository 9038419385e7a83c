"""Expressions: operators by how tightly they bind, calls, elements, literals, and numbers that are known while reading."""

from __future__ import annotations

from collections.abc import Callable

from .. import tree
from ..lexer import Token, unquote
from ..words import CONSTANTS, FUNCTIONS, MINOR_WORDS, STATEMENTS, TYPES
from .cursor import Cursor

MAX_EXPRESSION = 64
"""Brackets, indexes, calls and signs inside each other."""

_LEVELS: tuple[tuple[str, ...], ...] = (
    ("or",),
    ("and",),
    ("==", "!=", "<", "<=", ">", ">="),
    ("|",),
    ("^",),
    ("&",),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
"""Operators from the loosest to the tightest; unary ones and ``**`` bind tighter."""
_BINDS = {sign: level for level, signs in enumerate(_LEVELS) for sign in signs}
_NOT_LEVEL = 2
COMPARISONS = _LEVELS[2]


class Expressions(Cursor):
    """Reads expressions."""

    _closed = False
    """Whether the expression read last ended with a bracket around it."""

    def _inside(self, read: Callable[[], tree.Expression]) -> tree.Expression:
        self._nesting += 1
        if self._nesting > MAX_EXPRESSION:
            raise self.source.at(self._peek(), f"an expression with more than {MAX_EXPRESSION} levels; split it")
        found = read()
        self._nesting -= 1
        return found

    def _expression(self, level: int = 0) -> tree.Expression:
        found = self._prefix(level)
        while True:
            token = self._peek()
            sign = token.text.lower() if token.kind in ("op", "name") else ""
            if sign not in _BINDS or _BINDS[sign] < level:
                break
            own = _BINDS[sign]
            if (
                sign in COMPARISONS
                and isinstance(found, tree.Binary)
                and found.sign in COMPARISONS
                and not self._closed
            ):
                raise self.source.at(token, "comparisons do not chain; join two with and")
            self.spelling[self._next()] = sign
            right = self._expression(own + 1)
            found = tree.Binary(token, sign, found, right)
            self._closed = False
        return found

    _closed = False

    def _prefix(self, level: int) -> tree.Expression:
        token = self._peek()
        if token.kind == "name" and token.text.lower() == "not":
            self.spelling[self._next()] = "not"
            return tree.Unary(token, "not", self._inside(lambda: self._expression(max(level, _NOT_LEVEL))))
        if sign := self._accept("-", "~", "+"):
            self.signs.add(sign)
            operand = self._inside(lambda: self._prefix(len(_LEVELS)))
            return operand if sign.text == "+" else tree.Unary(sign, sign.text, operand)
        found = self._primary(is_among=False)
        if power := self._accept("**"):
            found = tree.Call(power, "pow", (found, self._inside(lambda: self._prefix(len(_LEVELS)))))
        return found

    def _primary(self, is_among: bool) -> tree.Expression:
        """A literal, a name, an element, a call, or anything in brackets. Among operands a bracket belongs to a name it touches."""
        token = self._peek()
        self._closed = False
        match token.kind:
            case "int" | "float" | "char":
                self._next()
                return self._literal(token)
            case "name":
                return self._named(token, is_among)
        if self._accept("("):
            found = self._inside(self._expression)
            self.attached.add(self._expect(")"))
            self._closed = True
            return found
        raise self._unexpected("a value")

    def _literal(self, token: Token) -> tree.Literal:
        digits = token.text.replace("_", "")
        if token.kind == "char":
            code = ord(unquote(self.source, token))
            if code > 255:
                raise self.source.at(token, "a character has one byte")
            return tree.Literal(token, code)
        if token.kind == "float":
            value = float(digits)
            if value == float("inf"):
                raise self.source.at(token, "the number is too large for a float")
            return tree.Literal(token, value, True)
        return tree.Literal(token, int(digits, 0) if digits[:2].lower() in ("0x", "0b") else int(digits))

    def _named(self, token: Token, is_among: bool) -> tree.Expression:
        lower = token.text.lower()
        follower = self._line.tokens[self._place + 1]
        touches = follower.column == token.end or not is_among
        if follower.kind == "op" and follower.text == "(" and touches:
            return self._call(token)
        if lower in CONSTANTS and token.text in (lower, token.text.upper()):
            self.spelling[self._next()] = lower
            value = CONSTANTS[lower]
            return tree.Literal(token, value, not isinstance(value, bool))
        name = self._name("a value")
        return self._element(name) if self._is("[") and touches else tree.Name(name)

    def _call(self, token: Token) -> tree.Expression:
        lower = token.text.lower()
        is_builtin = lower in FUNCTIONS or lower in TYPES or (lower[:5] == "bits_" and lower[5:] in TYPES)
        if not is_builtin and (token.text in STATEMENTS or token.text in MINOR_WORDS):
            raise self.source.at(token, f"{token.text} is a word of the language, not a function")
        self._next()
        if is_builtin:
            self.spelling[token] = lower
        self.attached.add(self._expect("("))
        arguments: list[tree.Expression] = []
        while not self._is(")"):
            if arguments:
                self._expect(",", "`,` or `)`")
            arguments.append(self._inside(self._expression))
        self.attached.add(self._next())
        self._closed = True
        return tree.Call(token, lower if is_builtin else token.text, tuple(arguments))

    def _element(self, name: Token) -> tree.Element:
        bracket = self._expect("[", "`[` and an index")
        index = self._inside(self._expression)
        self.attached |= {bracket, self._expect("]")}
        return tree.Element(name, index)

    def _number(self, what: str, least: int, most: int) -> int:
        """A whole number that is known now: literals with + - * and brackets."""
        token = self._peek()
        value = self._constant(self._expression())
        if value is None:
            raise self.source.at(token, f"{what} is a whole number that is known here, like 256 or 16 * 17")
        if not least <= value <= most:
            raise self.source.at(token, f"{what} is {least} to {most}, not {str(value)[:40]}")
        return value

    def _constant(self, found: tree.Expression) -> int | None:
        chain: list[tree.Binary] = []
        while isinstance(found, tree.Binary) and found.sign in ("+", "-", "*"):
            chain.append(found)
            found = found.left
        value: int | None = None
        if isinstance(found, tree.Literal) and not isinstance(found.value, (bool, float)):
            value = found.value
        elif isinstance(found, tree.Unary) and found.sign == "-":
            inner = self._constant(found.operand)
            value = None if inner is None else -inner
        for link in reversed(chain):
            right = self._constant(link.right)
            if value is None or right is None:
                return None
            value = value + right if link.sign == "+" else value - right if link.sign == "-" else value * right
        return value
