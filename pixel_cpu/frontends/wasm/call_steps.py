"""Steps for calls: those that end a part of a member, those of functions that run to their end, and of operations of the IR."""

from __future__ import annotations

from .calls import called
from .cuts import Cuts, Role
from .in_place import in_place, is_of_host
from .module import FunctionType, Instruction, Module
from .state import State
from .state_steps import StateSteps, Unknown
from .steps import OPERATIONS

TYPE_BITS = 24
"""Of a number that names a type of functions, with the number of a table above."""
MAX_TABLES = 1 << (32 - TYPE_BITS)


class CallSteps(StateSteps):
    """Appends the calls of functions, which are members or not, and where parts begin to `parts`.

    `number` is the function that is appended, `size` the cells of its frame, `first` the number of the first of its parts, which `cuts` has.
    """

    number = first = size = 0
    is_member = False
    cuts = Cuts(frozenset(), frozenset(), {})

    def __init__(self, module: Module, state: State, members: frozenset[int], kinds: dict[FunctionType, int]) -> None:
        super().__init__(module, state)
        self.members, self.kinds = members, kinds
        self.parts: list[int] = []
        self.nested: dict[int, set[int]] = {}
        """Functions that a direct function calls."""

    def is_stop(self, number: int) -> bool:
        """Whether a call of a function ends a part."""
        return number in self.members or is_of_host(self.module, number)

    def part(self, role: Role, place: int) -> None:
        """Begin a part here."""
        self.producer = -1
        number = self.first + self.cuts.places[role, place]
        self.parts[number] = len(self.code)
        self.emit("part", more=number)

    def call(self, place: int, instruction: Instruction) -> bool:
        number = instruction.immediate
        kind = self.module.type_of(number)
        if operation := in_place(self.module, number):
            self.produce(OPERATIONS[operation], self.register() if kind.parameters else 0)
            return False
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
        chosen, table = instruction.immediate
        kind = self.module.types[chosen]
        index = self.register()
        taken, given = len(kind.parameters), len(kind.results)
        first = self.give(taken, is_cut=place in self.cuts.calls)
        number = self.kinds.setdefault(kind, len(self.kinds))
        if table >= MAX_TABLES or number >> TYPE_BITS:
            raise Unknown
        number |= table << TYPE_BITS
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
