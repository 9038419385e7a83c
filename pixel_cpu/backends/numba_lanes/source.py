"""The Python text of a kernel that Numba compiles: the function ``groups``, which runs some groups of a launch.

Names, texts and reasons of the program do not get into it: values, memories and sites are numbered. A way out of several loops,
for which Python has no word, sets ``go`` and leaves one loop after another.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import DeviceError
from ...ir.model import Bounds, Kernel, Memory, Op, Region, Space, Value, walk
from ...ir.operations import OPERATIONS
from ...ir.types import Type
from .segments import Around, Items, Segment, defined, divide, find_kept, find_parking, used

MAX_LOOPS = 20
"""Loops of Python that nest, at most, with those over groups and lanes: Python's limit."""
MAX_INDENT = 90
"""Levels of indentation; Python's limit is 100."""
FIXED = ("first", "last", "lanes", "group", "fuel_given", "host", "trap")
"""Parameters of ``groups`` before the kernel's own: `int64`, and an array of them."""

_IDS = {
    "global_id": "lane",
    "local_id": "l",
    "group_id": "g",
    "group_size": "group",
    "group_count": "-(-lanes // group)",
    "lane_count": "lanes",
}


def number_sites(kernel: Kernel) -> dict[Op, int]:
    """A number for each operation, by which compiled code names it."""
    return {op: number for number, op in enumerate(walk(kernel.body))}


def fill_in(name: str, operands: Sequence[str], kind: Type, result: Type) -> str:
    """The table's form of an operation over Python expressions of scalars; `kind` is the type of the first operand."""
    form = OPERATIONS[name].form("numba", kind)
    if form is None:
        raise DeviceError(f"the numba device has no {name} of {kind.value}; use device='cpu' or 'reference'")
    names = dict(zip("abc", operands, strict=False)) | {"r": result.value}
    found = re.sub(r"\b[abcr]\b", lambda word: names[word[0]], form)
    # Integers grow in Python: they are brought back into their type.
    return f"{result.value}({found})" if result.is_integer else found


@dataclass(frozen=True)
class Scratch:
    """An array that ``groups`` works in: `length` elements, or so many for each lane of a group."""

    name: str
    kind: Type
    length: int
    is_per_lane: bool = False


def source(kernel: Kernel) -> tuple[str, list[Scratch]]:
    """Python text of a kernel without calls, and its last parameters.

    Raises `DeviceError` where the kernel is nested deeper than Python's texts.
    """
    emitter = _Emitter(kernel)
    return emitter.text(), emitter.scratch


@dataclass
class _Loop:
    """A loop of Python's that is open; `label` of the kernel's block or loop, empty for the one over lanes or groups."""

    label: str
    onto: Sequence[Value] = ()
    again: Sequence[Value] = ()
    passed: bool = False
    """Whether something leaves it for further out."""


