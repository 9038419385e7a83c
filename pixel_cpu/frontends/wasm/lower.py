"""A function's body as a function of the IR: the stack and the locals become values, blocks stay blocks.

A block gives, beside its results, the locals that are set inside; a branch to it brings them. A loop takes them as parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...ir.builder import Builder
from ...ir.model import Function, Region, Value
from ...ir.types import Type
from .instructions import UNREACHABLE, Instructions, Label, function_name, types
from .module import FunctionType, Instruction, Module
from .state import State
from .structure import MAX_BLOCKS, blocks


def lower(module: Module, state: State, number: int, *, is_wide: bool = False) -> Function:
    """Function `number` of the module, which is not imported; its operations' lines are bytes of the file.

    `is_wide` is that of `Areas`.
    """
    found = Lowering(module, state, number)
    found.areas.is_wide = is_wide
    return found.function()


class Lowering(Instructions):
    """Lowers one function with its blocks."""

    deepest = MAX_BLOCKS

    def __init__(self, module: Module, state: State, number: int, build: Builder | None = None) -> None:
        super().__init__(module, state, number, build)
        self.blocks = blocks(self.code, self.deepest)

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
