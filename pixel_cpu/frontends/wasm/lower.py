"""A function's body as a function of the IR: the stack and the locals become values, blocks stay blocks.

A block gives, beside its results, the locals that are set inside; a branch to it brings them. A loop takes them as parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...ir.builder import Builder
from ...ir.model import Function, Region, Value
from ...ir.types import Type
from .areas import OUT_OF_MEMORY, OUT_OF_TABLE, UNINITIALIZED, Areas
from .module import FunctionType, Instruction, Module
from .numeric import NUMERIC, TYPES, Numeric
from .opcodes import ValueType
from .state import State
from .structure import blocks

MISMATCH = "indirect call type mismatch"
UNREACHABLE = "unreachable"


def types(kinds: Sequence[ValueType]) -> list[Type]:
    """The IR's types of values."""
    return [TYPES[each] for each in kinds]


def function_name(number: int) -> str:
    """What a function is called in the IR."""
    return f"f{number}"


@dataclass(frozen=True)
class Label:
    """Where a branch goes: how it ends its region, what it brings beside values of the stack."""

    ending: str
    name: str
    arity: int
    locals: tuple[int, ...]


def lower(module: Module, state: State, number: int) -> Function:
    """Function `number` of the module, which is not imported; its operations' lines are bytes of the file."""
    return Lowering(module, state, number).function()