class _Emitter:
    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.lines: list[str] = []
        self.indent = 1
        self.sites = number_sites(kernel)
        self.scratch: list[Scratch] = []
        self.items = divide(kernel)
        self.is_split = len(self.items) > 1
        self.kept = {value: f"x{number}" for number, value in enumerate(find_kept(kernel, self.items))}
        self.parking = find_parking(self.items)
        self.parked = {label: number for number, label in enumerate(self.parking, 2)}
        """What ``state`` says of lanes that wait for a block's end; 1 of those that run, 0 of those that ended."""
        self.memories = {memory: f"m{number}" for number, memory in enumerate(kernel.memories)}
        self.names = {value: f"s{number}" for number, value in enumerate(kernel.parameters)}
        self.constants = [op for op in walk(kernel.body) if op.name == "const"]
        self.names |= {op.result: f"c{number}" for number, op in enumerate(self.constants)}
        self.names |= {v: f"v{number}" for number, v in enumerate(defined(kernel.body)) if v not in self.names}
        self.loops: list[_Loop] = []
        self.suites: list[tuple[int, bool]] = []
        """Of each suite that is open the lines before it, and whether it is a loop's."""
        self.temporaries = 0
        self.burns = False
        """Whether the segment at hand takes fuel."""

    def emit(self, line: str) -> None:
        self.lines.append(f"{' ' * self.indent}{line}")

    def begin(self, line: str, op: Op | None = None) -> None:
        """Begin a suite."""
        self.emit(line)
        self.indent += 1
        self.suites.append((len(self.lines), line.startswith(("for", "while"))))
        if self.indent > MAX_INDENT or sum(is_loop for _, is_loop in self.suites) > MAX_LOOPS:
            place = f"{op.name}{f' (line {op.line})' if op.line else ''}" if op else "an access"
            raise DeviceError(
                f"kernel {self.kernel.name}: {place} is nested too deep for the numba device; "
                "use device='cpu' or 'reference'"
            )

    def end(self) -> None:
        """End a suite."""
        if self.suites.pop()[0] == len(self.lines):
            self.emit("pass")
        self.indent -= 1

    # The whole

    def text(self) -> str:
        head = ["import numpy as np", "from pixel_cpu.backends.numba_lanes.scalars import *"]
        head += [f"{kind.value} = np.{kind.dtype.name}" for kind in Type if kind is not Type.BOOL]
        head += ["bool = np.bool_"]
        head += [f"{self.names[op.result]} = {_literal(op)}" for op in self.constants]
        self.emit("go = 0")
        for memory, name in self.memories.items():
            if memory.space is Space.BUFFER:
                self.emit(f"n{name} = len({name})")
            else:
                is_per_lane = self.is_split and memory.space is Space.PRIVATE
                self.scratch.append(Scratch(name, memory.element, memory.length or 0, is_per_lane))
        if words := [len(op.operands) + len(op.results) for op in walk(self.kernel.body) if _is_said(op)]:
            self.scratch.append(Scratch("slots", Type.U64, max(1, *words)))
        self.scratch += [Scratch(name, value.type, 1, True) for value, name in self.kept.items()]
        if self.is_split:
            self.scratch += [Scratch(name, Type.I64, 1, True) for name in ("state", "fuels")]
        self.loops.append(_Loop(""))
        self.begin("for g in range(first, last):")
        self.emit("start = g * group")
        self.emit("size = group if group < lanes - start else lanes - start")
        self.clear(Space.WORKGROUP)
        if self.is_split:
            self.clear(Space.PRIVATE)
            self.emit("running = size")
            self.emit("some = 0")
            self.begin("for l in range(size):")
            self.emit("store(state, l, 1)")
            self.emit("store(fuels, l, fuel_given)")
            self.end()
        self.sequence(self.items)
        self.end()
        parameters = [*FIXED, *(self.names[value] for value in self.kernel.parameters)]
        parameters += [self.memories[memory] for memory in self.kernel.buffers]
        parameters += [scratch.name for scratch in self.scratch]
        return "\n".join([*head, f"def groups({', '.join(parameters)}):", *self.lines, ""])

    def clear(self, space: Space) -> None:
        for memory, name in self.memories.items():
            if memory.space is space:
                each = "size * " if self.is_split and space is Space.PRIVATE else ""
                self.begin(f"for j in range({each}{memory.length}):")
                self.emit(f"store({name}, j, {memory.element.value}(0))")
                self.end()

    # Around segments

    def sequence(self, items: Items) -> None:
        for item in items:
            if isinstance(item, Around):
                self.around(item)
                continue
            if not item.is_empty:
                self.segment(item)
            if item.leaves:
                self.leave_as(item.leaves)

    def around(self, item: Around) -> None:
        op = item.op
        if op.name in ("if", "switch"):
            chosen = op.operands[0]
            name = self.fetched(chosen, "some") if chosen in self.kept else self.names[chosen]
            for head, inside in zip(self.ways(op, name), item.inside, strict=True):
                self.begin(head, op)
                self.sequence(inside)
                self.end()
            return
        self.loops.append(_Loop(op.label))
        self.begin("while True:", op)
        self.sequence(item.inside[0])
        self.end_once(op.regions[0])
        if op.label in self.parking:
            self.begin("for l in range(size):")
            self.begin(f"if load(state, l, i64) == {self.parked[op.label]}:")
            self.emit("store(state, l, 1)")
            self.emit("running += 1")
            self.emit("some = l")
            self.end()
            self.end()
            self.go_on()

    def go_on(self) -> None:
        """Where no lane runs, go to the end of the next block that lanes may wait for, or to the next group."""
        self.begin("if running == 0:")
        waited = [place for place, loop in enumerate(self.loops) if loop.label in self.parking]
        if waited:
            self.leave(waited[-1], again=False)
        else:
            self.leave(0, again=True)
        self.end()

    def ways(self, op: Op, chosen: str) -> list[str]:
        """The head of each way of a branch."""
        if op.name == "if":
            return [f"if {chosen}:", "else:"]
        kind = op.operands[0].type.value
        heads = [f"{'el' if place else ''}if {chosen} == {kind}({case}):" for place, case in enumerate(op.cases)]
        return [*heads, "else:" if heads else "if True:"]

    def leave_as(self, op: Op) -> None:
        """Go where a terminator says, whose values are moved already."""
        if op.name == "yield":  # the ends of branches meet by themselves, a block's is left by `end_once`
            return
        place = next(place for place, loop in enumerate(self.loops) if loop.label == op.label)
        self.leave(place, again=op.name == "continue")

    def leave(self, place: int, *, again: bool) -> None:
        """Leave an open loop, or begin its next turn."""
        if place == len(self.loops) - 1:
            self.emit("continue" if again else "break")
            return
        for loop in self.loops[place + 1 :]:
            loop.passed = True
        self.emit(f"go = {_code(place, again=again)}")
        self.emit("break")

    def end_once(self, region: Region) -> None:
        """End the suite of an inner loop, which a block leaves at its end; what leaves for further out goes on from here."""
        if region.operations[-1].name == "yield":
            self.emit("break")
        self.end()
        if not self.loops.pop().passed:
            return
        place = len(self.loops) - 1
        self.begin("if go != 0:")
        self.begin(f"if go == {_code(place, again=True)}:")
        self.emit("go = 0")
        self.emit("continue")
        self.end()
        if place:  # the outermost goes on with the next lane or group
            self.begin(f"if go == {_code(place, again=False)}:")
            self.emit("go = 0")
            self.end()
            self.emit("break")
        self.end()

    # Segments

    def segment(self, segment: Segment) -> None:
        outside, self.loops = self.loops, [_Loop("")]
        self.burns = segment.burns or any(op.name == "continue" for op in walk(Region(segment.operations)))
        self.begin("for l in range(size):")
        if self.is_split:
            self.begin("if load(state, l, i64) != 1:")
            self.emit("continue")
            self.end()
        else:
            self.clear(Space.PRIVATE)
        self.emit("lane = start + l")
        if self.burns:
            self.emit(f"fuel = {'load(fuels, l, i64)' if self.is_split else 'fuel_given'}")
        own = set(defined(Region(segment.operations)))
        for value in used(segment):
            if value in self.kept and value not in own:
                self.emit(f"{self.names[value]} = {self.fetched(value, 'l')}")
        for op in segment.operations:
            self.op(op, ())
            for value in op.results:
                if value in self.kept:
                    self.keep(value, value)
        if segment.leaves and segment.burns:
            self.burn(segment.leaves)
        for target, value in zip(segment.onto, segment.brings, strict=True):
            self.keep(target, value)
        if self.is_split:
            if self.burns:
                self.emit("store(fuels, l, fuel)")
            self.emit("some = l")
        self.end()
        self.loops = outside
        if self.is_split:
            self.go_on()

    def keep(self, target: Value, value: Value) -> None:
        """Keep a value in the place of another for this lane."""
        self.emit(f"store({self.kept[target]}, l, {self.names[value]})")

    def fetched(self, value: Value, lane: str) -> str:
        """What a lane has kept."""
        return f"load({self.kept[value]}, {lane}, {value.type.value})"

    def end_lane(self, state: int = 0) -> None:
        """The lane does nothing more in this segment, and nothing at all unless another state is given."""
        if self.is_split:
            self.emit(f"store(state, l, {state})")
            self.emit("running -= 1")
        self.leave(0, again=True)

    def park(self, op: Op) -> None:
        """The lane waits for the end of a block around segments."""
        for target, value in zip(self.parking[op.label].results, op.operands, strict=True):
            self.keep(target, value)
        if self.burns:
            self.emit("store(fuels, l, fuel)")
        self.end_lane(self.parked[op.label])

    def trap(self, op: Op, value: str = "0") -> None:
        self.emit(f"note_trap(trap, lane, {self.sites[op]}, {value})")
        self.end_lane()

    def burn(self, op: Op) -> None:
        self.emit(f"fuel -= {op.fuel}")
        self.begin("if fuel < 0:")
        self.trap(op)
        self.end()

    def move(self, onto: Sequence[Value], brings: Sequence[Value]) -> None:
        """Give values to others, all at once."""
        pairs = [(self.names[target], self.names[value]) for target, value in zip(onto, brings, strict=True)]
        pairs = [(target, value) for target, value in pairs if target != value]
        if {target for target, _ in pairs} & {value for _, value in pairs}:
            for place, (target, value) in enumerate(pairs):
                self.temporaries += 1
                self.emit(f"t{self.temporaries} = {value}")
                pairs[place] = (target, f"t{self.temporaries}")
        for target, value in pairs:
            self.emit(f"{target} = {value}")

    def region(self, region: Region, results: Sequence[Value]) -> None:
        """The operations of a region whose ``yield`` gives `results`."""
        for op in region.operations:
            self.op(op, results)

    def op(self, op: Op, results: Sequence[Value]) -> None:
        operands = [self.names[value] for value in op.operands]
        match op.name:
            case "const":
                pass
            case "yield":
                self.move(results, op.operands)
            case "break" if op.label in self.parking:
                self.park(op)
            case "break" | "continue":
                loop = next(loop for loop in self.loops if loop.label == op.label)
                if op.name == "continue":
                    self.burn(op)
                self.move(loop.again if op.name == "continue" else loop.onto, op.operands)
                self.leave_as(op)
            case "return":
                self.end_lane()
            case "trap":
                self.trap(op)
            case "if" | "switch":
                self.declare(op)
                for head, region in zip(self.ways(op, operands[0]), op.regions, strict=True):
                    self.begin(head, op)
                    self.region(region, op.results)
                    self.end()
            case "block" | "loop":
                region = op.regions[0]
                self.declare(op)
                self.move(region.parameters, op.operands)
                self.loops.append(_Loop(op.label, op.results, region.parameters))
                self.begin("while True:", op)
                self.region(region, op.results)
                self.end_once(region)
            case "length":
                assert op.memory is not None
                self.define(op, self.size(op.memory))
            case "print" | "host_call":
                self.say(op)
            case _ if OPERATIONS[op.name].effect == "id":
                self.define(op, _IDS[op.name])
            case _ if op.is_access:
                self.access(op)
            case _:
                kind = op.operands[1 if op.name == "select" else 0].type
                self.emit(f"{self.names[op.result]} = {fill_in(op.name, operands, kind, op.result.type)}")

    def declare(self, op: Op) -> None:
        """Give results of regions a type: Numba knows of none where it drops the way that gives their value, by a constant."""
        for value in op.results:
            self.emit(f"{self.names[value]} = {value.type.value}(0)")

    def define(self, op: Op, expression: str) -> None:
        self.emit(f"{self.names[op.result]} = {op.result.type.value}({expression})")

    # Memory

    def size(self, memory: Memory) -> str:
        return f"n{self.memories[memory]}" if memory.space is Space.BUFFER else str(memory.length)

    def access(self, op: Op) -> None:
        """A load, store or atomic at an index that is checked as the operation says."""
        assert op.memory is not None
        index, size = op.operands[0], self.size(op.memory)
        place = f"k{self.sites[op]}"
        self.emit(f"{place} = i64({self.names[index]})")
        outside = f"is_outside({place}, {size}, {op.width})"
        if op.bounds is Bounds.TRAP:
            self.begin(f"if {outside}:")
            self.trap(op, place)
            self.end()
        elif op.bounds is Bounds.CLAMP:
            result = op.results[0] if op.results else None
            nothing = f"{self.names[result]} = {result.type.value}(0)" if result else ""
            if op.name != "load":
                self.begin(f"if {outside}:")
                self.emit(nothing or "pass")
            else:
                self.begin(f"if {place} < 0:")
                # An index of 64 bits that is not signed is beyond the end where it is negative here.
                self.emit(f"{place} = {f'{size} - {op.width}' if index.type is Type.U64 else '0'}")
                self.end()
                self.begin(f"if {place} > {size} - {op.width}:")
                self.emit(f"{place} = {size} - {op.width}")
                self.end()
                self.begin(f"if {place} < 0:")
                self.emit(nothing)
            self.end()
            self.begin("else:")
            self.touch(op, place)
            self.end()
            return
        self.touch(op, place)

    def touch(self, op: Op, place: str) -> None:
        """An access at a place that is inside."""
        memory = op.memory
        assert memory is not None
        name = self.memories[memory]
        at = f"l * {memory.length} + {place}" if self.is_split and memory.space is Space.PRIVATE else place
        given = [self.names[value] for value in op.operands[1:]]
        if op.name == "store":
            self.emit(f"store({name}, {at}, {given[0]})")
            return
        old, word = self.names[op.result], op.name.removeprefix("atomic_")
        self.emit(f"{old} = load({name}, {at}, {op.moved.value})")
        if word == "cas":
            self.begin(f"if {old} == {given[0]}:")
            self.emit(f"store({name}, {at}, {given[1]})")
            self.end()
        elif word != "load":
            new = given[0] if word == "exchange" else fill_in(word, [old, given[0]], op.moved, op.moved)
            self.emit(f"store({name}, {at}, {new})")

    # The host

    def say(self, op: Op) -> None:
        """Tell the host an operation and its operands, and take what it gives."""
        for place, value in enumerate(op.operands):
            bits, name = value.type, self.names[value]
            if bits.is_float:
                bits = Type(f"u{bits.bits}")
                name = fill_in("bitcast", [name], value.type, bits)
            self.emit(f"slots[{place}] = u64({name})")
        self.begin(f"if call_host(host, {self.sites[op]}, lane, slots) != 0:")
        self.emit("return")
        self.end()
        for place, value in enumerate(op.results):
            kind, raw = value.type, f"slots[{place}]"
            if kind.is_float:
                bits = Type(f"u{kind.bits}")
                self.emit(f"{self.names[value]} = {fill_in('bitcast', [f'{bits.value}({raw})'], bits, kind)}")
            else:
                self.emit(f"{self.names[value]} = {kind.value}({raw})")


def _is_said(op: Op) -> bool:
    return op.name in ("print", "host_call")


def _code(place: int, *, again: bool) -> int:
    """What ``go`` says of a way to an open loop."""
    return 2 * place + (2 if again else 1)


def _literal(op: Op) -> str:
    """A constant as Python text; floats by their bits."""
    kind, value = op.result.type, op.literal
    if kind.is_float:
        with np.errstate(all="ignore"):
            bits = int(np.array(value, kind.dtype).view(f"u{kind.bytes}"))
        return f"np.uint{kind.bits}({bits:#x}).view(np.float{kind.bits})"
    return f"{kind.value}({int(value or 0)})"
