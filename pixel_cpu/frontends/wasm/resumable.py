"""Kernels that run a function of a module until it calls the host, ends, or has used its share, and go on from there at the next launch.

Functions that may call an imported one, or themselves, are parts of one machine, with them all that call those. Where a lane is lies
in buffers, an element for each lane: the next part, its frame, its status. The operands of a call of the host lie behind the frame, as those
of a function would, and there the part that goes on finds the results. No function of the host runs in a launch, so that every device will do.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass, field

from ...errors import IrError, WasmError
from ...ir import model
from ...ir.builder import Builder
from ...ir.model import Function, Kernel, Memory, Region, Space, Value
from ...ir.types import Type
from ...ir.verifier import verify
from .areas import Areas
from .calls import called, components, is_recursive
from .frames import EXHAUSTED, Cells, Parts
from .in_place import is_of_host
from .instructions import UNREACHABLE
from .lower import lower
from .member import Member
from .module import Module
from .posts import NAME, POSTED, POSTS, post, posting
from .state import State

KERNEL = "go_on"
"""The name of the kernel."""
SHARE = "share"
"""Its parameter: parts that a lane may run in a launch."""
GROUP = 64
EXIT = -1
"""The part that a lane comes to at its end."""
RUNNABLE, WAITING, RETURNED, TRAPPED = 0, 1, 3, 4
"""What a launch leaves as the status of a lane; it runs those that are `RUNNABLE`."""
PART = Memory("lane.part", Space.BUFFER, Type.I32)
FRAME = Memory("lane.frame", Space.BUFFER, Type.U32)
STATUS = Memory("lane.status", Space.BUFFER, Type.U32)
WANTED = Memory("lane.wanted", Space.BUFFER, Type.I32)
"""The number of the imported function that a lane waits for."""
SPENT = Memory("lane.spent", Space.BUFFER, Type.U32)
"""Parts that a lane ran in the launch."""
LANES = (PART, FRAME, STATUS, WANTED, SPENT)
FRAMES = "frames"
MAX_DIRECT = 150
"""Instructions of a function, with what it calls, that is put in place of its calls."""


@dataclass(frozen=True)
class Resumable:
    """A verified program, the function of each part by its number, the first part, and whether frames lie apart, a lane's cells together."""

    program: model.Module
    owners: tuple[int, ...]
    entry: int
    is_apart: bool
    sizes: dict[int, int]
    """Cells of a frame of each member, by the function's number."""

    ready: set[int] = field(default_factory=set)
    """Members that are compiled, where that is done when lanes come to them."""

    def parts_of(self, functions: Collection[int]) -> set[int]:
        """Numbers of the parts of functions."""
        return {part for part, owner in enumerate(self.owners) if owner in functions}


class _Machine(Parts):
    """A machine whose parts also end at calls of the host, and whose loop counts."""

    def __init__(
        self,
        module: Module,
        state: State,
        members: Collection[int],
        direct: Collection[int],
        *,
        lowered: Collection[int],
        is_apart: bool,
    ) -> None:
        self.is_apart, self.lowered = is_apart, sorted(lowered)
        self.posting = posting(module, state) if is_apart else -1
        self.growing: set[int] = set()
        """Functions that may change the size of the memory, those put in their place included."""
        for number in (*direct, *members):
            code = module.bodies[number - module.imported_functions].instructions
            inside = {each for op in code for each in called(state, op)} - set(members)
            if any(op.op.name == "memory.grow" for op in code) or inside & self.growing:
                self.growing.add(number)
        super().__init__(module, state, sorted(members), (Type.U32,))

    def begin(self) -> Cells:
        build, (left,) = self.build, self.carried
        lane = self.lane = build.value("global_id")
        self.bases = {
            area.buffer: build.value("mul", lane, build.const(Type.U32, area.stride))
            for area in self.state.areas
            if not area.is_shared
        }
        build.store(PART, lane, self.part)
        build.store(FRAME, lane, self.frame)

        def pause() -> tuple[()]:
            self.leave(RUNNABLE)
            return ()

        build.if_(build.value("eq", left, build.const(Type.U32, 0)), pause)
        self.left = build.value("sub", left, build.const(Type.U32, 1))
        if self.is_apart:
            base = build.value("mul", lane, build.const(Type.U32, self.state.stack_cells))
            # With 64 bits the number of a cell is part of a processor's address.
            first = build.value("convert", build.value("add", base, self.frame), type=Type.U64)
            found = Cells(build, self.frames, first, None)
            # A frame is entered where all its cells are there; see `Member.demand_cells`.
            found.is_proved = True
            return found
        lanes = build.value("lane_count")
        return Cells(build, self.frames, build.value("add", build.value("mul", self.frame, lanes), lane), lanes)

    def prepare(self, areas: Areas) -> None:
        areas.known_lane = self.lane
        areas.known_bases = self.bases
        areas.is_wide = self.is_apart

    def grows(self, number: int) -> bool:
        return number in self.growing

    def next(self) -> tuple[Value, ...]:
        return (self.left,)

    def is_stop(self, number: int) -> bool:
        return number in self.is_member or is_of_host(self.module, number)

    def is_post(self, number: int) -> bool:
        return number == self.posting

    def leave(self, status: int) -> None:
        """End the loop."""
        build = self.build
        build.store(STATUS, self.lane, build.const(Type.U32, status))
        build.end("break", self.carried[0], label=self.label)

    def ask(self, number: int, after: int) -> None:
        """End the loop with a call of the host, behind which `after` goes on."""
        build = self.build
        lane = self.lane
        build.store(PART, lane, build.const(Type.I32, after))
        build.store(WANTED, lane, build.const(Type.I32, number))
        self.leave(WAITING)

    def function(self) -> Function:
        """The loop as a function of the IR: takes part, frame and share, gives what is left of the share."""
        for own in map(self.member, self.lowered):
            own.parts()
        self.finish()
        build = self.build
        build.move_to(self.loop)
        build.line = None
        over = Region()
        with build.inside(over):
            self.leave(RETURNED)
        build.branch("switch", [self.part], [*self.parts, over], cases=range(len(self.parts)))
        build.end("trap", text=UNREACHABLE)
        body = Region()
        outside = Builder(body)
        starts = (Value(Type.I32), Value(Type.U32), Value(Type.U32))
        outside.end("return", *outside.branch("loop", starts, [self.loop], [Type.U32], label=self.label))
        memories = (*self.state.memories, self.frames, *lane_memories(self.posting))
        return Function(self.name, starts, (Type.U32,), memories, body)

    def member(self, number: int) -> Member:
        try:
            return Member(self, number)
        except WasmError as error:
            raise WasmError(error.rule, error.offset, function=self.module.name_of(number)) from None