class Lowering:
    """Lowers one function; what it appends goes to `build`, or to a body of its own."""

    def __init__(self, module: Module, state: State, number: int, build: Builder | None = None) -> None:
        self.module, self.state, self.number = module, state, number
        self.kind = module.type_of(number)
        self.code = module.bodies[number - module.imported_functions]
        self.blocks = blocks(self.code)
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

    def function(self) -> Function:
        parameters = tuple(map(Value, types(self.kind.parameters)))
        self.locals = [*parameters]
        self.locals += self.zeros()
        self.labels = [Label("return", "", len(self.kind.results), ())]
        self.run(0, self.code.ends[-1])
        if not self.is_dead:
            self.build.end("return", *self.top(len(self.kind.results)))
        return Function(
            function_name(self.number), parameters, tuple(types(self.kind.results)), self.state.memories, self.body
        )

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

    def run(self, place: int, end: int) -> None:
        """Lower instructions up to `end`, or to where code is not reached any more."""
        self.is_dead = False
        instructions = self.code.instructions
        while place < end and not self.is_dead:
            instruction = instructions[place]
            self.build.line = instruction.offset
            if instruction.op.name in ("block", "loop", "if"):
                self.block(place, instruction)
                place = self.code.ends[place]
            else:
                self.instruction(instruction)
            place += 1

    def top(self, count: int) -> list[Value]:
        """The topmost values of the stack."""
        return self.stack[len(self.stack) - count :]

    def pop(self, count: int) -> list[Value]:
        found = self.top(count)
        del self.stack[len(self.stack) - count :]
        return found

    # Blocks

    def block(self, place: int, instruction: Instruction) -> None:
        name, kind = instruction.op.name, instruction.immediate
        block = self.blocks[place]
        self.state.spend(1 + len(block.locals))
        end, middle = self.code.ends[place], self.code.elses.get(place)
        condition = self.numeric.condition(self.pop(1)[0]) if name == "if" else None
        kinds = types(kind.results) + [self.local_types[each] for each in block.locals]
        label = self.build.new_label() if block.is_target else ""
        if condition is None and name == "loop" and label:
            results, is_alive = self.loop(place, end, kind, kinds, label)
        elif condition is None:
            results, is_alive = self.plain(place, end, kind, kinds, label)
        else:
            results, is_alive = self.branch(place, middle, end, kind, kinds, label, condition)
        self.is_dead = not is_alive
        if not is_alive:
            self.build.end("trap", text=UNREACHABLE)
        self.stack += results[: len(kind.results)]
        for each, value in zip(block.locals, results[len(kind.results) :], strict=True):
            self.locals[each] = value

    def inside(self, region: Region, label: Label, run: Callable[[], None], leave: Callable[[], None]) -> bool:
        """Lower what `run` lowers into a region, on the values that are there; gives whether its end is reached.

        `leave` ends the region there with the label's values; stack and locals are what they were after.
        """
        stack, held = list(self.stack), list(self.locals)
        self.labels.append(label)
        with self.build.inside(region):
            run()
            is_alive = not self.is_dead
            if is_alive:
                leave()
        self.labels.pop()
        self.stack, self.locals = stack, held
        return is_alive

    def ending(self, kind: FunctionType, changed: Sequence[int]) -> list[Value]:
        """What the end of a block gives: its results and the locals that are set inside."""
        return self.top(len(kind.results)) + [self.local(each) for each in changed]

    def plain(
        self, place: int, end: int, kind: FunctionType, kinds: list[Type], label: str
    ) -> tuple[Sequence[Value], bool]:
        changed = self.blocks[place].locals
        name = label or self.build.new_label()
        region = Region()
        is_alive = self.inside(
            region,
            Label("break", name, len(kind.results), changed),
            lambda: self.run(place + 1, end),
            lambda: self.build.end("yield", *self.ending(kind, changed)),
        )
        self.pop(len(kind.parameters))
        results = self.build.branch("block", (), [region], kinds, label=name)
        return results, is_alive or bool(label)

    def loop(
        self, place: int, end: int, kind: FunctionType, kinds: list[Type], label: str
    ) -> tuple[Sequence[Value], bool]:
        changed = self.blocks[place].locals
        starts = self.pop(len(kind.parameters)) + [self.local(each) for each in changed]
        own = tuple(Value(each.type) for each in starts)
        region = Region(parameters=own)

        def run() -> None:
            self.stack += own[: len(kind.parameters)]
            for each, value in zip(changed, own[len(kind.parameters) :], strict=True):
                self.locals[each] = value
            self.run(place + 1, end)

        is_alive = self.inside(
            region,
            Label("continue", label, len(kind.parameters), changed),
            run,
            lambda: self.build.end("break", *self.ending(kind, changed), label=label),
        )
        return self.build.branch("loop", starts, [region], kinds, label=label), is_alive

    def branch(
        self,
        place: int,
        middle: int | None,
        end: int,
        kind: FunctionType,
        kinds: list[Type],
        label: str,
        condition: Value,
    ) -> tuple[Sequence[Value], bool]:
        changed = self.blocks[place].locals
        mark = Label("break", label, len(kind.results), changed)
        sides: list[Callable[[], None]] = [lambda: self.run(place + 1, end if middle is None else middle)]
        # Without an else, what the block takes is what it gives.
        sides.append(lambda: self.run(end if middle is None else middle + 1, end))
        regions = [Region(), Region()]

        def both() -> bool:
            reached = [
                self.inside(region, mark, side, lambda: self.build.end("yield", *self.ending(kind, changed)))
                for region, side in zip(regions, sides, strict=True)
            ]
            return any(reached)

        if not label:
            is_alive = both()
            self.pop(len(kind.parameters))
            return self.build.branch("if", [condition], regions, kinds), is_alive
        outer = Region()
        with self.build.inside(outer):
            is_alive = both()
            values = self.build.branch("if", [condition], regions, kinds)
            if is_alive:
                self.build.end("yield", *values)
            else:
                self.build.end("trap", text=UNREACHABLE)
        self.pop(len(kind.parameters))
        return self.build.branch("block", (), [outer], kinds, label=label), True

    def jump(self, depth: int) -> None:
        """End the region with a branch to a label."""
        label = self.labels[-1 - depth]
        self.state.spend(label.arity + len(label.locals))
        values = self.top(label.arity) + [self.local(each) for each in label.locals]
        self.build.end(label.ending, *values, label=label.name)

    # Instructions

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
        kinds = types(self.module.type_of(number).results)
        if number < self.module.imported_functions:
            return self.areas.host_call(self.module.imported_name(number), operands, kinds)
        return self.build.call(function_name(number), operands, kinds)

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
_SPECIAL: dict[str, Callable[[Lowering, Any], None]] = {
    "nop": lambda own, _: None,
    "unreachable": lambda own, _: own.end_here(UNREACHABLE),
    "br": Lowering.br,
    "br_if": Lowering.br_if,
    "br_table": Lowering.br_table,
    "return": Lowering.return_,
    "call": Lowering.call,
    "call_indirect": Lowering.call_indirect,
    "drop": lambda own, _: own.drop(),
    "select": Lowering.select,
    "select_typed": Lowering.select,
    "local.get": Lowering.local_get,
    "local.set": Lowering.local_set,
    "local.tee": Lowering.local_tee,
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
    "ref.is_null": Lowering.ref_is_null,
    "data.drop": lambda own, number: own.areas.drop("data", number),
    "elem.drop": lambda own, number: own.areas.drop("items", number),
}
