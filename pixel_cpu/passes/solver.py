"""Index bounds by Z3: bit-vectors first, then integers where intervals prove that nothing overflows.

The conditions on the way to an access and the operations behind them and behind the index become formulas; what comes from memory,
loops and calls is any value of its range. Work is limited by Z3's own count of steps, which no load of the host changes.
"""

from __future__ import annotations

from typing import Any

import z3

from ..ir.limits import MAX_LENGTH
from ..ir.model import Op, Space, Value
from ..ir.operations import OPERATIONS
from ..ir.symbolic import express, is_outside
from ..ir.types import Type
from .ranges import Access, Proof, Ranges, arithmetic

MAX_OPERATIONS = 60
"""Operations behind an access that become formulas; what is behind them is any value of its range."""
_STEPS = 300_000


def prove(ranges: Ranges, access: Access) -> Proof:
    """Ask Z3 whether an access can be outside."""
    for theory, words in ((_BitVectors, "bit-vectors"), (_Integers, "integers that do not overflow")):
        formulas = theory(ranges, access)
        solver = z3.SolverFor("QF_BV") if theory is _BitVectors else z3.Solver()
        solver.set("rlimit", _STEPS)
        solver.add(*formulas.all())
        answer = solver.check()
        if answer == z3.unsat:
            return Proof(True, f"by Z3 over {words}")
        if answer == z3.sat and theory is _BitVectors:
            return Proof(False, f"Z3 finds {formulas.example(solver.model())}")
    return Proof(False, "Z3 does not say within its limit")


class _Formulas:
    """The formulas of one access in one theory."""

    def __init__(self, ranges: Ranges, access: Access) -> None:
        self.ranges, self.access = ranges, access
        self.known: dict[Value, Any] = {}
        self.limits: list[Any] = []
        self.left = MAX_OPERATIONS

    def all(self) -> list[Any]:
        """Formulas that hold together where the access is outside."""
        conditions = []
        for value, truth in self.access.conditions:
            condition = self.value(value)
            conditions.append(condition if truth else z3.Not(condition))
        return [*conditions, self.outside(), *self.limits]

    def value(self, value: Value) -> Any:  # noqa: ANN401
        # Operands first, without recursion: chains may be long.
        stack = [value]
        while stack:
            top = stack[-1]
            op = self.ranges.definitions.get(top)
            if top in self.known:
                stack.pop()
            elif op is None or not self.is_modelled(op) or self.left <= 0:
                self.known[top] = self.unknown(top)
            else:
                missing = [operand for operand in op.operands if operand not in self.known]
                if missing:
                    stack.extend(missing)
                else:
                    self.left -= 1
                    self.known[top] = self.apply(op)
        return self.known[value]

    def is_modelled(self, op: Op) -> bool:
        raise NotImplementedError

    def unknown(self, value: Value) -> Any:  # noqa: ANN401
        raise NotImplementedError

    def apply(self, op: Op) -> Any:  # noqa: ANN401
        raise NotImplementedError

    def outside(self) -> Any:  # noqa: ANN401
        raise NotImplementedError

    def name(self) -> str:
        return f"v{len(self.known)}"

    def example(self, model: z3.ModelRef) -> str:
        """The index of a model."""
        found = model.eval(self.value(self.access.op.operands[0]), model_completion=True)
        text = found.as_signed_long() if self.access.op.operands[0].type.is_signed else found.as_long()
        return f"the index {text} possible"


