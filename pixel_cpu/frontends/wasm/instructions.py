"""Instructions on the stack, locals and state of a lane, one after another; blocks are in `lower`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...ir.builder import Builder
from ...ir.model import Op, Region, Value
from ...ir.types import Type
from .areas import OUT_OF_MEMORY, OUT_OF_TABLE, UNINITIALIZED, Areas
from .in_place import in_place, operate
from .module import Instruction, Module
from .numeric import NUMERIC, TYPES, Numeric
from .opcodes import ValueType
from .state import State

MISMATCH = "indirect call type mismatch"
UNREACHABLE = "unreachable"


def types(kinds: Sequence[ValueType]) -> list[Type]:
    """The IR's types of values."""
    return [TYPES[each] for each in kinds]


def function_name(number: int) -> str:
    """What a function is called in the IR."""
    return f"f{number}"


def direct_call(build: Builder, module: Module, number: int, operands: Sequence[Value]) -> tuple[Value, ...]:
    """The results of a function of the module, of the host, or of one that is an operation of the IR."""
    if operation := in_place(module, number):
        return operate(build, operation, operands)
    results = types(module.type_of(number).results)
    if number < module.imported_functions:
        return build.append(
            Op("host_call", tuple(operands), tuple(map(Value, results)), text=module.imported_name(number))
        ).results
    return build.call(function_name(number), operands, results)


@dataclass(frozen=True)
class Label:
    """Where a branch goes: how it ends its region, what it brings beside values of the stack."""

    ending: str
    name: str
    arity: int
    locals: tuple[int, ...]


class Instructions:
    """Lowers the instructions of one function; what it appends goes to `build`, or to a body of its own."""

    def __init__(self, module: Module, state: State, number: int, build: Builder | None = None) -> None:
        self.module, self.state, self.number = module, state, number
        self.kind = module.type_of(number)
        self.code = module.bodies[number - module.imported_functions]
        self.body = Region()
        self.build = build or Builder(self.body)
        self.numeric = Numeric(self.build)
        self.areas = Areas(self.numeric, state)
        self.stack: list[Value] = []
        state.spend(len(self.kind.parameters) + sum(count for count, _ in self.code.runs))
        self.local_types = types(self.kind.parameters) + [
            TYPES[kind] for count, kind in self.code.runs for _ in range(count)
        ]
        self.locals: list[Value | None] = []
        self.labels: list[Label] = []
        self.is_dead = False

    def zeros(self) -> list[Value]:
        """The first values of the locals that are no parameters."""
        held: dict[ValueType, Value] = {}
        found: list[Value] = []
        for count, kind in self.code.runs:
            if kind not in held:
                # A reference of a local is null.
                held[kind] = self.numeric.const(TYPES[kind], -1 if kind.is_reference else 0)
            found += [held[kind]] * count
        return found

    def local(self, number: int) -> Value:
        """The value of a local here."""
        found = self.locals[number]
        assert found
        return found

    def top(self, count: int) -> list[Value]:
        """The topmost values of the stack."""
        return self.stack[len(self.stack) - count :]

    def pop(self, count: int) -> list[Value]:
        found = self.top(count)
        del self.stack[len(self.stack) - count :]
        return found

    def jump(self, depth: int) -> None:
        """End the region with a branch to a label."""
        label = self.labels[-1 - depth]
        self.state.spend(label.arity + len(label.locals))
        values = self.top(label.arity) + [self.local(each) for each in label.locals]
        self.build.end(label.ending, *values, label=label.name)

    def instruction(self, instruction: Instruction) -> None:
        op, immediate, _ = instruction
        self.state.spend(1)
        if op.name in NUMERIC:
            self.stack.append(self.numeric.lower(op.name, self.pop(len(op.operands or ()))))
        elif op.immediate == "access":
            operands = self.pop(len(op.operands or ()))
            if op.results:
                self.stack.append(self.areas.load(op, immediate[1], *operands))
            else:
                self.areas.store(op, immediate[1], *operands)
        elif op.immediate in ("i32", "i64", "f32", "f64"):
            self.stack.append(self.numeric.const(Type(op.immediate), immediate))
        elif op.name in _BULK:
            self.bulk(op.name, immediate)
        else:
            _SPECIAL[op.name](self, immediate)

    def end_here(self, reason: str) -> None:
        self.build.end("trap", text=reason)
        self.is_dead = True

    def br(self, depth: int) -> None:
        self.jump(depth)
        self.is_dead = True

    def br_if(self, depth: int) -> None:
        def leave() -> tuple[()]:
            self.jump(depth)
            return ()

        self.build.if_(self.numeric.condition(self.pop(1)[0]), leave)

    def br_table(self, depths: tuple[int, ...]) -> None:
        (chosen,) = self.pop(1)
        cases = [place for place, depth in enumerate(depths[:-1]) if depth != depths[-1]]
        regions = []
        for depth in (*(depths[place] for place in cases), depths[-1]):
            region = Region()
            with self.build.inside(region):
                self.jump(depth)
            regions.append(region)
        self.build.branch("switch", [chosen], regions, cases=cases)
        self.end_here(UNREACHABLE)

    def return_(self, _: None) -> None:
        self.jump(len(self.labels) - 1)
        self.is_dead = True

    def call(self, number: int) -> None:
        kind = self.module.type_of(number)
        self.stack += self.called(number, self.pop(len(kind.parameters)))

    def called(self, number: int, operands: Sequence[Value]) -> tuple[Value, ...]:
        return direct_call(self.build, self.module, number, operands)

    def call_indirect(self, numbers: tuple[int, int]) -> None:
        kind = self.module.types[numbers[0]]
        found = self.areas.callee(numbers[1], self.pop(1)[0])
        operands = self.pop(len(kind.parameters))
        cases = self.state.candidates(numbers[0])
        regions = [Region() for _ in (*cases, None)]
        for number, region in zip(cases, regions, strict=False):
            with self.build.inside(region):
                self.build.end("yield", *self.called(number, operands))
        with self.build.inside(regions[-1]):
            null = self.build.const(Type.I32, -1)
            self.numeric.demand(self.build.value("ne", found, null), UNINITIALIZED)
            self.build.end("trap", text=MISMATCH)
        self.stack += self.build.branch("switch", [found], regions, types(kind.results), cases=cases)
        if not cases:
            self.end_here(UNREACHABLE)

    def select(self, _: Any) -> None:  # noqa: ANN401  # its types, which the values have
        first, second, chosen = self.pop(3)
        self.stack.append(self.build.value("select", self.numeric.condition(chosen), first, second))

    def local_get(self, number: int) -> None:
        self.stack.append(self.local(number))

    def local_set(self, number: int) -> None:
        self.locals[number] = self.pop(1)[0]

    def local_tee(self, number: int) -> None:
        self.locals[number] = self.stack[-1]

    def ref_is_null(self, _: None) -> None:
        (value,) = self.pop(1)
        self.stack.append(self.numeric.integer(self.build.value("eq", value, self.build.const(Type.I32, -1))))

    def drop(self) -> None:
        self.stack.pop()

    def push(self, value: Value) -> None:
        self.stack.append(value)

    def bulk(self, name: str, immediate: Any) -> None:  # noqa: ANN401  # as the row says
        areas, tables = self.areas, self.state.tables
        operands = self.pop(3)
        match name:
            case "memory.fill":
                areas.fill(areas.stretch(areas.memory), operands, OUT_OF_MEMORY)
            case "memory.copy":
                areas.copy(areas.stretch(areas.memory), areas.stretch(areas.memory), operands, OUT_OF_MEMORY)
            case "memory.init":
                areas.copy(areas.stretch(areas.memory), areas.segment("data", immediate[0]), operands, OUT_OF_MEMORY)
            case "table.fill":
                areas.fill(areas.stretch(tables[immediate]), operands, OUT_OF_TABLE)
            case "table.copy":
                target, source = (areas.stretch(tables[each]) for each in immediate)
                areas.copy(target, source, operands, OUT_OF_TABLE)
            case "table.init":
                source = areas.segment("items", immediate[0])
                areas.copy(areas.stretch(tables[immediate[1]]), source, operands, OUT_OF_TABLE)


