"""A function's stack code as steps on registers: its blocks, branches and calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .calls import called
from .cuts import Cuts, Role
from .frames import HEAD
from .in_place import is_of_host
from .module import FunctionType, Instruction, Module
from .numeric import NUMERIC, TYPES
from .registers import Const, Registers
from .state import State


class Unknown(Exception):  # noqa: N818  # no error: translation takes it
    """A function has what no step does."""


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


class Flattener(Registers):
    """Appends the steps of functions to `code`, and where parts begin to `parts`."""

    def __init__(self, module: Module, state: State, members: frozenset[int], kinds: dict[FunctionType, int]) -> None:
        super().__init__()
        self.module, self.state, self.members, self.kinds = module, state, members, kinds
        self.parts: list[int] = []
        self.branches: list[int] = []
        self.nested: dict[int, set[int]] = {}
        """Functions that a direct function calls."""
        self.places = {memory.name: place for place, memory in enumerate(state.memories)}

    def is_stop(self, number: int) -> bool:
        """Whether a call of a function ends a part."""
        return number in self.members or is_of_host(self.module, number)

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
        if count:
            if any(kind.is_reference for _, kind in self.body.runs):
                raise Unknown
            self.emit("zero", HEAD + own, more=count)
        self.labels = [_Label(0, len(self.kind.results), len(self.kind.results))]
        self.walk()

    def part(self, role: Role, place: int) -> None:
        """Begin a part here."""
        self.producer = -1
        number = self.first + self.cuts.places[role, place]
        self.parts[number] = len(self.code)
        self.emit("part", more=number)

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
                self.other(name, immediate)
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

    # Calls

    def call(self, place: int, instruction: Instruction) -> bool:
        number = instruction.immediate
        kind = self.module.type_of(number)
        taken, given = len(kind.parameters), len(kind.results)
        first = self.give(taken, is_cut=place in self.cuts.calls)
        if place in self.cuts.calls:
            after = self.first + self.cuts.places[Role.AFTER, place]
            is_host = number < self.module.imported_functions
            self.emit(
                "ask" if is_host else "enter",
                self.size,
                first,
                max(taken, given) if is_host else taken,
                after << 32 | number,
            )
            self.go_on(place, given)
        else:
            self.nested[self.number].add(number)
            self.emit("enter_direct" if self.is_member else "enter_nested", self.size, first, taken, number)
            self.take_direct(given)
        return False

    def call_indirect(self, place: int, instruction: Instruction) -> bool:
        kind = self.module.types[instruction.immediate[0]]
        index = self.register()
        taken, given = len(kind.parameters), len(kind.results)
        first = self.give(taken, is_cut=place in self.cuts.calls)
        number = self.kinds.setdefault(kind, len(self.kinds))
        if place in self.cuts.calls:
            after = self.first + self.cuts.places[Role.AFTER, place]
            self.emit("enter_indirect", self.size, first, index, after << 32 | number)
            self.emit("spill", 0, self.size, given)
            self.go_on(place, given)
        else:
            self.nested[self.number].update(called(self.state, instruction))
            name = "enter_indirect_direct" if self.is_member else "enter_indirect_nested"
            self.emit(name, self.size, first, index, number)
            self.take_direct(given)
        return False

    def give(self, count: int, *, is_cut: bool) -> int:
        """Pop operands of a call; the first register of those that they lie in."""
        top = len(self.stack) - count
        for place in range(0 if is_cut else top, len(self.stack)):
            self.settle(place)
        del self.stack[top:]
        return self.slot(top)

    def go_on(self, place: int, given: int) -> None:
        """The part behind a call."""
        self.part(Role.AFTER, place)
        if given:
            self.emit("take", self.slot(len(self.stack)), self.size, given)
        self.stack += [self.slot(len(self.stack) + each) for each in range(given)]

    def take_direct(self, given: int) -> None:
        if given:
            self.emit("take_direct", self.slot(len(self.stack)), 0, given)
        self.stack += [self.slot(len(self.stack) + each) for each in range(given)]
        self.producer = -1

    # Others

    def other(self, name: str, immediate: object) -> None:
        match name:
            case "nop":
                pass
            case "drop":
                self.stack.pop()
            case "local.set":
                assert isinstance(immediate, int)
                self.set_local(immediate)
            case "local.tee":
                assert isinstance(immediate, int)
                self.set_local(immediate)
                self.stack.append(HEAD + immediate)
            case "select" | "select_typed":
                chosen = self.register()
                second = self.register()
                self.produce("select", self.register(), second, chosen)
            case "global.get" | "global.set":
                assert isinstance(immediate, int)
                self.variable(name, immediate)
            case "memory.size":
                self.produce("memory_size")
            case "memory.grow":
                self.produce("memory_grow", self.register())
            case "memory.copy" | "memory.fill":
                count, at = self.register(), self.register()
                self.emit(name.replace(".", "_"), self.register(), at, count)
            case _:
                raise Unknown

    def variable(self, name: str, number: int) -> None:
        held = self.state.globals[number]
        kind = TYPES[self.module.globals[number].type]
        if held is None:
            if name == "global.set" or self.module.globals[number].type.is_reference:
                raise Unknown
            self.stack.append(Const(self.state.start_globals[number] & ((1 << kind.bits) - 1)))
        elif name == "global.get":
            self.produce(f"global_get{kind.bits}", more=self.places[held.name])
        else:
            self.emit(f"global_set{kind.bits}", 0, self.register(), 0, self.places[held.name])


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
