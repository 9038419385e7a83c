"""Constant expressions: first values of globals, places of segments, items of tables."""

from __future__ import annotations

from collections.abc import Sequence

from .immediates import read_immediate, read_opcode
from .module import Instruction, Module
from .opcodes import ValueType
from .reader import Reader

_ALLOWED = frozenset(
    "i32.const i64.const f32.const f64.const ref.null ref.func global.get end "
    "i32.add i32.sub i32.mul i64.add i64.sub i64.mul".split()
)


def read_constant(part: Reader, module: Module, wanted: ValueType, declared: set[int]) -> tuple[Instruction, ...]:
    """The instructions of a constant expression without its ``end``; functions that it names are added to `declared`."""
    found: list[Instruction] = []
    stack: list[ValueType] = []
    while True:
        begin = part.offset
        op = read_opcode(part)
        if op.name not in _ALLOWED:
            raise part.malformed(f"constant expression required, not {op.name}", begin)
        if op.name == "end":
            if stack != [wanted]:
                raise part.malformed(f"type mismatch: a constant of {stack!r} where {wanted!r} is wanted", begin)
            return tuple(found)
        immediate = read_immediate(part, op)
        operands, results = op.operands or (), op.results
        if op.name == "ref.null":
            results = (immediate,)
        elif op.name == "ref.func":
            if immediate >= len(module.functions):
                raise part.malformed(f"unknown function {immediate}", begin)
            declared.add(immediate)
            results = (ValueType.FUNCREF,)
        elif op.name == "global.get":
            if immediate >= len(module.globals):
                raise part.malformed(f"unknown global {immediate}", begin)
            if module.globals[immediate].is_mutable or immediate >= len(module.globals) - len(module.own_globals):
                raise part.malformed("constant expression required, not a global that changes or is its own", begin)
            results = (module.globals[immediate].type,)
        if operands:
            if tuple(stack[-len(operands) :]) != operands:
                raise part.malformed(f"type mismatch: {op.name} on {stack[-len(operands) :]!r}", begin)
            del stack[-len(operands) :]
        stack.extend(results)
        found.append(Instruction(op, immediate, begin))


def evaluate(constant: Sequence[Instruction], globals_: Sequence[int]) -> int:
    """The value of a constant: an integer modulo its width, the bits of a float, the number of a function; -1 for null.

    `globals_` are the values of the imported globals, by number.
    """
    stack: list[int] = []
    for op, immediate, _ in constant:
        kind, _, name = op.name.partition(".")
        if name in ("add", "sub", "mul"):
            second, first = stack.pop(), stack.pop()
            whole = {"add": first + second, "sub": first - second, "mul": first * second}[name]
            stack.append(whole & ((1 << int(kind[1:])) - 1))
        elif op.name == "ref.null":
            stack.append(-1)
        elif op.name == "global.get":
            stack.append(globals_[immediate])
        elif name == "const" and kind[0] == "i":
            stack.append(immediate & ((1 << int(kind[1:])) - 1))
        else:
            stack.append(immediate)
    return stack[-1]
