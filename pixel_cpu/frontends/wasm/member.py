"""One function of those that call one another: its code, cut into parts at such calls and at blocks that hold one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...ir.model import Region, Value
from ...ir.types import Type
from . import posts
from .areas import UNINITIALIZED
from .cuts import Role
from .frames import EXHAUSTED, HEAD, Parts
from .instructions import MISMATCH, UNREACHABLE, Label, types
from .lower import Lowering
from .module import Instruction


@dataclass(frozen=True)
class _Goto(Label):
    """A label that is a part: which one, and how many values lie below those that a branch brings."""

    part: int = 0
    height: int = 0


class Member(Lowering):
    """A function of a machine: instructions are lowered as in others, up to calls of members."""

    deepest = 1 << 20  # deep ones are split

    def __init__(self, machine: Parts, number: int) -> None:
        super().__init__(machine.module, machine.state, number, machine.build)
        self.machine = machine
        self.cells = machine.cells
        self.cuts = machine.cuts[number]
        self.region = Region()
        self.front = 0
        self.loaded: dict[int, Value] = {}
        self.in_cells: dict[int, Value] = {}
        self.held: Value | None = None
        machine.prepare(self.areas)
        memory = self.state.memory
        if memory and memory.sizes and not machine.grows(number):
            self.areas.known_size = self.size_of_memory

    def size_of_memory(self) -> Value:
        """Bytes of the memory, which this part does not change."""
        if self.held is None:
            own, self.areas.known_size = self.areas.known_size, None
            self.held = self.before(lambda: self.areas.size(self.areas.memory))
            self.areas.known_size = own
        return self.held

    # Parts

    def begin(self, part: int, kinds: Sequence[Type]) -> None:
        """Begin a part, where values of these types are on the stack."""
        self.state.spend(len(kinds) + len(self.local_types))
        self.region = self.machine.parts[part]
        self.build.move_to(self.region)
        self.locals = [None] * len(self.local_types)
        self.loaded = {}
        self.held = None
        self.stack = [self.cells.load(self.slot(place), kind) for place, kind in enumerate(kinds)]
        self.in_cells = dict(enumerate(self.stack))
        self.front = len(self.region.operations)
        self.is_dead = False

    def part_at(self, role: Role, place: int) -> int:
        """The number of a part of the function."""
        return self.machine.part_at(self.number, role, place)

    def slot(self, place: int) -> int:
        """The cell of a place of the stack."""
        return HEAD + len(self.local_types) + place

    def at_front(self, cell: int, kind: Type) -> Value:
        """Load a cell at the beginning of the part, where all of it sees the value."""
        return self.before(lambda: self.cells.load(cell, kind))

    def before(self, what: Callable[[], Value]) -> Value:
        """Append operations at the beginning of the part."""
        before = Region()
        with self.build.inside(before):
            found = what()
        self.region.operations[self.front : self.front] = before.operations
        self.front += len(before.operations)
        return found

    def local(self, number: int) -> Value:
        found = self.locals[number] or self.loaded.get(number)
        if found is None:
            found = self.loaded[number] = self.at_front(HEAD + number, self.local_types[number])
        return found

    def write_back(self, values: Sequence[Value]) -> None:
        """Put the locals that were set into the frame, and `values` as its stack."""
        self.state.spend(len(values) + len(self.locals))
        for place, value in enumerate(values):
            if self.in_cells.get(place) is not value:
                self.cells.store(self.slot(place), value)
        for number, held in enumerate(self.locals):
            if held is not None and self.loaded.get(number) is not held:
                self.cells.store(HEAD + number, held)

    def go(self, part: int | Value, frame: Value | None = None) -> None:
        """Go on with a part."""
        following = part if isinstance(part, Value) else self.build.const(Type.I32, part)
        self.build.end(
            "continue", following, frame or self.machine.frame, *self.machine.next(), label=self.machine.label
        )

    def jump(self, depth: int) -> None:
        label = self.labels[-1 - depth]
        if label.ending == "return":
            for place, value in enumerate(self.top(label.arity)):
                self.cells.store(HEAD + place, value)
            self.go(self.cells.load(0, Type.I32), self.cells.load(1, Type.U32))
        elif isinstance(label, _Goto):
            self.write_back(self.stack[: label.height] + self.top(label.arity))
            self.go(label.part)
        else:
            super().jump(depth)

    def parts(self) -> None:
        """Lower the function."""
        self.labels = [Label("return", "", len(self.kind.results), ())]
        self.begin(self.machine.entries[self.number], ())
        # A call sets the parameters; the other locals begin here.
        self.locals[len(self.kind.parameters) :] = self.zeros()
        self.front = len(self.region.operations)
        self.walk(0, self.code.ends[-1])
        if not self.is_dead:
            self.jump(0)

    def walk(self, place: int, end: int) -> None:
        """Lower instructions up to `end`, as `run`; parts may end on the way."""
        instructions = self.code.instructions
        while place < end and not self.is_dead:
            instruction = instructions[place]
            self.build.line = instruction.offset
            if place in self.cuts.blocks:
                self.split(place, instruction)
                place = self.code.ends[place]
            elif instruction.op.name in ("block", "loop", "if"):
                self.block(place, instruction)
                place = self.code.ends[place]
            elif place in self.cuts.calls:
                self.call_member(place, instruction)
            else:
                self.instruction(instruction)
            place += 1

    # Blocks that hold calls of members

    def split(self, place: int, instruction: Instruction) -> None:
        name, kind = instruction.op.name, instruction.immediate
        end, middle = self.code.ends[place], self.code.elses.get(place)
        condition = self.numeric.condition(self.pop(1)[0]) if name == "if" else None
        height = len(self.stack) - len(kind.parameters)
        held = [each.type for each in self.stack]
        below = held[:height]
        if name == "loop":
            again = self.part_at(Role.AGAIN, place)
            self.write_back(self.stack)
            self.go(again)
            self.begin(again, held)
            self.labels.append(_Goto("goto", "", len(kind.parameters), (), again, height))
            self.walk(place + 1, end)
            self.labels.pop()
            return
        after = self.part_at(Role.AFTER, place)
        self.labels.append(_Goto("goto", "", len(kind.results), (), after, height))
        if condition is not None:
            sides = [self.part_at(role, place) for role in (Role.THEN, Role.ELSE)]
            self.write_back(self.stack)
            first, second = (self.build.const(Type.I32, side) for side in sides)
            self.go(self.build.value("select", condition, first, second))
            self.begin(sides[0], held)
            self.walk(place + 1, end if middle is None else middle)
            if not self.is_dead:
                self.jump(0)
            self.begin(sides[1], held)
            if middle is not None:
                self.walk(middle + 1, end)
        else:
            self.walk(place + 1, end)
        if not self.is_dead:
            self.jump(0)
        self.labels.pop()
        self.begin(after, below + types(kind.results))

    # Calls of members

    def call_member(self, place: int, instruction: Instruction) -> None:
        op, immediate, _ = instruction
        after = self.part_at(Role.AFTER, place)
        if op.name == "call":
            kind = self.module.type_of(immediate)
            operands = self.pop(len(kind.parameters))
            self.write_back(self.stack)
            self.stop(immediate, operands, after)
        else:
            kind = self.module.types[immediate[0]]
            found = self.areas.callee(immediate[1], self.pop(1)[0])
            operands = self.pop(len(kind.parameters))
            self.write_back(self.stack)
            cases = self.state.candidates(immediate[0])
            self.choose(found, cases, operands, after)
        held = [each.type for each in self.stack]
        self.begin(after, held)
        size = self.machine.size(self.number)
        self.stack += [self.at_front(size + HEAD + place, each) for place, each in enumerate(types(kind.results))]

    def choose(self, found: Value, cases: Sequence[int], operands: Sequence[Value], after: int) -> None:
        """Call the function that a table held, a member or not."""
        regions = [Region() for _ in (*cases, None)]
        for number, region in zip(cases, regions, strict=False):
            with self.build.inside(region):
                if self.machine.is_stop(number):
                    self.stop(number, operands, after)
                else:
                    results = self.called(number, operands)
                    self.demand_cells(HEAD + len(results))
                    for place, value in enumerate(results):
                        self.cells.store(self.machine.size(self.number) + HEAD + place, value)
                    self.go(after)
        with self.build.inside(regions[-1]):
            null = self.build.const(Type.I32, -1)
            self.numeric.demand(self.build.value("ne", found, null), UNINITIALIZED)
            self.build.end("trap", text=MISMATCH)
        self.build.branch("switch", [found], regions, cases=cases)
        self.build.end("trap", text=UNREACHABLE)

    def stop(self, number: int, operands: Sequence[Value], after: int) -> None:
        """End the part at a call, behind which `after` goes on."""
        if number < self.module.imported_functions:
            size, kind = self.machine.size(self.number), self.module.type_of(number)
            self.demand_cells(HEAD + max(len(kind.parameters), len(kind.results)))
            if self.machine.is_post(number):
                self.post(operands, size + HEAD, after)
            for place, value in enumerate(operands):
                self.cells.store(size + HEAD + place, value)
            self.machine.ask(number, after)
        else:
            self.enter(number, operands, after)

    def post(self, operands: Sequence[Value], cell: int, after: int) -> None:
        """Go on with a part where a call was answered in place, with 0 as its result in a cell."""
        build = self.build
        (is_kept,) = build.call(posts.NAME, operands, [Type.U32])

        def go_on() -> tuple[()]:
            self.cells.store(cell, build.const(Type.I32, 0))
            self.go(after)
            return ()

        build.if_(build.value("ne", is_kept, build.const(Type.U32, 0)), go_on)

    def demand_cells(self, count: int) -> None:
        """End the lane where there are no `count` cells behind the frame."""
        left = self.state.stack_cells - self.machine.size(self.number) - count
        enough = self.build.value("le", self.machine.frame, self.build.const(Type.U32, max(left, 0)))
        self.numeric.demand(enough if left >= 0 else self.build.const(Type.BOOL, False), EXHAUSTED)

    def enter(self, number: int, operands: Sequence[Value], after: int) -> None:
        """Put a member's frame behind this one, and go on with its first part."""
        size = self.machine.size(self.number)
        self.demand_cells(self.machine.size(number))
        self.cells.store(size, self.build.const(Type.I32, after))
        self.cells.store(size + 1, self.machine.frame)
        for place, value in enumerate(operands):
            self.cells.store(size + HEAD + place, value)
        frame = self.build.value("add", self.machine.frame, self.build.const(Type.U32, size))
        self.go(self.machine.entries[number], frame)