class _BitVectors(_Formulas):
    def is_modelled(self, op: Op) -> bool:
        row = OPERATIONS[op.name]
        if op.name in ("const", "length"):
            return not op.result.type.is_float
        kinds = [value.type for value in (*op.operands, *op.results)]
        if row.effect != "value" or any(kind.is_float for kind in kinds):
            return False
        return row.form("z3", kinds[0]) is not None

    def unknown(self, value: Value) -> Any:  # noqa: ANN401
        if value.type is Type.BOOL or value.type.is_float:
            return z3.Bool(self.name())
        found = z3.BitVec(self.name(), value.type.bits)
        limits = self.ranges.of(value)
        less = (lambda a, b: a <= b) if value.type.is_signed else z3.ULE
        self.limits += [
            less(z3.BitVecVal(limits.low, value.type.bits), found),
            less(found, z3.BitVecVal(limits.high, value.type.bits)),
        ]
        return found

    def apply(self, op: Op) -> Any:  # noqa: ANN401
        kind = op.result.type
        if op.name == "const":
            return z3.BoolVal(bool(op.literal)) if kind is Type.BOOL else z3.BitVecVal(int(op.literal or 0), kind.bits)
        if op.name == "length":
            return self.length(op)
        operands = [self.known[value] for value in op.operands]
        return express(op.name, operands, op.operands[1 if op.name == "select" else 0].type, kind)

    def length(self, op: Op) -> Any:  # noqa: ANN401
        memory = op.memory
        assert memory is not None
        if memory.space is not Space.BUFFER:
            return z3.BitVecVal(memory.length or 0, 32)
        found = z3.BitVec(f"length {memory.name}", 32)
        self.limits.append(z3.ULE(found, z3.BitVecVal(MAX_LENGTH, 32)))
        return found

    def outside(self) -> Any:  # noqa: ANN401
        op = self.access.op
        return is_outside(self.value(op.operands[0]), op.operands[0].type, self.length(op), op.width)


_SIGNS = {"add": "+", "sub": "-", "mul": "*", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}


class _Integers(_Formulas):
    def is_modelled(self, op: Op) -> bool:
        if op.name in ("const", "length"):
            return not op.result.type.is_float
        if op.name in ("and", "or", "not"):
            return op.result.type is Type.BOOL
        if not all(value.type.is_integer for value in op.operands):
            return False
        if op.name in ("add", "sub", "mul", "convert"):
            # None: it may wrap, and is no sum of integers then.
            return arithmetic(op.name, op.result.type, [self.ranges.of(value) for value in op.operands]) is not None
        if op.name in ("div", "rem"):
            return self.ranges.of(op.operands[0]).low >= 0 and self.ranges.of(op.operands[1]).low > 0
        return op.name in _SIGNS or op.name in ("min", "max")

    def unknown(self, value: Value) -> Any:  # noqa: ANN401
        if not value.type.is_integer:
            return z3.Bool(self.name())
        found = z3.Int(self.name())
        limits = self.ranges.of(value)
        self.limits += [found >= limits.low, found <= limits.high]
        return found

    def apply(self, op: Op) -> Any:  # noqa: ANN401
        if op.name == "const":
            return z3.BoolVal(op.literal) if op.result.type is Type.BOOL else z3.IntVal(int(op.literal or 0))
        if op.name == "length":
            return self.length(op)
        operands = [self.known[value] for value in op.operands]
        match op.name:
            case "and":
                return z3.And(*operands)
            case "or":
                return z3.Or(*operands)
            case "not":
                return z3.Not(*operands)
            case "convert":
                return operands[0]
            case "div":
                return operands[0] / operands[1]
            case "rem":
                return operands[0] % operands[1]
            case "min":
                return z3.If(operands[0] < operands[1], *operands)
            case "max":
                return z3.If(operands[0] > operands[1], *operands)
        return eval(f"a {_SIGNS[op.name]} b", {}, {"a": operands[0], "b": operands[1]})

    def length(self, op: Op) -> Any:  # noqa: ANN401
        memory = op.memory
        assert memory is not None
        if memory.space is not Space.BUFFER:
            return z3.IntVal(memory.length or 0)
        found = z3.Int(f"length {memory.name}")
        self.limits += [found >= 0, found <= MAX_LENGTH]
        return found

    def outside(self) -> Any:  # noqa: ANN401
        index = self.value(self.access.op.operands[0])
        return z3.Or(index < 0, index + self.access.op.width > self.length(self.access.op))
