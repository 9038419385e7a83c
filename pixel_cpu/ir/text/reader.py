"""A text as a module."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from ...errors import SourceError
from ..bits import from_bits
from ..limits import MAX_DEPTH
from ..model import Bounds, Function, Kernel, Memory, Module, Op, Region, Space, Value
from ..operations import OPERATIONS
from ..types import FLOATS, Type
from .grammar import HAS_BOUNDS, HAS_LABEL, HAS_MEMORY, HAS_TEXT
from .writer import types_text

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r]+|;[^\n]*)
      | (?P<newline>\n)
      | (?P<value>%[A-Za-z0-9_.]+)
      | (?P<memory>@[A-Za-z0-9_.$]+)
      | (?P<label>\^[A-Za-z0-9_.]+)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<number>nan:[0-9a-f]+|-inf\b|-?0x[0-9a-f]+(?:\.[0-9a-f]*)?p[+-]?\d+|-?\d+)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>->|[(){}\[\]:,=!])""",
    re.VERBOSE,
)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int
    begins_line: bool = False


class _Scope:
    """Values that are visible, by name: a dictionary for each region that is open."""

    def __init__(self) -> None:
        self.maps: list[dict[str, Value]] = [{}]

    def find(self, name: str) -> Value | None:
        return next((found[name] for found in reversed(self.maps) if name in found), None)


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = list(self._tokens())
        self.place = 0
        self.entering: dict[str, Value] = {}
        """Parameters of the loop whose region comes next."""

    def _tokens(self) -> Iterator[_Token]:
        at, begins_line = 0, True
        while at < len(self.source):
            match = _TOKEN.match(self.source, at)
            if not match:
                raise self.error(f"{self.source[at]!r} begins no word of the IR", at)
            if match.lastgroup not in ("space", "newline"):
                yield _Token(str(match.lastgroup), match[0], at, begins_line)
            if match.lastgroup != "space":
                begins_line = match.lastgroup == "newline"
            at = match.end()
        yield _Token("end", "", at)

    def error(self, message: str, at: int | None = None) -> SourceError:
        at = self.tokens[self.place].at if at is None else at
        line = self.source.count("\n", 0, at) + 1
        start = self.source.rfind("\n", 0, at) + 1
        stop = self.source.find("\n", start)
        return SourceError(
            message, line=line, column=at - start + 1, text=self.source[start : stop if stop >= 0 else None]
        )

    @property
    def next(self) -> _Token:
        return self.tokens[self.place]

    def take(self, kind: str, text: str | None = None) -> str:
        token = self.next
        if token.kind != kind or (text is not None and token.text != text):
            raise self.error(f"expected {text or kind}, found {token.text or 'the end'!r}")
        self.place += 1
        return token.text

    def accept(self, kind: str, text: str | None = None) -> str | None:
        token = self.next
        if token.kind != kind or (text is not None and token.text != text):
            return None
        self.place += 1
        return token.text

    def type(self) -> Type:
        word = self.take("name")
        try:
            return Type(word)
        except ValueError:
            self.place -= 1
            raise self.error(f"{word!r} is no type; types are {types_text(Type)}") from None

    def integer(self) -> int:
        text = self.take("number")
        if not re.fullmatch(r"-?\d{1,20}", text):
            self.place -= 1
            raise self.error(f"expected an integer, found {text!r}")
        return int(text)

    def module(self) -> Module:
        module = Module()
        while self.next.kind != "end":
            word = self.take("name")
            name = self.take("name")
            if name in module.kernels or name in module.functions:
                self.place -= 1
                raise self.error(f"{name!r} is defined twice")
            if word == "kernel":
                module.kernels[name] = self.kernel(name)
            elif word == "function":
                module.functions[name] = self.function(name)
            else:
                self.place -= 2
                raise self.error(f"expected kernel or function, found {word!r}")
        return module

    def parameters(self, scope: _Scope) -> tuple[Value, ...]:
        found: list[Value] = []
        self.take("sign", "(")
        while not self.accept("sign", ")"):
            if found:
                self.take("sign", ",")
            found.append(self.definition(scope))
        return tuple(found)

    def definition(self, scope: _Scope) -> Value:
        at = self.next.at
        name = self.take("value")[1:]
        self.take("sign", ":")
        return self.define(name, self.type(), scope, at)

    def define(self, name: str, kind: Type, scope: _Scope, at: int) -> Value:
        if scope.find(name):
            raise self.error(f"%{name} is defined twice", at)
        # A number after a dot is what `write` adds to tell values of one name apart.
        value = Value(kind, "" if name.isdecimal() else re.sub(r"\.\d+$", "", name))
        scope.maps[-1][name] = value
        return value

    def kernel(self, name: str) -> Kernel:
        scope = _Scope()
        parameters = self.parameters(scope)
        group = self.integer() if self.accept("name", "group") else 32
        self.take("sign", "{")
        memories = self.memories()
        return Kernel(name, parameters, tuple(memories.values()), self.body(scope, memories), group)

    def function(self, name: str) -> Function:
        scope = _Scope()
        parameters = self.parameters(scope)
        results = self.types() if self.accept("sign", "->") else ()
        self.take("sign", "{")
        memories = self.memories()
        return Function(name, parameters, results, tuple(memories.values()), self.body(scope, memories))

    def types(self) -> tuple[Type, ...]:
        found = [self.type()]
        while self.accept("sign", ","):
            found.append(self.type())
        return tuple(found)

    def memories(self) -> dict[str, Memory]:
        found: dict[str, Memory] = {}
        spaces = {space.value: space for space in Space}
        while self.next.text in spaces and self.tokens[self.place + 1].kind == "memory":
            space = spaces[self.take("name")]
            at = self.next.at
            name = self.take("memory")[1:]
            if name in found:
                raise self.error(f"@{name} is defined twice", at)
            self.take("sign", ":")
            element = self.type()
            length = None
            if self.accept("sign", "["):
                length = self.integer()
                self.take("sign", "]")
            is_writable = not self.accept("name", "read")
            found[name] = Memory(name, space, element, length, is_writable)
        return found

    def body(self, scope: _Scope, memories: dict[str, Memory]) -> Region:
        region = Region()
        self.operations(region, scope, memories)
        return region

    def operations(self, region: Region, scope: _Scope, memories: dict[str, Memory]) -> None:
        if len(scope.maps) > MAX_DEPTH:
            raise self.error(f"more than {MAX_DEPTH} regions inside each other")
        scope.maps.append(self.entering)
        self.entering = {}
        while not self.accept("sign", "}"):
            region.operations.append(self.op(scope, memories))
        scope.maps.pop()

    def op(self, scope: _Scope, memories: dict[str, Memory]) -> Op:
        names: list[tuple[str, int]] = []
        while self.next.kind == "value":
            at = self.next.at
            names.append((self.take("value")[1:], at))
            if not self.accept("sign", ","):
                self.take("sign", "=")
                break
        name = self.take("name")
        if name not in OPERATIONS:
            self.place -= 1
            raise self.error(f"{name!r} is no operation")
        op = Op(name)
        number = truth = None
        literal_at = self.next.at
        if name == "const":
            number = self.accept("number") or self.accept("name", "inf")
            truth = self.accept("name", "true") or self.accept("name", "false")
        if name in HAS_MEMORY and (memory := self.accept("memory")):
            if name == "call":
                op.text = memory[1:]
            elif memory[1:] in memories:
                op.memory = memories[memory[1:]]
            else:
                self.place -= 1
                raise self.error(f"{memory} is not declared")
        if name in HAS_LABEL:
            op.label = self.take("label")[1:]
        if name in HAS_TEXT and self.next.kind == "string":
            try:
                op.text = json.loads(self.next.text)
            except ValueError:
                raise self.error("a string has JSON's escapes") from None
            self.place += 1
        parameters = self.loop_parameters(op, scope) if name == "loop" else ()
        operands = list(op.operands)
        while self.next.kind == "value" and not (self.next.begins_line and len(operands) == len(op.operands)):
            operands.append(self.use(scope))
            if not self.accept("sign", ","):
                break
        op.operands = tuple(operands)
        if name in HAS_BOUNDS:
            word = self.take("name")
            if word not in [bounds.value for bounds in Bounds]:
                self.place -= 1
                raise self.error("expected trap, clamp or proved")
            op.bounds = Bounds(word)
        if name == "continue" and self.accept("name", "fuel"):
            op.fuel = self.integer()
        kinds = self.types() if self.accept("sign", ":") else ()
        if len(kinds) != len(names):
            raise self.error(f"{name}: {len(names)} results and {len(kinds)} types")
        if name == "const":
            op.literal = self.literal(number, truth, kinds, literal_at)
        op.line = self.integer() if self.accept("sign", "!") else None
        self.regions(op, parameters, scope, memories)
        # Results are visible after the operation, not in its own regions.
        op.results = tuple(self.define(own, kind, scope, at) for (own, at), kind in zip(names, kinds, strict=True))
        return op

    def loop_parameters(self, op: Op, scope: _Scope) -> tuple[Value, ...]:
        inner = _Scope()
        starts: list[Value] = []
        self.take("sign", "(")
        while not self.accept("sign", ")"):
            if starts:
                self.take("sign", ",")
            if scope.find(self.next.text[1:]):
                raise self.error(f"{self.next.text} is defined twice")
            self.definition(inner)
            self.take("sign", "=")
            starts.append(self.use(scope))
        op.operands = tuple(starts)
        self.entering = inner.maps[0]
        return tuple(self.entering.values())

    def use(self, scope: _Scope) -> Value:
        found = scope.find(self.next.text[1:]) if self.next.kind == "value" else None
        if self.next.kind == "value" and not found:
            raise self.error(f"{self.next.text} is not defined here")
        self.take("value")
        assert found
        return found

    def literal(self, number: str | None, truth: str | None, kinds: tuple[Type, ...], at: int) -> int | float | bool:
        kind = kinds[0] if kinds else Type.BOOL
        if kind is Type.BOOL and truth:
            return truth == "true"
        if number and kind in FLOATS:
            if number.startswith("nan:"):
                bits = int(number[4:], 16)
                if bits.bit_length() <= kind.bits and math.isnan(found := from_bits(bits, kind)):
                    return found
            elif "x" in number or "inf" in number:
                try:
                    return float.fromhex(number)
                except OverflowError:
                    pass
        elif number and kind.is_integer and re.fullmatch(r"-?\d{1,20}", number):
            return int(number)
        raise self.error(f"const: {number or truth or 'nothing'} is no literal of {types_text(kinds) or 'no type'}", at)

    def regions(self, op: Op, parameters: tuple[Value, ...], scope: _Scope, memories: dict[str, Memory]) -> None:
        found: list[Region] = []
        cases: list[int] = []
        if op.name == "switch":
            while self.accept("name", "case"):
                cases.append(self.integer())
                self.take("sign", "{")
                found.append(self.body(scope, memories))
            self.take("name", "default")
        if op.name in ("if", "switch", "block", "loop"):
            self.take("sign", "{")
            region = Region(parameters=parameters)
            self.operations(region, scope, memories)
            found.append(region)
        if op.name == "if":
            self.take("name", "else")
            self.take("sign", "{")
            found.append(self.body(scope, memories))
        op.regions, op.cases = tuple(found), tuple(cases)


def read(source: str) -> Module:
    """The module that `source` describes; it is parsed, not verified.

    Raises `SourceError` with line and column.
    """
    return _Reader(source).module()