_BULK = frozenset({"memory.fill", "memory.copy", "memory.init", "table.fill", "table.copy", "table.init"})
_SPECIAL: dict[str, Callable[[Instructions, Any], None]] = {
    "nop": lambda own, _: None,
    "unreachable": lambda own, _: own.end_here(UNREACHABLE),
    "br": Instructions.br,
    "br_if": Instructions.br_if,
    "br_table": Instructions.br_table,
    "return": Instructions.return_,
    "call": Instructions.call,
    "call_indirect": Instructions.call_indirect,
    "drop": lambda own, _: own.drop(),
    "select": Instructions.select,
    "select_typed": Instructions.select,
    "local.get": Instructions.local_get,
    "local.set": Instructions.local_set,
    "local.tee": Instructions.local_tee,
    "global.get": lambda own, number: own.push(own.areas.global_get(number)),
    "global.set": lambda own, number: own.areas.global_set(number, *own.pop(1)),
    "table.get": lambda own, number: own.push(own.areas.table_get(number, *own.pop(1))),
    "table.set": lambda own, number: own.areas.table_set(number, *own.pop(2)),
    "table.size": lambda own, number: own.push(own.areas.count(own.state.tables[number])),
    "table.grow": lambda own, number: own.push(own.areas.grow(own.state.tables[number], *reversed(own.pop(2)))),
    "memory.size": lambda own, _: own.push(own.areas.count(own.areas.memory)),
    "memory.grow": lambda own, _: own.push(own.areas.grow(own.areas.memory, *own.pop(1))),
    "ref.null": lambda own, _: own.push(own.build.const(Type.I32, -1)),
    "ref.func": lambda own, number: own.push(own.build.const(Type.I32, number)),
    "ref.is_null": Instructions.ref_is_null,
    "data.drop": lambda own, number: own.areas.drop("data", number),
    "elem.drop": lambda own, number: own.areas.drop("items", number),
}
