"""Expressions to the IR: names, numbers of the text, conversions, operators, functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from ...ir.builder import Builder
from ...ir.model import Memory, Region, Value
from ...ir.types import Type
from . import tree
from .conversion import Constant, common, promoted, widens
from .lexer import Source, Token
from .words import FLOAT_ROWS, FUNCTIONS, TYPE_NAMES, TYPES, near

Lowered: TypeAlias = Value | Constant

_ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div", "%": "rem", "&": "and", "|": "or", "^": "xor"}
_SHIFTS = {"<<": "shl", ">>": "shr"}
_COMPARE = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_PARTS = {"red": 0, "green": 8, "blue": 16, "alpha": 24}


class SpoiltError(Exception):
    """Something reads a variable whose assignment had an error."""


class Values:
    """What the body of a kernel or function has at one place: variables with their values and types, arrays, the open region."""

    def __init__(self, source: Source, functions: dict[str, tree.FunctionSource]) -> None:
        self.source, self.functions = source, functions
        self.region = Region()
        self.build = Builder(self.region)
        self.memories: dict[str, Memory] = {}
        self.values: dict[str, Value] = {}
        self.kinds: dict[str, tuple[Type, int]] = {}
        """Types of variables, and the lines of their first assignments."""
        self.partial: dict[str, int] = {}
        """Variables without a value on some way to here, and the line where the ways met."""
        self.spoilt: set[str] = set()
        self.parameters: set[str] = set()
        self.counters: set[str] = set()
        """Variables of the FOR loops that are open."""
        self.elements: dict[str, Value] = {}
        """Elements of arrays whose PARALLEL FOR is open."""
        self.index: Value | None = None

    def require(self, condition: Value, reason: str) -> None:
        """Append a trap of the lanes where `condition` is false."""

        def fail() -> tuple[Value, ...]:
            self.build.end("trap", text=reason)
            return ()

        self.build.if_(condition, otherwise=fail)

    # Names

    def memory(self, name: Token) -> Memory:
        """The array of a name."""
        if name.text in self.memories:
            return self.memories[name.text]
        if name.text in self.kinds:
            raise self.source.at(name, f"{name.text} is {type_name(self.kinds[name.text][0])}, not an array")
        raise self.source.at(name, f"there is no array {name.text}{near(name.text, self.memories)}")

    def _read(self, name: Token) -> Value:
        text = name.text
        if text in self.elements:
            return self.elements[text]
        if text in self.values:
            return self.values[text]
        if text in self.spoilt:
            raise SpoiltError
        if text in self.memories:
            raise self.source.at(name, f"{text} is an array; write {text}[i]")
        if text in self.partial:
            raise self.source.at(
                name, f"{text} may have no value here: not every way through line {self.partial[text]} assigns it"
            )
        if text in self.kinds:
            raise self.source.at(
                name, f"{text} has no value here; it is assigned on another way (line {self.kinds[text][1]})"
            )
        known = (*self.values, *self.memories)
        raise self.source.at(name, f"{text} has no value yet{near(text, known)}")

    def moved(self, element: tree.Element, memory: Memory) -> Type:
        kind = element.kind or memory.element
        if kind is not memory.element and (memory.element is not Type.U8 or kind is Type.BOOL):
            raise self.source.at(
                element.at, f"AS reads and writes char arrays; {memory.name} holds {type_name(memory.element)}"
            )
        return kind

    # Values

    def settle(self, value: Lowered) -> Value:
        """A value; a number of the text gets its own type."""
        if isinstance(value, Value):
            return value
        kind = value.own_type
        if kind is None:
            raise self.source.at(value.at, "no integer type holds this number")
        return self.literal(value, kind)

    def literal(self, value: Constant, kind: Type) -> Value:
        """A number of the text as `kind`."""
        if not value.fits(kind):
            if value.is_float and not kind.is_float:
                raise self.source.at(value.at, f"{value.at.text} is a float where {type_name(kind)} is wanted; cast it")
            raise self.source.at(value.at, f"{_shown(value)} does not fit {type_name(kind)}")
        with np.errstate(all="ignore"):
            return self.build.const(kind, float(kind.dtype.type(value.value)) if kind.is_float else value.value)

    def coerce(self, value: Lowered, kind: Type, at: Token, why: str) -> Value:
        """A value as `kind`, which `why` explains; raises where something would be lost."""
        if isinstance(value, Constant):
            if kind is Type.BOOL:
                raise self.source.at(value.at, f"{why}, and this is a number; write true or false")
            if value.is_float and not kind.is_float:
                raise self.source.at(value.at, f"{why}, and this is a float; write {type_name(kind)}(...) to cut it")
            return self.literal(value, kind)
        if not widens(value.type, kind):
            cast = "x != 0" if kind is Type.BOOL else f"{type_name(kind)}(...)"
            raise self.source.at(at, f"{why}, and this is {type_name(value.type)}; write {cast} to convert it")
        return self.convert(value, kind)

    def convert(self, value: Value, kind: Type) -> Value:
        """A value in another type, as a cast."""
        return value if value.type is kind else self.build.value("convert", value, type=kind)

    def meet(self, values: Sequence[Lowered], at: Token) -> Type:
        """The type that operands meet in; numbers of the text follow the others."""
        found: Type | None = None
        typed = [value.type for value in values if isinstance(value, Value)]
        typed += [Type.F32 for value in values if isinstance(value, Constant) and value.is_float]
        if not typed:
            typed = [self.settle_type(value) for value in values if isinstance(value, Constant)]
        for kind in typed:
            other = kind if found is None else common(found, kind)
            if other is None or kind is Type.BOOL:
                names = " and ".join(dict.fromkeys(type_name(kind) for kind in typed))
                hint = "a bool is no number" if Type.BOOL in typed else "cast one to the other's type"
                raise self.source.at(at, f"{names} do not mix; {hint}" if len(set(typed)) > 1 else f"{names}: {hint}")
            found = other
        assert found is not None
        return promoted(found)

    def settle_type(self, value: Constant) -> Type:
        """The own type of a number of the text."""
        kind = value.own_type
        if kind is None:
            raise self.source.at(value.at, "no integer type holds this number")
        return kind

    def condition(self, found: tree.Expression) -> Value:
        """An expression that is a bool."""
        value = self.expression(found)
        if isinstance(value, Constant) or value.type is not Type.BOOL:
            kind = "a number" if isinstance(value, Constant) else type_name(value.type)
            raise self.source.at(
                place_of(found), f"a condition is a bool, and this is {kind}; compare it, as in x != 0"
            )
        return value

    def position(self, found: tree.Expression) -> Value:
        """An index into an array."""
        value, at = self.settle(self.expression(found)), place_of(found)
        if not value.type.is_integer:
            raise self.source.at(at, f"an index is an integer, and this is {type_name(value.type)}; write int(...)")
        return self.convert(value, promoted(value.type))

    # Expressions

    def expression(self, found: tree.Expression) -> Lowered:
        """Lower an expression."""
        # Chains of operators lean to the left and may be long: they are walked, not descended.
        chain: list[tree.Binary] = []
        while isinstance(found, tree.Binary):
            chain.append(found)
            found = found.left
        value: Lowered = getattr(self, f"_of_{type(found).__name__.lower()}")(found)
        for link in reversed(chain):
            if link.sign in ("and", "or"):
                value = self._logic(link, value)
            else:
                value = self._operator(link, value, self.expression(link.right))
        return value

    def _of_literal(self, found: tree.Literal) -> Lowered:
        if isinstance(found.value, bool):
            return self.build.const(Type.BOOL, found.value)
        return Constant(found.at, found.value, found.is_float)

    def _of_name(self, found: tree.Name) -> Lowered:
        return self._read(found.at)

    def _of_element(self, found: tree.Element) -> Lowered:
        memory = self.memory(found.at)
        kind = self.moved(found, memory)
        return self.build.load(memory, self.position(found.index), kind)

    def _of_unary(self, found: tree.Unary) -> Lowered:
        value = self.expression(found.operand)
        if found.sign == "-":
            if isinstance(value, Constant):
                return Constant(value.at, -value.value, value.is_float)
            self._no_bool(value, found.at)
            value = self.convert(value, promoted(value.type))
            if value.type.is_float or value.type.is_signed:
                return self.build.value("neg", value)
            return self.build.value("sub", self.build.const(value.type, 0), value)
        value = self.settle(value)
        if value.type.is_float or (found.at.text == "~" and value.type is Type.BOOL):
            wanted = "an integer" if found.at.text == "~" else "a bool or an integer"
            raise self.source.at(
                place_of(found.operand), f"{found.at.text} takes {wanted}, not {type_name(value.type)}"
            )
        if found.at.text == "not" and value.type is not Type.BOOL:
            raise self.source.at(
                place_of(found.operand), f"not takes a bool, not {type_name(value.type)}; write x == 0, or ~x"
            )
        return self.build.value("not", self.convert(value, promoted(value.type)))

    def _no_bool(self, value: Value, at: Token) -> None:
        if value.type is Type.BOOL:
            raise self.source.at(at, "a bool is no number; write int(x) or select(x, 1, 0)")

    def _logic(self, link: tree.Binary, left: Lowered) -> Value:
        """``and``, ``or``: the right side is computed only where it decides, if computing it could be noticed."""
        at, is_and = link.at, link.sign == "and"
        if isinstance(left, Constant) or left.type is not Type.BOOL:
            kind = "a number" if isinstance(left, Constant) else type_name(left.type)
            raise self.source.at(at, f"{link.sign} joins bools, and its left side is {kind}; of bits & and | are")
        if not _is_noticed(link.right):
            return self.build.value(link.sign, left, self.condition(link.right))

        def decides() -> list[Value]:
            return [self.condition(link.right)]

        def decided() -> list[Value]:
            return [self.build.const(Type.BOOL, not is_and)]

        (result,) = self.build.if_(left, decides, decided) if is_and else self.build.if_(left, decided, decides)
        return result

    def _operator(self, link: tree.Binary, left: Lowered, right: Lowered) -> Value:
        sign, at = link.sign, link.at
        if sign in _SHIFTS:
            return self._shift(_SHIFTS[sign], left, right, at)
        if sign in _COMPARE or sign in "&|^":
            kinds = {value.type if isinstance(value, Value) else None for value in (left, right)}
            if kinds == {Type.BOOL} and sign not in ("<", "<=", ">", ">="):
                assert isinstance(left, Value) and isinstance(right, Value)
                return self.build.value(_COMPARE.get(sign) or _ARITHMETIC[sign], left, right)
        kind = self.meet([left, right], at)
        if sign in "%&|^" and kind.is_float:
            raise self.source.at(at, f"{at.text} takes integers, not {type_name(kind)}")
        why = f"the other side is {type_name(kind)}"
        a, b = (self.coerce(value, kind, at, why) for value in (left, right))
        return self.build.value(_COMPARE.get(sign) or _ARITHMETIC[sign], a, b)

    def _shift(self, name: str, left: Lowered, right: Lowered, at: Token, is_promoted: bool = True) -> Value:
        value, count = self.settle(left), self.settle(right)
        for each in (value, count):
            if not each.type.is_integer:
                raise self.source.at(at, f"{at.text} takes integers, not {type_name(each.type)}")
        kind = promoted(value.type) if is_promoted else value.type
        # The count is taken modulo the width, so that its own type loses nothing.
        return self.build.value(name, self.convert(value, kind), self.convert(count, kind))

    def _of_call(self, found: tree.Call) -> Lowered:
        name, at = found.name, found.at
        if name in TYPES or name[:5] == "bits_":
            return self._cast(found)
        if name in self.functions:
            return self._own_function(found, self.functions[name])
        row = FUNCTIONS.get(name)
        if not row:
            known = (*FUNCTIONS, *self.functions, *TYPES)
            raise self.source.at(at, f"there is no function {name}{near(name, known)}")
        self._count(found, row.arity)
        if name == "length":
            (array,) = found.arguments
            if not isinstance(array, tree.Name):
                raise self.source.at(at, "length takes the name of an array")
            return self.convert(self.build.length(self.memory(array.at)), Type.I32)
        values = [self.expression(argument) for argument in found.arguments]
        special = getattr(self, f"_fn_{name}", None)
        if special:
            made: Value = special(values, found)
            return made
        if name in _PARTS:
            return self._part(_PARTS[name], values[0], found)
        kind = self.meet(values, at)
        if row.row in FLOAT_ROWS and not kind.is_float:
            kind = Type.F32
        if name in ("clz", "ctz", "popcount", "mulhi") and kind.is_float:
            raise self.source.at(at, f"{name} takes integers, not {type_name(kind)}")
        operands = [
            self.coerce(value, kind, place_of(argument), f"{name} takes {type_name(kind)} here")
            for value, argument in zip(values, found.arguments, strict=True)
        ]
        if name == "abs" and not (kind.is_float or kind.is_signed):
            return operands[0]
        return self.build.value(row.row, *operands)

    def _count(self, found: tree.Call, wanted: int) -> None:
        given = len(found.arguments)
        if given != wanted:
            raise self.source.at(found.at, f"{found.name} takes {wanted} argument{'s' * (wanted != 1)}, not {given}")

    def _fn_clamp(self, values: list[Lowered], found: tree.Call) -> Value:
        kind = self.meet(values, found.at)
        x, low, high = (self.coerce(value, kind, found.at, f"clamp is of {type_name(kind)} here") for value in values)
        return self.build.value("min", self.build.value("max", x, low), high)

    def _fn_select(self, values: list[Lowered], found: tree.Call) -> Value:
        chosen = values[0]
        if isinstance(chosen, Constant) or chosen.type is not Type.BOOL:
            raise self.source.at(place_of(found.arguments[0]), "what selects is a bool; compare it, as in x != 0")
        ways = values[1:]
        typed = [value.type for value in ways if isinstance(value, Value)]
        kind = typed[0] if len(typed) == 2 and typed[0] is typed[1] else self.meet(ways, found.at)
        a, b = (self.coerce(value, kind, found.at, f"select gives {type_name(kind)} here") for value in ways)
        return self.build.value("select", chosen, a, b)

    def _fn_rotl(self, values: list[Lowered], found: tree.Call) -> Value:
        return self._shift("rotl", values[0], values[1], found.at, is_promoted=False)

    def _fn_rotr(self, values: list[Lowered], found: tree.Call) -> Value:
        if isinstance(values[1], Constant) and not values[1].is_float:
            return self._fn_rotl([values[0], Constant(found.at, -values[1].value, False)], found)
        count = self.settle(values[1])
        if not count.type.is_integer:
            raise self.source.at(found.at, f"rotr takes integers, not {type_name(count.type)}")
        return self._fn_rotl([values[0], self.build.value("sub", self.build.const(count.type, 0), count)], found)

    def _fn_rgba(self, values: list[Lowered], found: tree.Call) -> Value:
        packed: Value | None = None
        for place, value in enumerate(values):
            part, at = self.settle(value), place_of(found.arguments[place])
            if not part.type.is_integer:
                raise self.source.at(at, "rgba takes integers of 0 to 255; CALCULATE_PIXEL takes floats of 0 to 1")
            byte = self.build.value("and", self.convert(part, Type.U32), self.build.const(Type.U32, 255))
            if place:
                byte = self.build.value("shl", byte, self.build.const(Type.U32, 8 * place))
            packed = byte if packed is None else self.build.value("or", packed, byte)
        assert packed is not None
        return packed

    def _part(self, shift: int, value: Lowered, found: tree.Call) -> Value:
        pixel = self.coerce(value, Type.U32, place_of(found.arguments[0]), f"{found.name} takes a pixel")
        moved = self.build.value("shr", pixel, self.build.const(Type.U32, shift)) if shift else pixel
        return self.convert(self.build.value("and", moved, self.build.const(Type.U32, 255)), Type.I32)

    def _cast(self, found: tree.Call) -> Value:
        self._count(found, 1)
        is_bits = found.name[:5] == "bits_"
        kind = TYPES[found.name[5:] if is_bits else found.name]
        value = self.expression(found.arguments[0])
        if is_bits:
            settled = self.settle(value)
            if settled.type.bits != kind.bits or Type.BOOL in (settled.type, kind):
                raise self.source.at(
                    found.at, f"{type_name(settled.type)} and {type_name(kind)} differ in width; cast first"
                )
            return settled if settled.type is kind else self.build.value("bitcast", settled, type=kind)
        if isinstance(value, Constant):
            if value.fits(kind):
                return self.literal(value, kind)
            if kind.is_integer and not value.is_float and -(1 << 63) <= value.value < 1 << 64:
                return self.build.const(kind, value.value)
        return self.convert(self.settle(value), kind)

    def _own_function(self, found: tree.Call, function: tree.FunctionSource) -> Value:
        self._count(found, len(function.parameters))
        operands = [
            self.coerce(
                self.expression(argument),
                parameter.kind,
                place_of(argument),
                f"{parameter.at.text} is {type_name(parameter.kind)}",
            )
            for argument, parameter in zip(found.arguments, function.parameters, strict=True)
        ]
        (result,) = self.build.call(found.name, operands, [function.result])
        return result


def type_name(kind: Type) -> str:
    """The language's name of a type."""
    return TYPE_NAMES[kind]


def _shown(value: Constant) -> str:
    return f"-{value.at.text}" if value.value < 0 else value.at.text


def place_of(found: tree.Expression) -> Token:
    """The token where an expression begins."""
    while isinstance(found, tree.Binary):
        found = found.left
    return found.at


def _is_noticed(found: tree.Expression) -> bool:
    """Whether an expression could trap: it reads an element or calls a function of the program."""
    todo: list[tree.Expression] = [found]
    while todo:
        match todo.pop():
            case tree.Element():
                return True
            case tree.Call(name=name, arguments=arguments):
                if name not in FUNCTIONS and name not in TYPES and name[:5] != "bits_":
                    return True
                todo.extend(arguments)
            case tree.Unary(operand=operand):
                todo.append(operand)
            case tree.Binary(left=left, right=right):
                todo += (left, right)
    return False
