"""Frames of functions that call themselves, and the parts that such functions are cut into."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from ...ir.builder import Builder
from ...ir.model import Bounds, Memory, Region, Space, Value
from ...ir.types import Type
from .areas import Areas
from .cuts import Role, cut
from .module import Module
from .state import State

EXHAUSTED = "call stack exhausted"
UNREACHED = "unreachable"
HEAD = 2
"""Cells of a frame before its locals: the part to return to, the caller's frame."""


class Cells:
    """The cells of a frame, eight bytes each: those of all lanes lie beside each other, or without `lanes` those of a lane."""

    is_proved = False

    def __init__(self, build: Builder, memory: Memory, base: Value, lanes: Value | None) -> None:
        self.build, self.memory, self.base, self.lanes = build, memory, base, lanes

    def at(self, number: int) -> Value:
        """The index of a cell."""
        build = self.build
        step = build.const(self.base.type, number)
        return build.value("add", self.base, build.value("mul", self.lanes, step) if self.lanes else step)

    def load(self, number: int, kind: Type) -> Value:
        """What a cell holds."""
        build = self.build
        with self.bounds():
            bits = build.load(self.memory, self.at(number))
        if kind.bits == 32:
            bits = build.value("convert", bits, type=Type.U32)
        return bits if bits.type is kind else build.value("bitcast", bits, type=kind)

    def store(self, number: int, value: Value) -> None:
        """Set a cell."""
        build = self.build
        unsigned = value.type.unsigned
        bits = value if value.type is unsigned else build.value("bitcast", value, type=unsigned)
        if value.type.bits == 32:
            bits = build.value("convert", bits, type=Type.U64)
        with self.bounds():
            build.store(self.memory, self.at(number), bits)

    @contextlib.contextmanager
    def bounds(self) -> Iterator[None]:
        """Append accesses without a check, where `is_proved`."""
        before = self.build.bounds
        if self.is_proved:
            self.build.bounds = Bounds.PROVED
        yield
        self.build.bounds = before


class Parts:
    """The parts of `members`, functions of a module that call one another, and the loop over them that is made.

    The loop carries the part, the frame, and what `carried` names.
    """

    def __init__(self, module: Module, state: State, members: Sequence[int], carried: Sequence[Type] = ()) -> None:
        self.module, self.state, self.members = module, state, members
        self.is_member = frozenset(members)
        self.frames = Memory(f"frames{members[0]}", Space.BUFFER, Type.U64)
        self.name = f"machine{members[0]}"
        self.part, self.frame = Value(Type.I32), Value(Type.U32)
        self.carried = tuple(map(Value, carried))
        self.owners: list[int] = []
        """The function of each part."""
        self.loop = Region(parameters=(self.part, self.frame, *self.carried))
        self.build = Builder(self.loop)
        self.label = self.build.new_label()
        self.cuts = {number: cut(module, state, number, self.is_stop) for number in members}
        self.entries: dict[int, int] = {}
        """The first part of each member; the others follow in the order of its cuts."""
        for number in members:
            self.entries[number] = len(self.owners)
            self.owners += [number] * len(self.cuts[number].places)
        self.parts = [Region() for _ in self.owners]
        self.cells = self.begin()

    def begin(self) -> Cells:
        """Begin the loop: what every part sees, the cells of its frame too."""
        lanes = self.build.value("lane_count")
        base = self.build.value("add", self.build.value("mul", self.frame, lanes), self.build.value("global_id"))
        return Cells(self.build, self.frames, base, lanes)

    def part_at(self, number: int, role: Role, place: int) -> int:
        """The number of a part of a function."""
        return self.entries[number] + self.cuts[number].places[role, place]

    def finish(self) -> None:
        """End the parts that nothing was lowered into: those that no code reaches, and those of members that were left out."""
        for region in self.parts:
            if not region.operations:
                with self.build.inside(region):
                    self.build.end("trap", text=UNREACHED)

    def next(self) -> tuple[Value, ...]:
        """What the loop carries to the next part."""
        return self.carried

    def prepare(self, areas: Areas) -> None:
        """Tell what every part sees of a lane's state."""

    def grows(self, number: int) -> bool:
        """Whether a part of a function may change the size of the memory."""
        del number
        return True

    def is_post(self, number: int) -> bool:
        """Whether a call of function `number` may be answered in place; see `posts`."""
        return False

    def ask(self, number: int, after: int) -> None:
        """End a part with a call of the host's function, behind which `after` goes on; for machines that stop there."""
        raise NotImplementedError

    def is_stop(self, number: int) -> bool:
        """Whether a part ends at a call of a function: of a member, or of one that the host serves after the dispatch."""
        return number in self.is_member

    def size(self, number: int) -> int:
        """Cells of a function's frame, those for its results included."""
        return frame_size(self.module, number)


def frame_size(module: Module, number: int) -> int:
    """Cells of the frame of a function of the module, those for its results included."""
    kind, code = module.type_of(number), module.bodies[number - module.imported_functions]
    own = len(kind.parameters) + sum(count for count, _ in code.runs)
    return HEAD + max(own + code.height, len(kind.results))
