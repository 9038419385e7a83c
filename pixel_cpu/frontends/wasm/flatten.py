"""A function's stack code as steps on registers: its blocks, branches and calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .call_steps import CallSteps
from .cuts import Cuts, Role
from .frames import HEAD
from .module import FunctionType, Instruction, Module
from .numeric import NUMERIC
from .registers import Const
from .state import State


@dataclass
class _Label:
    """An open block: values below those of a branch to it, how many these are, where it begins or `None` before its end is known."""

    height: int
    arity: int
    results: int
    parameters: int = 0
    target: int | None = None
    sites: list[int] = field(default_factory=list)
    """Steps that go to its end."""
    part: int | None = None
    """The part that begins behind it."""
    otherwise: int | None = None
    """Step that goes to the ``else``."""
    else_part: int | None = None


class Flattener(CallSteps):
    """Appends the steps of functions to `code`, and where parts begin to `parts`."""

    def __init__(self, module: Module, state: State, members: frozenset[int], kinds: dict[FunctionType, int]) -> None:
        super().__init__(module, state, members, kinds)
        self.branches: list[int] = []

    def function(self, number: int, cuts: Cuts, first: int) -> None:
        """Append a function, whose parts have numbers from `first` on."""
        module = self.module
        self.number, self.cuts, self.first = number, cuts, first
        self.kind, self.body = module.type_of(number), module.bodies[number - module.imported_functions]
        self.is_member = number in self.members
        own = len(self.kind.parameters)
        count = sum(count for count, _ in self.body.runs)
        self.stack_at = HEAD + own + count
        self.stack = []
        self.producer = -1
        self.offset = self.body.offset
        self.nested[number] = set()
        self.size = HEAD + max(own + count + self.body.height, len(self.kind.results))
        if self.is_member:
            self.part(Role.ENTRY, 0)
        self.begin_locals(HEAD + own)
        self.labels = [_Label(0, len(self.kind.results), len(self.kind.results))]
        self.walk()

    def begin_locals(self, cell: int) -> None:
        """Set the locals that are no parameters: numbers to 0, references to null."""
        for count, kind in self.body.runs:
            if count:
                self.emit("null" if kind.is_reference else "zero", cell, more=count)
            cell += count

    def walk(self) -> None:
        instructions, place = self.body.instructions, 0
        skip = self.skip
        while place < len(instructions):
            instruction = instructions[place]
            op, immediate, self.offset = instruction
            name = op.name
            if name in NUMERIC:
                self.numeric(name, len(op.operands or ()))
            elif name == "local.get":
                self.stack.append(HEAD + immediate)
            elif name in _FLOW:
                if _FLOW[name](self, place, instruction):
                    place = skip(place)
                    continue
            elif op.immediate == "access":
                value = self.register() if not op.results else 0
                at = self.register()
                self.produce(name, at, value, immediate[1]) if op.results else self.emit(
                    name, 0, at, value, immediate[1]
                )
            elif op.immediate in ("i32", "i64", "f32", "f64"):
                self.stack.append(Const(immediate & (0xFFFFFFFF if op.immediate[1:] == "32" else 0xFFFFFFFFFFFFFFFF)))
            else:
                self.others(name, immediate)
            place += 1

    def skip(self, place: int) -> int:
        """The place of the ``else`` or ``end`` at which code behind an unconditional branch is reached again."""
        instructions, depth = self.body.instructions, 0
        while True:
            place += 1
            name = instructions[place].op.name
            if name in ("block", "loop", "if"):
                depth += 1
            elif name == "else" and not depth:
                self.is_reached = False
                return place
            elif name == "end":
                if not depth:
                    self.is_reached = False
                    return place
                depth -= 1

    is_reached = True
    """Whether the next ``else`` or ``end`` is come to from above."""

    # Flow

    def enter(self, place: int, instruction: Instruction) -> bool:
        """``block``, ``loop`` and ``if``."""
        name, kind = instruction.op.name, instruction.immediate
        condition = None
        if name == "if":
            condition = self.branch_unless()
        self.settle_all()
        height = len(self.stack) - len(kind.parameters)
        is_cut = place in self.cuts.blocks
        label = _Label(height, len(kind.results), len(kind.results), len(kind.parameters))
        if name == "if":
            # The stack was settled before the branch; see `branch_unless`.
            label.otherwise = condition
            if is_cut:
                self.part(Role.THEN, place)
                label.else_part = self.first + self.cuts.places[Role.ELSE, place]
        if name == "loop":
            label.arity, label.target = len(kind.parameters), len(self.code)
            if is_cut:
                self.part(Role.AGAIN, place)
        elif is_cut:
            label.part = self.first + self.cuts.places[Role.AFTER, place]
        self.labels.append(label)
        return False

    def branch_unless(self) -> int:
        """Append a branch on a condition that does not hold; the stack below is settled first. Gives its place."""
        condition = self.pop_condition()
        self.settle_stack()
        return self.conditional(condition, is_wanted=False)

    def otherwise(self, place: int, _: Instruction) -> bool:
        """``else``."""
        label = self.labels[-1]
        if self.is_reached:
            self.settle_all()
            label.sites.append(self.emit("jump"))
        self.is_reached = True
        self.begin_else(label)
        self.stack = [self.slot(each) for each in range(label.height + label.parameters)]
        return False

    def begin_else(self, label: _Label) -> None:
        assert label.otherwise is not None
        self.patch(label.otherwise)
        label.otherwise = None
        self.producer = -1
        if label.else_part is not None:
            self.parts[label.else_part] = len(self.code)
            self.emit("part", more=label.else_part)

    def end(self, place: int, _: Instruction) -> bool:
        label = self.labels[-1]
        if self.is_reached:
            if len(self.labels) == 1:
                self.leave()
                self.labels.pop()
                return False
            self.settle_all()
        if len(self.labels) == 1:
            self.is_reached = True
            self.labels.pop()
            return False
        if label.otherwise is not None:  # without an else
            if self.is_reached and label.else_part is not None:
                label.sites.append(self.emit("jump"))
            self.begin_else(label)
        self.is_reached = True
        for site in label.sites:
            self.patch(site)
        if label.part is not None:
            self.parts[label.part] = len(self.code)
            self.emit("part", more=label.part)
        self.labels.pop()
        self.producer = -1
        self.stack = [self.slot(each) for each in range(label.height + label.results)]
        return False

    def jump(self, depth: int) -> None:
        """Append a branch to a label."""
        label = self.labels[-1 - depth]
        if len(self.labels) == depth + 1:
            self.leave()
            return
        self.bring(label.arity, self.slot(label.height))
        site = self.emit("jump", more=label.target or 0)
        if label.target is None:
            label.sites.append(site)

    def leave(self) -> None:
        """Return from the function."""
        self.bring(len(self.kind.results), HEAD)
        self.emit("leave" if self.is_member else "leave_direct")

    def br(self, _: int, instruction: Instruction) -> bool:
        self.jump(instruction.immediate)
        return True

    def br_if(self, _: int, instruction: Instruction) -> bool:
        depth = instruction.immediate
        condition = self.pop_condition()
        label = self.labels[-1 - depth]
        top = len(self.stack) - label.arity
        is_function = len(self.labels) == depth + 1
        if not is_function and all(self.stack[top + n] == self.slot(label.height + n) for n in range(label.arity)):
            site = self.conditional(condition, is_wanted=True, target=label.target or 0)
            if label.target is None:
                label.sites.append(site)
            return False
        over = self.conditional(condition, is_wanted=False)
        self.jump(depth)
        self.patch(over)
        self.producer = -1
        return False

    def br_table(self, _: int, instruction: Instruction) -> bool:
        chosen = self.register()
        depths: Sequence[int] = instruction.immediate
        first = len(self.branches)
        self.emit("table", 0, chosen, 0, len(depths) - 1 << 32 | first)
        stubs: dict[int, int] = {}
        for depth in depths:
            if depth not in stubs:
                stubs[depth] = len(self.code)
                self.jump(depth)
            self.branches.append(stubs[depth])
        return True

    def return_(self, _: int, __: Instruction) -> bool:
        self.leave()
        return True

    def unreachable(self, _: int, __: Instruction) -> bool:
        self.emit("unreachable")
        return True


_FLOW = {
    "block": Flattener.enter,
    "loop": Flattener.enter,
    "if": Flattener.enter,
    "else": Flattener.otherwise,
    "end": Flattener.end,
    "br": Flattener.br,
    "br_if": Flattener.br_if,
    "br_table": Flattener.br_table,
    "return": Flattener.return_,
    "unreachable": Flattener.unreachable,
    "call": Flattener.call,
    "call_indirect": Flattener.call_indirect,
}