def lane_memories(posting: int) -> tuple[Memory, ...]:
    """The buffers of lanes beside the frames; `posting` is that of `posts`."""
    return LANES if posting < 0 else (*LANES, POSTS, POSTED)


def frames_of(members: Collection[int]) -> Memory:
    """The buffer of the frames of members."""
    return Memory(f"frames{min(members)}", Space.BUFFER, Type.U64)


def stops(module: Module, state: State, function: int) -> tuple[set[int], list[int]]:
    """The functions that are members of the machine for a call of `function`, and the others that it may reach, callees first."""
    members: set[int] = set()
    direct: dict[int, int] = {}
    for found in components(module, state, function):
        for number in found:
            body = module.bodies[number - module.imported_functions]
            targets = {each for op in body.instructions for each in called(state, op)}
            size = len(body.instructions)
            if any(is_of_host(module, each) or each in members for each in targets):
                members.update(found)
            for op in body.instructions:
                size += sum(direct.get(each, 0) for each in called(state, op))
            direct[number] = size
        if is_recursive(module, state, found) or function in found or any(direct[each] > MAX_DIRECT for each in found):
            members.update(found)
    return members, [number for number in direct if number not in members]


def likely(module: Module, members: Collection[int], functions: Collection[int]) -> set[int]:
    """Members that `functions` are likely to call directly, also through others, and themselves.

    A call before an ``unreachable`` is that of a program that gives up.
    """
    found = set(functions)
    todo = list(found)
    while todo:
        code = module.bodies[todo.pop() - module.imported_functions].instructions
        for (op, number, _), following in itertools.pairwise(code):
            if op.name == "call" and number in members and number not in found and following.op.name != "unreachable":
                found.add(number)
                todo.append(number)
    return found


def resumable(
    module: Module, state: State, function: int, *, is_apart: bool, only: Collection[int] | None = None
) -> Resumable:
    """The program that runs `function`, which is not imported; raises `WasmError` for what is not supported.

    `only` are the members whose parts have code.
    """
    state.work = 0
    try:
        members, direct = stops(module, state, function)
    except WasmError as error:
        raise WasmError(error.rule, function=module.name_of(function)) from None
    lowered = members if only is None else members & set(only)
    machine = _Machine(module, state, members, direct, lowered=lowered, is_apart=is_apart)
    program = model.Module(functions={machine.name: machine.function()})
    if machine.posting >= 0:
        program.functions[NAME] = post(state)
    for number in direct:
        try:
            found = lower(module, state, number, is_wide=is_apart)
        except WasmError as error:
            raise WasmError(error.rule, error.offset, function=module.name_of(number)) from None
        program.functions[found.name] = found
    if machine.size(function) > state.stack_cells:
        raise WasmError(
            f"{EXHAUSTED}: a frame has {8 * machine.size(function)} bytes", function=module.name_of(function)
        )
    share = Value(Type.U32, SHARE)
    body = Region()
    build = Builder(body)
    lane = build.value("global_id")

    def run() -> tuple[()]:
        # What ends by a trap leaves this.
        build.store(STATUS, lane, build.const(Type.U32, TRAPPED))
        (left,) = build.call(machine.name, [build.load(PART, lane), build.load(FRAME, lane), share], [Type.U32])
        build.store(SPENT, lane, build.value("sub", share, left))
        return ()

    build.if_(build.value("eq", build.load(STATUS, lane), build.const(Type.U32, RUNNABLE)), run)
    build.end("return")
    memories = (*state.memories, machine.frames, *lane_memories(machine.posting))
    program.kernels[KERNEL] = Kernel(KERNEL, (share,), memories, body, GROUP)
    try:
        verify(program)
    except IrError as error:
        if error.rule != "size":
            raise
        raise WasmError(f"too large to run: {error.text}", function=module.name_of(function)) from None
    sizes = {number: machine.size(number) for number in machine.members}
    return Resumable(program, tuple(machine.owners), machine.entries[function], is_apart, sizes)
