"""Functions that call themselves, directly or through others, as one function of the IR: a loop over their parts, with a stack of frames.

A part ends where such a call is, or where a block ends that holds one; blocks without stay blocks. The loop has the number of the next
part and the lowest cell of the frame. A frame is the part to return to, the caller's frame, the locals, the values of the stack; a call
leaves its results where the callee's locals began. Between parts all that is in the frame; within one, in values.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.builder import Builder
from ...ir.model import Function, Region, Value
from ...ir.types import Type
from .frames import EXHAUSTED, HEAD, Cells, Parts
from .instructions import UNREACHABLE, function_name, types
from .member import Member
from .module import Module
from .state import State

_EXIT = -1


class Machine(Parts):
    """The functions `members` of a module, which call one another."""

    def __init__(self, module: Module, state: State, members: Sequence[int]) -> None:
        super().__init__(module, state, members)
        self.lowerings = [Member(self, number) for number in members]

    def functions(self) -> dict[str, Function]:
        """The loop as a function of the IR, and a function for each member that enters it."""
        for own in self.lowerings:
            own.parts()
        self.finish()
        self.build.move_to(self.loop)
        self.build.line = None
        leave = Region()
        with self.build.inside(leave):
            self.build.end("break", label=self.label)
        self.build.branch("switch", [self.part], [*self.parts, leave], cases=range(len(self.parts)))
        self.build.end("trap", text=UNREACHABLE)
        body = Region()
        build = Builder(body)
        part = Value(Type.I32)
        build.branch("loop", [part, build.const(Type.U32, 0)], [self.loop], label=self.label)
        build.end("return")
        memories = (*self.state.memories, self.frames)
        found = {self.name: Function(self.name, (part,), (), memories, body)}
        for number in self.members:
            found[function_name(number)] = self.entry(number)
        return found

    def entry(self, number: int) -> Function:
        """The function that others call: its arguments become a frame, its results are taken from there."""
        kind = self.module.type_of(number)
        body = Region()
        build = Builder(body)
        cells = Cells(build, self.frames, build.value("global_id"), build.value("lane_count"))
        parameters = tuple(map(Value, types(kind.parameters)))
        if self.size(number) > self.state.stack_cells:
            build.end("trap", text=EXHAUSTED)
        else:
            cells.store(0, build.const(Type.I32, _EXIT))
            cells.store(1, build.const(Type.I32, 0))
            for place, value in enumerate(parameters):
                cells.store(HEAD + place, value)
            build.call(self.name, [build.const(Type.I32, self.entries[number])], ())
            build.end("return", *(cells.load(HEAD + place, each) for place, each in enumerate(types(kind.results))))
        memories = (*self.state.memories, self.frames)
        return Function(function_name(number), parameters, tuple(types(kind.results)), memories, body)
