"""The reference executor: all lanes of a launch in step, as NumPy arrays with masks, straight from the table of operations.

It is the meaning of a program. Speed is no aim; being read beside `ir.operations` is. Lanes of all groups go through the program
together, a mask says which are there; what a lane that is not there would compute is never stored.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from ..errors import LaunchError
from ..ir import numerics
from ..ir.model import Bounds, Kernel, Memory, Module, Op, Region, Space, Value
from ..ir.operations import OPERATIONS
from ..ir.types import Type
from .launch import OUT_OF_FUEL, Counters, Launch, Outcome, Part, PrintedLine, Sample, Span, Timeline, Trap, next_lane
from .launch import outside as outside_of

Lanes = np.ndarray[Any, np.dtype[Any]]
RECORDED_PHASES = 4096
"""Stretches between barriers that a timeline keeps."""

_NAMES = {name: getattr(numerics, name) for name in dir(numerics) if not name.startswith("_")} | {"np": np}


@cache
def _code(name: str, kind: Type) -> CodeType:
    form = OPERATIONS[name].form("numpy", kind)
    assert form, f"{name} has no NumPy form for {kind!r}"
    return compile(form, f"<NumPy form of {name}>", "eval")


def evaluate(name: str, operands: Sequence[Lanes], result: Type, kind: Type | None = None) -> Lanes:
    """The value of a row of the table over arrays: the definition that all back ends are held to.

    `operands` are arrays of one shape in the operation's order, `kind` the type of the first one where that is not its dtype's.
    """
    first = kind or _kind_of(operands[0] if name != "select" else operands[1])
    names = dict(zip("abc", operands, strict=False)) | {"t": first, "r": result}
    with np.errstate(all="ignore"):
        found = eval(_code(name, first), _NAMES, names)  # the table's own text, nobody else's
    return np.asarray(found, dtype=result.dtype)


def _kind_of(array: Lanes) -> Type:
    return (
        Type.BOOL
        if array.dtype == np.bool_
        else Type({"i": "i", "u": "u", "f": "f"}[array.dtype.kind] + str(array.dtype.itemsize * 8))
    )


@dataclass
class _Label:
    """What lanes bring that leave for a label."""

    left: Lanes
    results: list[Lanes]
    again: Lanes
    parameters: list[Lanes] = field(default_factory=list)


class _Frame:
    """A kernel or function that runs: its values, the labels that are open, who returned."""

    def __init__(self, lanes: int, results: Sequence[Type]) -> None:
        self.values: dict[Value, Lanes] = {}
        self.labels: dict[str, _Label] = {}
        self.returned = np.zeros(lanes, bool)
        self.results = [np.zeros(lanes, kind.dtype) for kind in results]


class Executor:
    """Runs launches of one kernel on the CPU, by definition.

    ``Executor(module, "saxpy").run(launch)`` changes the launch's arrays in place and gives an `Outcome`. `executed` counts what all
    launches so far did: operations by name and type of their first result, once for each lane.
    """

    backend = "reference"

    def __init__(self, module: Module, kernel: str, timeline: bool = False) -> None:
        self.module, self.kernel, self._is_recorded = module, module.kernels[kernel], timeline
        self.executed: Counter[tuple[str, Type]] = Counter()

    def run(self, launch: Launch) -> Outcome:
        """Run all lanes of a launch to their ends; raises nothing that the program does: see `Outcome.trap`."""
        return _Run(self.module, self.kernel, launch, self.executed, self._is_recorded).run()


class _Run:
    def __init__(
        self, module: Module, kernel: Kernel, launch: Launch, executed: Counter[tuple[str, Type]], is_recorded: bool
    ) -> None:
        self.module, self.kernel, self.launch, self.executed = module, kernel, launch, executed
        self.lanes = launch.lanes
        self.numbers = np.arange(self.lanes, dtype=np.uint32)
        self.groups = self.numbers // np.uint32(launch.group)
        self.local = self.numbers % np.uint32(launch.group)
        self.fuel = np.full(self.lanes, min(launch.fuel, 2**62), np.int64)
        self.own = (launch.part or Part()).units(launch.lanes, launch.group)
        self.alive = (self.groups >= self.own[0]) & (self.groups < self.own[1])
        self.traps = 0
        self.lowest: Trap | None = None
        self.every: list[Trap] = []
        self.printed: list[tuple[int, int, str]] = []
        self.prints_dropped = 0
        self.counters = Counters()
        self.is_recorded, self.begun_ns, self.phases = is_recorded, time.monotonic_ns(), 0
        self.spans: list[Span] = []
        self.samples: list[Sample] = []
        self.memories = {memory: self.allocate(memory) for memory in kernel.memories}

    def allocate(self, memory: Memory) -> Lanes:
        if memory.space is Space.BUFFER:
            return self.launch.buffers[memory.name]
        rows = self.launch.groups if memory.space is Space.WORKGROUP else self.lanes
        assert memory.length is not None
        return np.zeros(rows * memory.length, memory.element.dtype)

    def run(self) -> Outcome:
        frame = _Frame(self.lanes, ())
        for value in self.kernel.parameters:
            given = self.launch.scalars[value.name]
            frame.values[value] = np.full(self.lanes, given, value.type.dtype)
        with np.errstate(all="ignore"):
            self.region(frame, self.kernel.body, self.alive.copy())
        lines = [PrintedLine(lane, text) for lane, _, text in sorted(self.printed, key=lambda line: line[:2])]
        return Outcome(
            "reference",
            self.lowest,
            self.traps,
            self.counters,
            tuple(lines),
            self.prints_dropped,
            timeline=self.timeline(),
            next_lane=next_lane(self.launch, self.own[1], self.launch.group),
            every_trap=tuple(sorted(self.every, key=lambda trap: trap.lane)),
        )

    def phase(self, name: str) -> None:
        """Where the launch is recorded: all lanes in step have come to a place."""
        if not self.is_recorded:
            return
        self.phases += 1
        if self.phases > RECORDED_PHASES:
            return
        begin_ns, now_ns = self.spans[-1].end_ns if self.spans else self.begun_ns, time.monotonic_ns()
        self.spans.append(Span("all lanes in step", name, begin_ns, now_ns, (0, self.lanes)))
        self.samples.append(Sample(now_ns, replace(self.counters), self.traps))

    def timeline(self) -> Timeline | None:
        """What was recorded, up to the end of the launch."""
        if not self.is_recorded:
            return None
        self.phase("to the end")
        dropped = max(self.phases - RECORDED_PHASES, 0)
        end_ns = time.monotonic_ns()
        return Timeline(self.kernel.name, self.begun_ns, end_ns, tuple(self.spans), tuple(self.samples), dropped)

    def end(self, mask: Lanes, reason: Callable[[int], str], op: Op) -> None:
        """Lanes end by a trap; `reason` says why for a lane."""
        lanes = np.flatnonzero(mask & self.alive)
        if lanes.size and (self.lowest is None or lanes[0] < self.lowest.lane):
            self.lowest = Trap(int(lanes[0]), reason(int(lanes[0])), op.line)
        if self.launch.wants_traps:
            self.every += [Trap(int(lane), reason(int(lane)), op.line) for lane in lanes]
        self.traps += int(lanes.size)
        self.alive &= ~mask

    def region(self, frame: _Frame, region: Region, mask: Lanes) -> tuple[Lanes, list[Lanes]]:
        """Run a region for the lanes of `mask`; gives those that came to its ``yield``, and what they yield."""
        nobody = np.zeros(self.lanes, bool)
        for op in region.operations:
            mask = mask & self.alive
            if not mask.any():
                return nobody, []
            self.count(op, mask)
            operands = [frame.values[value] for value in op.operands]
            match op.name:
                case "yield":
                    return mask, operands
                case "break" | "continue" | "return" | "trap":
                    self.leave(frame, op, operands, mask)
                    return nobody, []
                case "if" | "switch":
                    mask = self.branch(frame, op, operands[0], mask)
                case "block":
                    mask = self.block(frame, op, mask)
                case "loop":
                    mask = self.loop(frame, op, operands, mask)
                case "call":
                    self.call(frame, op, operands, mask)
                case _:
                    self.step(frame, op, operands, mask)
        raise AssertionError("a region ends with a terminator")

    def count(self, op: Op, mask: Lanes) -> None:
        lanes = int(mask.sum())
        self.counters.instructions += lanes
        if op.results:
            self.executed[op.name, op.results[0].type] += lanes
        if op.name == "barrier":
            self.counters.barriers += int(np.unique(self.groups[mask]).size)
            self.phase("to a barrier" if op.line is None else f"to the barrier of line {op.line}")

    def keep(self, frame: _Frame, values: Sequence[Value], news: Sequence[Lanes], mask: Lanes) -> None:
        """Define values for the lanes of `mask`; others keep what they had, which nothing reads."""
        for value, new in zip(values, news, strict=True):
            old = frame.values.get(value)
            frame.values[value] = np.where(mask, new, old if old is not None else new.dtype.type(0))

    def leave(self, frame: _Frame, op: Op, operands: list[Lanes], mask: Lanes) -> None:
        if op.name == "trap":
            self.end(mask, lambda _: op.text or "trap", op)
        elif op.name == "return":
            frame.returned |= mask
            frame.results = [np.where(mask, new, old) for new, old in zip(operands, frame.results, strict=True)]
        elif op.name == "break":
            label = frame.labels[op.label]
            label.left |= mask
            label.results = [np.where(mask, new, old) for new, old in zip(operands, label.results, strict=True)]
        else:
            self.fuel[mask] -= op.fuel
            spent = mask & (self.fuel < 0)
            if spent.any():
                self.end(spent, lambda _: OUT_OF_FUEL, op)
            label = frame.labels[op.label]
            label.again |= mask & ~spent
            label.parameters = [np.where(mask, new, old) for new, old in zip(operands, label.parameters, strict=True)]

    def branch(self, frame: _Frame, op: Op, chosen: Lanes, mask: Lanes) -> Lanes:
        if op.name == "if":
            masks = [mask & chosen, mask & ~chosen]
        else:
            masks = [mask & (chosen == chosen.dtype.type(case)) for case in op.cases]
            masks.append(mask & ~np.isin(chosen, np.array(op.cases, chosen.dtype)))
        self.count_parting(masks)
        through = np.zeros(self.lanes, bool)
        for region, own in zip(op.regions, masks, strict=True):
            came, values = self.region(frame, region, own)
            if came.any():
                self.keep(frame, op.results, values, came)
            through |= came
        return through

    def count_parting(self, masks: Sequence[Lanes]) -> None:
        """Groups whose lanes take more than one way here."""
        ways = np.zeros(self.launch.groups, np.int64)
        for mask in masks:
            ways[np.unique(self.groups[mask])] += 1
        self.counters.branches += int((ways > 0).sum())
        self.counters.divergent += int((ways > 1).sum())

    def block(self, frame: _Frame, op: Op, mask: Lanes) -> Lanes:
        label = _Label(
            np.zeros(self.lanes, bool), [np.zeros(self.lanes, value.type.dtype) for value in op.results], mask
        )
        frame.labels[op.label] = label
        came, values = self.region(frame, op.regions[0], mask)
        del frame.labels[op.label]
        if came.any():
            self.keep(frame, op.results, values, came)
        self.keep(frame, op.results, label.results, label.left)
        return came | label.left

    def loop(self, frame: _Frame, op: Op, operands: list[Lanes], mask: Lanes) -> Lanes:
        results = [np.zeros(self.lanes, value.type.dtype) for value in op.results]
        left = np.zeros(self.lanes, bool)
        parameters = operands
        while mask.any():
            self.keep(frame, op.regions[0].parameters, parameters, mask)
            label = _Label(
                left, results, np.zeros(self.lanes, bool), [frame.values[value] for value in op.regions[0].parameters]
            )
            frame.labels[op.label] = label
            self.region(frame, op.regions[0], mask)
            left, results, parameters = label.left, label.results, label.parameters
            self.count_parting([mask & label.again, mask & ~label.again])
            mask = label.again & self.alive
        frame.labels.pop(op.label, None)
        self.keep(frame, op.results, results, left)
        return left

    def call(self, frame: _Frame, op: Op, operands: list[Lanes], mask: Lanes) -> None:
        function = self.module.functions[op.text]
        inner = _Frame(self.lanes, function.results)
        inner.values = dict(zip(function.parameters, operands, strict=True))
        self.region(inner, function.body, mask)
        self.keep(frame, op.results, inner.results, mask & inner.returned)

    def step(self, frame: _Frame, op: Op, operands: list[Lanes], mask: Lanes) -> None:
        """An operation without regions."""
        name = op.name
        if name == "const":
            new = np.full(self.lanes, op.literal, op.result.type.dtype)
        elif name == "length":
            assert op.memory is not None
            size = len(self.memories[op.memory]) if op.memory.space is Space.BUFFER else op.memory.length
            new = np.full(self.lanes, size, np.uint32)
        elif OPERATIONS[name].effect == "id":
            new = self.identity(name)
        elif op.memory is not None:
            found = self.access(op, operands, mask)
            if found is None:
                return
            new = found
        elif name == "barrier":
            return
        elif name == "print":
            self.print(op, operands, mask)
            return
        elif name == "host_call":
            self.host_call(frame, op, operands, mask)
            return
        else:
            new = evaluate(name, operands, op.result.type)
        self.keep(frame, op.results, [new], mask)

    def identity(self, name: str) -> Lanes:
        match name:
            case "global_id":
                return self.numbers
            case "local_id":
                return self.local
            case "group_id":
                return self.groups
            case "group_size":
                return np.full(self.lanes, self.launch.group, np.uint32)
            case "group_count":
                return np.full(self.lanes, self.launch.groups, np.uint32)
            case _:
                return np.full(self.lanes, self.lanes, np.uint32)

    def access(self, op: Op, operands: list[Lanes], mask: Lanes) -> Lanes | None:
        """A load, store or atomic; gives what it loads, None for a store."""
        memory = op.memory
        assert memory is not None
        kind = op.moved
        width = kind.bytes // memory.element.bytes if kind is not memory.element else 1
        array = self.memories[memory]
        size = len(array) if memory.space is Space.BUFFER else memory.length
        assert size is not None
        index = operands[0]
        # Compared in a type that holds every index and every length.
        outside = (
            (index < 0) | (index.astype(np.float64) > size - width)
            if index.dtype.itemsize < 8
            else _outside(index, size - width)
        )
        if op.bounds is not Bounds.CLAMP and (outside & mask).any():
            self.end(outside & mask, lambda lane: outside_of(index[lane], memory.name, size), op)
            mask = mask & ~outside
        last = max(size - width, 0)
        place = np.where(index < 0, 0, np.where(outside, last, index)).astype(np.int64)
        writes = mask & ~outside
        row = (
            self.groups if memory.space is Space.WORKGROUP else self.numbers if memory.space is Space.PRIVATE else None
        )
        if row is not None:
            place = place + row.astype(np.int64) * size
        self.tally(op, mask, kind)
        if op.name == "load":
            if size < width:
                return np.zeros(self.lanes, kind.dtype)
            safe = np.where(mask, place, 0)
            return _gather(array, safe, kind, width)
        if op.name == "store":
            _scatter(array, place[writes], operands[1][writes], width)
            return None
        return self.atomic(op, array, place, operands[1:], writes)

    def tally(self, op: Op, mask: Lanes, kind: Type) -> None:
        count = int(mask.sum())
        if op.name != "store":
            self.counters.loads += count
            self.counters.bytes_loaded += count * kind.bytes
        if op.name != "load":
            self.counters.stores += count
            self.counters.bytes_stored += count * kind.bytes

    def atomic(self, op: Op, array: Lanes, place: Lanes, values: Sequence[Lanes], mask: Lanes) -> Lanes:
        old = np.zeros(self.lanes, array.dtype)
        word = op.name.removeprefix("atomic_")
        kind = op.result.type
        for lane in np.flatnonzero(mask).tolist():  # one after another, as lanes do
            at = place[lane]
            before = array[at : at + 1]
            old[lane] = before[0]
            given = values[0][lane : lane + 1]
            if word == "cas":
                if before[0] == given[0]:
                    array[at] = values[1][lane]
            elif word == "exchange":
                array[at] = given[0]
            else:
                array[at] = evaluate(word, [before, given], kind)[0]
        return old

    def print(self, op: Op, operands: list[Lanes], mask: Lanes) -> None:
        for lane in np.flatnonzero(mask).tolist():
            if len(self.printed) >= self.launch.printed_lines:
                self.prints_dropped += 1
                continue
            words = [op.text, *(_show(values[lane]) for values in operands)]
            self.printed.append((lane, len(self.printed), " ".join(word for word in words if word)))

    def host_call(self, frame: _Frame, op: Op, operands: list[Lanes], mask: Lanes) -> None:
        function = self.launch.host_functions.get(op.text)
        if function is None:
            raise LaunchError(f"kernel {self.kernel.name} calls the host's {op.text!r}, which the launch was not given")
        news = [np.zeros(self.lanes, value.type.dtype) for value in op.results]
        for lane in np.flatnonzero(mask).tolist():
            answers = function(lane, *(values[lane].item() for values in operands))
            for new, answer in zip(news, answers, strict=True):
                new[lane] = answer
        self.keep(frame, op.results, news, mask)


def _outside(index: Lanes, last: int) -> Lanes:
    if last < 0:
        return np.ones(index.shape, bool)
    return np.asarray((index < 0) | (index > index.dtype.type(last)))


def _gather(array: Lanes, place: Lanes, kind: Type, width: int) -> Lanes:
    if width == 1:
        return array[place].astype(kind.dtype) if array.dtype == kind.dtype else array[place].view(kind.dtype)
    parts = np.stack([array[place + offset] for offset in range(width)], axis=-1)
    return np.ascontiguousarray(parts).view(kind.dtype)[..., 0]


def _scatter(array: Lanes, place: Lanes, values: Lanes, width: int) -> None:
    if width == 1:
        array[place] = values.view(array.dtype) if values.dtype.itemsize == array.dtype.itemsize else values
        return
    parts = np.ascontiguousarray(values).view(np.uint8).reshape(-1, width)
    for offset in range(width):
        array[place + offset] = parts[:, offset]


def _show(value: Any) -> str:  # noqa: ANN401  # a NumPy scalar of any type
    return repr(value.item()) if isinstance(value, np.generic) else str(value)


def compile_kernel(module: Module, kernel: str, *, timeline: bool = False) -> Executor:
    """Make a kernel of a verified module ready. `timeline`: launches record what stands between barriers."""
    return Executor(module, kernel, timeline)


def describe() -> str:
    """What stands behind this back end on this host."""
    return f"NumPy {np.__version__}: all lanes in step; the definition, slow"
