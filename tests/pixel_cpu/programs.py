"""Random valid programs of the IR, and what compares a back end with the reference on them.

::

    from programs import Options, check_seeds

    def test_random_programs_are_the_reference_s():
        check_seeds(lambda module, name: LaneC(module, name), range(200), Options(prints=False))

A program is made from a seed, so that a failure names it; `check_seeds` also removes from it what the failure does not need.
Programs have no races: a lane writes its own slots, atomics of one object are of one commuting kind and their old values are not
used, workgroup memory is exchanged between barriers. Floats come from operations that round alike everywhere, and the bits of a
NaN never reach an integer or a byte.
"""

from __future__ import annotations

import contextlib
import copy
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from pixel_cpu.backends.launch import Executable, Launch, Outcome, check
from pixel_cpu.backends.reference import Executor
from pixel_cpu.errors import IrError
from pixel_cpu.ir.builder import Builder
from pixel_cpu.ir.model import Bounds, Function, Kernel, Memory, Module, Op, Region, Space, Value, walk
from pixel_cpu.ir.operations import OPERATIONS, TERMINATORS
from pixel_cpu.ir.text import write
from pixel_cpu.ir.types import INDEXES, Type
from pixel_cpu.ir.verifier import verify

EXACT_FLOAT = (
    "add sub mul div sqrt fma floor ceil trunc nearest neg abs min max eq ne lt le gt ge select convert bitcast"
).split()
"""Operations on floats that every back end computes alike, if it computes by IEEE 754."""
_INTEGER = (
    "add sub mul div rem mulhi min max neg abs and or xor not shl shr rotl clz ctz popcount eq ne lt le gt ge select "
    "convert bitcast"
).split()
ATOMICS = ("add", "min", "max", "and", "or", "xor")
"""Atomics that commute with themselves."""


@dataclass(frozen=True)
class Options:
    """What programs may contain. `kinds` are the types of values (`bool`, `u32` always), `float_operations` the ones on floats."""

    kinds: tuple[Type, ...] = tuple(Type)
    float_operations: tuple[str, ...] = tuple(EXACT_FLOAT)
    statements: int = 80
    traps: bool = True
    """Traps, indices outside with `trap`, loops that run out of fuel."""
    functions: bool = True
    barriers: bool = True
    atomics: bool = True
    prints: bool = True
    host_calls: bool = True
    lanes: int = 100
    """Lanes of a launch, at most."""


NO_FLOATS = Options(kinds=tuple(kind for kind in Type if not kind.is_float))
NO_WIDE = Options(kinds=tuple(kind for kind in Type if kind.bits <= 32))
INTEGERS_32 = Options(kinds=(Type.BOOL, Type.I32, Type.U32))
INTEGERS_UP_TO_32 = Options(kinds=tuple(kind for kind in Type if kind.bits <= 32 and not kind.is_float))


def small_options(seed: int) -> Options:
    """Options of small programs, which compile quickly, over types that differ from seed to seed."""
    kinds = random.Random(seed).sample(list(Type), 3)
    return Options(tuple(kinds), statements=(8, 12, 30)[seed % 3])


@dataclass
class Case:
    """A program and a launch of it."""

    seed: int
    module: Module
    launch: Launch
    kernel: str = "main"

    @property
    def text(self) -> str:
        """The program, and the launch in a comment."""
        launch = self.launch
        about = f"; seed {self.seed}: {launch.lanes} lanes in groups of {launch.group}, fuel {launch.fuel}, "
        return about + f"{dict(launch.scalars)}\n{write(self.module)}"


# Edge values


@cache
def edges(kind: Type) -> list[int | float | bool]:
    """Values of a type where operations go wrong, if they do."""
    if kind is Type.BOOL:
        return [False, True]
    if kind.is_integer:
        found = {0, 1, 2, 3, 5, 7, 10, kind.least, kind.least + 1, kind.greatest, kind.greatest - 1}
        found |= {1 << place for place in range(kind.bits)} | {(1 << place) - 1 for place in range(kind.bits)}
        found |= {-1, -2, -3, -7, *(-(1 << place) for place in range(kind.bits))}
        return sorted(value for value in found if kind.least <= value <= kind.greatest)
    info = np.finfo(kind.dtype)
    tiny, least, greatest = float(info.smallest_normal), float(info.smallest_subnormal), float(info.max)
    found_floats = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 7.0, 10.0, 0.1, 1 / 3, tiny, tiny / 2, least, 3 * least]
    found_floats += [greatest, greatest / 2, 1 + float(info.eps), 1 - float(info.epsneg), math.pi]
    found_floats += [2.0**exponent for exponent in (7, 8, 15, 16, 23, 24, 31, 32, 52, 53, 63, 64)]
    found_floats += [2.0**exponent - 1 for exponent in (7, 8, 15, 16, 24, 31, 32, 53)]
    found_floats += [127.5, 255.5, 2.0**31 - 128, 2.0**31 - 0.5, 2.0**32 - 0.5, 2.0**63 - 1024, 2.0**23 + 0.5, math.inf]
    rounded = {float(kind.dtype.type(value)).hex(): float(kind.dtype.type(value)) for value in found_floats}
    values = list(rounded.values())
    return [*values, *(-value for value in values), math.nan]


# Making programs


@dataclass
class _Label:
    name: str
    results: tuple[Type, ...]
    again: tuple[Type, ...] | None = None
    """What a ``continue`` gives: the loop's parameters."""
    counter: Value | None = None
    """The next value of the loop's counter, its first parameter."""


@dataclass
class _Place:
    """Where statements are made: what a terminator may do here."""

    labels: tuple[_Label, ...] = ()
    returns: tuple[Type, ...] | None = None
    """Results of a ``return``; None: not allowed, as a barrier follows."""
    depth: int = 0


@dataclass
class _Slots:
    """A buffer that every lane has `count` elements of."""

    memory: Memory
    count: int


class _Generator:
    def __init__(self, seed: int, options: Options) -> None:
        self.random = random.Random(seed)
        self.seed, self.options = seed, options
        self.kinds = [kind for kind in Type if kind in {*options.kinds, Type.BOOL, Type.U32}]
        self.index_kinds = [kind for kind in INDEXES if kind in self.kinds]
        self.numbers = [kind for kind in self.kinds if kind is not Type.BOOL]
        self.has_traps = options.traps and self.random.random() < 0.4
        self.left = options.statements
        self.module = Module()
        self.group = self.random.choice((1, 2, 5, 8, 16, 32, 64))
        self.lanes = self.random.randint(1, max(1, options.lanes))
        self.lengths: dict[Memory, int] = {}
        self.pool: list[dict[Type, list[Value]]] = []
        self.build = Builder(Region())
        self.line = 0
        self.local_functions: list[Function] = []
        self.declare()

    # Memory

    def declare(self) -> None:
        pick = self.random.choice
        self.inputs: list[Memory] = []
        self.outputs: list[_Slots] = []
        self.private: list[Memory] = []
        self.atomic: list[tuple[Memory, str]] = []
        for kind in self.random.sample(self.kinds, min(4, len(self.kinds))):
            self.inputs.append(self.memory(f"in_{kind.value}", Space.BUFFER, kind, pick((1, 3, 17, 64)), False))
        self.inputs.append(self.memory("in_bytes", Space.BUFFER, Type.U8, pick((8, 33, 200)), False))
        for kind in self.kinds:
            count = self.random.randint(2, 5)
            memory = self.memory(f"out_{kind.value}", Space.BUFFER, kind, count * self.lanes, True)
            self.outputs.append(_Slots(memory, count))
        self.byte_slots = _Slots(self.memory("out_bytes", Space.BUFFER, Type.U8, 24 * self.lanes, True), 24)
        for kind in self.random.sample(self.kinds, min(2, len(self.kinds))):
            self.private.append(self.memory(f"own_{kind.value}", Space.PRIVATE, kind, pick((1, 4, 9)), True))
        self.private.append(self.memory("own_bytes", Space.PRIVATE, Type.U8, pick((8, 19)), True))
        if self.options.atomics:
            words = [kind for kind in self.kinds if kind.is_integer and kind.bits >= 32]
            for word in self.random.sample(ATOMICS, 3):
                memory = self.memory(f"sum_{word}", Space.BUFFER, pick(words), pick((1, 4, 16)), True)
                self.atomic.append((memory, word))
        self.shared: list[Memory] = []
        self.shared_atomic: list[tuple[Memory, str]] = []
        if self.options.barriers:
            for kind in self.random.sample(self.kinds, min(2, len(self.kinds))):
                self.shared.append(self.memory(f"shared_{kind.value}", Space.WORKGROUP, kind, self.group, True))
            if self.options.atomics:
                word = pick(ATOMICS)
                memory = self.memory("shared_sum", Space.WORKGROUP, pick([Type.U32, *self.words()]), pick((1, 5)), True)
                self.shared_atomic.append((memory, word))

    def words(self) -> list[Type]:
        return [kind for kind in self.kinds if kind.is_integer and kind.bits >= 32]

    def memory(self, name: str, space: Space, kind: Type, length: int, is_writable: bool) -> Memory:
        made = Memory(name, space, kind, None if space is Space.BUFFER else length, is_writable)
        self.lengths[made] = length
        return made

    # Values

    def add(self, value: Value) -> Value:
        self.pool[-1].setdefault(value.type, []).append(value)
        return value

    def const(self, kind: Type, literal: int | float | bool | None = None) -> Value:
        if literal is None:
            literal = self.literal(kind)
        return self.build.const(kind, literal)

    def literal(self, kind: Type) -> int | float | bool:
        way = self.random.random()
        if way < 0.5 or kind is Type.BOOL:
            return self.random.choice(edges(kind))
        if kind.is_integer:
            return self.random.randint(kind.least, kind.greatest) if way < 0.6 else self.random.randint(0, 9)
        return float(kind.dtype.type(self.random.choice((self.random.uniform(-9, 9), self.random.gauss(0, 1e6)))))

    def any(self, kind: Type) -> Value:
        """A value of a type: one that there is, or a new literal."""
        found = [value for scope in self.pool for value in scope.get(kind, ())]
        if found and self.random.random() < 0.8:
            # Newer values more often, so that chains get long.
            return found[max(self.random.randrange(len(found)), self.random.randrange(len(found)))]
        if kind is not Type.U32 and self.random.random() < 0.4 and self.pool and self.pool[0].get(Type.U32):
            if kind is Type.BOOL:
                return self.add(self.build.value("lt", self.any(Type.U32), self.any(Type.U32)))
            return self.add(self.build.value("convert", self.any(Type.U32), type=kind))
        return self.const(kind)

    def value(self) -> None:
        """One operation of the table without effects."""
        kind = self.random.choice(self.kinds)
        names = self.options.float_operations if kind.is_float else _INTEGER
        name = self.random.choice([name for name in names if kind in OPERATIONS[name].over])
        row = OPERATIONS[name]
        words = row.signature.partition("->")[0].split()
        operands = [self.any(Type.BOOL if word == "bool" else kind) for word in words]
        result = None
        if name == "convert":
            result = self.random.choice(self.kinds)
        elif name == "bitcast":
            result = self.random.choice([other for other in self.numbers if other.bits == kind.bits])
            if kind.is_float and not result.is_float:
                self.add(self.bits_of(operands[0], result))
                return
        self.add(self.build.value(name, *operands, type=result))

    def bits_of(self, value: Value, kind: Type) -> Value:
        """The bits of a float, the same ones for each NaN."""
        bits = self.build.value("bitcast", value, type=kind)
        one = 0x7FC00000 if kind.bits == 32 else 0x7FF8000000000000
        return self.build.value("select", self.build.value("ne", value, value), self.const(kind, one), bits)

    def number(self, value: Value) -> Value:
        """A float that is no NaN."""
        same = self.build.value("eq", value, value)
        return self.build.value("select", same, value, self.const(value.type, 1.0))

    def below(self, limit: int, kind: Type = Type.U32) -> Value:
        """A `u32` below a number."""
        return self.build.value("rem", self.any(Type.U32), self.const(Type.U32, limit))

    def as_index(self, value: Value) -> Value:
        """A small `u32` in some type that an index may have."""
        kind = self.random.choice(self.index_kinds)
        return value if kind is Type.U32 else self.build.value("convert", value, type=kind)

    # Access

    def bounds(self) -> Bounds:
        return self.random.choice(tuple(Bounds))

    def index(self, memory: Memory, width: int) -> Value:
        """An index into memory whose every element this lane may read; sets the bounds of the next access."""
        self.build.bounds = self.bounds()
        inside = self.lengths[memory] - width + 1
        is_wild = self.build.bounds is Bounds.CLAMP or (
            self.build.bounds is Bounds.TRAP and self.has_traps and self.random.random() < 0.2
        )
        if inside > 0 and not (is_wild and self.random.random() < 0.7):
            return self.as_index(self.below(inside))
        if self.build.bounds is not Bounds.CLAMP and not self.has_traps:
            self.build.bounds = Bounds.CLAMP
        elif self.build.bounds is Bounds.PROVED:
            self.build.bounds = Bounds.TRAP
        return self.any(self.random.choice(self.index_kinds))

    def own_index(self, slots: _Slots, width: int) -> Value:
        """An index of this lane's own slots, or, in some of the ways, of nobody's."""
        self.build.bounds = self.bounds()
        first = self.build.value("mul", self.build.value("global_id"), self.const(Type.U32, slots.count))
        index = self.as_index(self.build.value("add", first, self.below(slots.count - width + 1)))
        is_wild = self.build.bounds is not Bounds.PROVED and self.random.random() < 0.3
        # Clamped loads outside read what another lane may be writing.
        if is_wild and (self.has_traps if self.build.bounds is Bounds.TRAP else True):
            outside = self.lengths[slots.memory] + self.random.choice((0, 1, 1000, 0x7FFF0000))
            if index.type.is_signed and self.random.random() < 0.5:
                outside = self.random.choice((-1, -1000, index.type.least))
            return self.build.value("select", self.any(Type.BOOL), index, self.const(index.type, outside))
        return index

    def element(self, memory: Memory, most: int = 8) -> Type:
        """A type of at most so many bytes to move from or to memory: wider ones for bytes."""
        if memory.element is Type.U8 and self.random.random() < 0.8:
            return self.random.choice([kind for kind in self.numbers if kind.bytes <= most])
        return memory.element

    def load(self) -> None:
        choices: list[Memory | _Slots] = [*self.inputs, *self.private, *self.outputs, self.byte_slots]
        source = self.random.choice(choices)
        memory, most = (source.memory, source.count) if isinstance(source, _Slots) else (source, 8)
        kind = self.element(memory, most)
        width = kind.bytes if memory.element is Type.U8 else 1
        if isinstance(source, _Slots):
            index = self.own_index(source, width)
            if self.build.bounds is Bounds.CLAMP:
                self.build.bounds = Bounds.TRAP if self.has_traps else Bounds.PROVED
                if not self.has_traps:
                    first = self.build.value("mul", self.build.value("global_id"), self.const(Type.U32, source.count))
                    index = self.build.value("add", first, self.below(source.count - width + 1))
        else:
            index = self.index(memory, width)
        self.add(self.build.load(memory, index, kind))

    def store(self) -> None:
        choices: list[Memory | _Slots] = [*self.private, *self.outputs, *self.outputs, self.byte_slots]
        target = self.random.choice(choices)
        memory, most = (target.memory, target.count) if isinstance(target, _Slots) else (target, 8)
        kind = self.element(memory, most)
        width = kind.bytes if memory.element is Type.U8 else 1
        value = self.any(kind)
        if memory.element is Type.U8 and kind.is_float:
            value = self.number(value)
        index = self.own_index(target, width) if isinstance(target, _Slots) else self.index(memory, width)
        self.build.store(memory, index, value)

    def own_atomic(self) -> None:
        """An atomic on this lane's own slot, whose old value is therefore known."""
        found = [slots for slots in self.outputs if slots.memory.element in self.words()]
        slots = self.random.choice(found)
        name = self.random.choice((*ATOMICS, "exchange", "cas"))
        values = [self.any(slots.memory.element) for _ in range(2 if name == "cas" else 1)]
        self.add(self.build.atomic(f"atomic_{name}", slots.memory, self.own_index(slots, 1), *values))

    def sum_atomic(self, memory: Memory, word: str) -> None:
        """An atomic on an element that other lanes change too."""
        value = self.any(memory.element)
        self.build.atomic(f"atomic_{word}", memory, self.index(memory, 1), value)

    # Statements

    def statement(self, place: _Place) -> None:
        self.left -= 1
        self.line += 1
        self.build.line = self.line
        ways: list[tuple[float, Callable[[], None]]] = [(14, self.value), (2, self.load), (2, self.store)]
        if self.options.atomics:
            ways.append((0.5, self.own_atomic))
            ways += [
                (0.3, lambda memory=memory, word=word: self.sum_atomic(memory, word)) for memory, word in self.atomic
            ]
        if place.depth < 5:
            ways += [(1, lambda: self.branch(place)), (0.4, lambda: self.switch(place))]
            ways += [(0.5, lambda: self.block(place)), (0.8 if place.depth < 3 else 0.1, lambda: self.loop(place))]
            ways.append((0.1, lambda: self.nest(place)))
        if self.local_functions:
            ways.append((0.5, self.call))
        if self.options.prints:
            ways.append((0.2, self.print))
        if self.options.host_calls:
            ways.append((0.2, self.host_call))
        weights, actions = zip(*ways, strict=True)
        self.random.choices(actions, weights)[0]()

    def statements(self, place: _Place, most: int) -> None:
        for _ in range(self.random.randint(0, most)):
            if self.left <= 0:
                return
            self.statement(place)

    def print(self) -> None:
        values = [self.any(self.random.choice(self.kinds)) for _ in range(self.random.randint(0, 2))]
        self.build.print(self.random.choice(("", "at", "x = ")), *values)

    def host_call(self) -> None:
        kind = self.random.choice(self.kinds)
        self.add(
            self.build.append(Op("host_call", (self.any(kind),), (Value(kind),), text=f"same_{kind.value}")).result
        )

    def call(self) -> None:
        function = self.random.choice(self.local_functions)
        operands = [self.any(value.type) for value in function.parameters]
        for value in self.build.call(function.name, operands, function.results):
            self.add(value)

    def some_types(self, most: int = 2) -> tuple[Type, ...]:
        return tuple(self.random.choice(self.kinds) for _ in range(self.random.randint(0, most)))

    def all(self, kinds: Iterable[Type]) -> list[Value]:
        return [self.any(kind) for kind in kinds]

    @contextlib.contextmanager
    def inside(self, region: Region) -> Iterator[None]:
        """Append to a region; what is defined there is known there only."""
        with self.build.inside(region):
            self.pool.append({})
            yield
            self.pool.pop()

    def region(self, place: _Place, yields: tuple[Type, ...], most: int = 6) -> Region:
        """A region of statements that ends with a yield, or leaves for somewhere."""
        region = Region()
        with self.inside(region):
            self.statements(place, most)
            if self.random.random() < 0.75 or not self.leave(place):
                self.build.end("yield", *self.all(yields))
        return region

    def leave(self, place: _Place) -> bool:
        """End a region by leaving what is around it; whether there was a way."""
        way = self.random.random()
        if way < 0.1 and self.has_traps:
            self.build.end("trap", text=self.random.choice(("broken", 'a "quoted" reason')))
        elif way < 0.2 and place.returns is not None:
            self.build.end("return", *self.all(place.returns))
        elif place.labels:
            label = self.random.choice(place.labels)
            if label.again is not None and self.random.random() < 0.5:
                assert label.counter is not None
                fuel = self.random.choice((1, 1, 1, 3))
                self.build.end("continue", label.counter, *self.all(label.again[1:]), label=label.name, fuel=fuel)
            else:
                self.build.end("break", *self.all(label.results), label=label.name)
        else:
            return False
        return True

    def inner(self, place: _Place, *labels: _Label) -> _Place:
        return _Place((*place.labels, *labels), place.returns, place.depth + 1)

    def define(self, values: Iterable[Value]) -> None:
        for value in values:
            self.add(value)

    def branch(self, place: _Place) -> None:
        condition, kinds, inner = self.any(Type.BOOL), self.some_types(), self.inner(place)
        regions = [self.region(inner, kinds), self.region(inner, kinds, most=self.random.choice((0, 4)))]
        self.define(self.build.branch("if", [condition], regions, kinds))

    def switch(self, place: _Place) -> None:
        kind, kinds, inner = self.random.choice(self.words()), self.some_types(), self.inner(place)
        chosen = self.any(kind)
        if self.random.random() < 0.7:
            chosen = self.build.value("rem", chosen, self.const(kind, 5))
        cases = {
            self.random.choice((0, 1, 2, 3, 4, kind.least, kind.greatest)) for _ in range(self.random.randint(0, 4))
        }
        regions = [self.region(inner, kinds, most=3) for _ in range(len(cases) + 1)]
        self.define(self.build.branch("switch", [chosen], regions, kinds, cases=sorted(cases)))

    def block(self, place: _Place, *, has_exchange: bool = False) -> None:
        label = _Label(self.build.new_label(), self.some_types())
        if has_exchange:
            region = Region()
            with self.inside(region):
                self.exchange()
                # From here on lanes may leave, each in its own way.
                self.statements(self.inner(place, label), 6)
                self.build.end("yield", *self.all(label.results))
        else:
            region = self.region(self.inner(place, label), label.results)
        self.define(self.build.branch("block", [], [region], label.results, label=label.name))

    def loop(self, place: _Place, *, is_uniform: bool = False) -> None:
        """A loop with a counter as its first parameter, that ends after a few turns."""
        label = _Label(self.build.new_label(), self.some_types(), (Type.U32, *self.some_types()))
        assert label.again is not None
        parameters = tuple(Value(kind) for kind in label.again)
        starts = [self.const(Type.U32, 0), *self.all(label.again[1:])]
        limit = self.const(Type.U32, self.random.randint(1, 4))
        if not is_uniform:
            limit = self.build.value("rem", self.any(Type.U32), limit)
        is_endless = self.has_traps and self.random.random() < 0.05 and not is_uniform
        region = Region(parameters=parameters)
        with self.inside(region):
            self.define(parameters)
            goes_on = self.const(Type.BOOL, True) if is_endless else self.build.value("lt", parameters[0], limit)
            label.counter = self.build.value("add", parameters[0], self.const(Type.U32, 1))
            self.unless(goes_on, "break", label, label.results)
            if is_uniform:
                # All lanes of a group stay together: what is inside may not leave for this label.
                self.statements(_Place((), None, place.depth + 1), 4)
                self.exchange()
            else:
                self.statements(self.inner(place, label), 6)
            if self.random.random() < 0.1 and not is_uniform and self.leave(self.inner(place, label)):
                pass
            else:
                self.build.end("continue", label.counter, *self.all(label.again[1:]), label=label.name)
        self.define(self.build.branch("loop", starts, [region], label.results, label=label.name))

    def unless(self, stays: Value, name: str, label: _Label, kinds: Iterable[Type], *more: Value) -> None:
        """Let the lanes go to a label for which a condition does not hold."""
        stay, leave = Region(), Region()
        with self.inside(stay):
            self.build.end("yield")
        with self.inside(leave):
            self.build.end(name, *more, *self.all(kinds), label=label.name)
        self.build.branch("if", [stays], [stay, leave])

    def nest(self, place: _Place) -> None:
        """Two loops: lanes go round the outer one from inside the inner one only, one after another, and bring their turn there."""
        u32 = Type.U32
        outer = _Label(self.build.new_label(), (u32,), (u32, u32, *self.some_types()))
        inner = _Label(self.build.new_label(), (), (u32, *self.some_types()))
        assert outer.again is not None and inner.again is not None
        starts = [self.const(u32, 0), self.const(u32, 0), *self.all(outer.again[2:])]
        region = Region(parameters=tuple(Value(kind) for kind in outer.again))
        with self.inside(region):
            self.define(region.parameters)
            number, brought, *_ = region.parameters
            self.unless(self.build.value("lt", number, self.const(u32, 2)), "break", outer, (), brought)
            outer.counter = self.build.value("add", number, self.const(u32, 1))
            self.statements(self.inner(place, outer), 3)
            again = Region(parameters=tuple(Value(kind) for kind in inner.again))
            with self.inside(again):
                self.define(again.parameters)
                turn = again.parameters[0]
                self.unless(self.build.value("lt", turn, self.const(u32, 3)), "break", inner, ())
                inner.counter = self.build.value("add", turn, self.const(u32, 1))
                self.statements(self.inner(place, outer, inner), 3)
                most = self.build.value("rem", self.build.value("global_id"), self.const(u32, 3))
                stays = self.build.value("lt", turn, most)
                self.unless(stays, "continue", outer, outer.again[2:], outer.counter, turn)
                self.build.end("continue", inner.counter, *self.all(inner.again[1:]), label=inner.name)
            self.build.branch("loop", [self.const(u32, 0), *self.all(inner.again[1:])], [again], (), label=inner.name)
            self.build.end("break", self.any(u32), label=outer.name)
        result = self.build.branch("loop", starts, [region], outer.results, label=outer.name)
        self.define(result)
        slots = next(slots for slots in self.outputs if slots.memory.element is u32)
        self.build.store(slots.memory, self.own_index(slots, 1), *result)

    # Groups

    def exchange(self) -> None:
        """Lanes of a group write, wait, read each other's, and wait again; in uniform control flow."""
        self.line += 1
        self.build.line = self.line
        self.build.bounds = Bounds.TRAP
        local = self.build.value("local_id")
        for memory in self.shared:
            self.build.bounds = self.bounds()
            self.build.store(memory, self.as_index(local), self.any(memory.element))
        for memory, word in self.shared_atomic:
            self.sum_atomic(memory, word)
        self.build.barrier()
        for memory in self.shared + [memory for memory, _ in self.shared_atomic]:
            self.add(self.build.load(memory, self.index(memory, 1)))
        self.build.barrier()

    def uniform_condition(self) -> Value:
        first = self.random.choice(("group_id", "group_size", "group_count", "lane_count"))
        return self.build.value("lt", self.build.value(first), self.const(Type.U32, self.random.randint(0, 3)))

    def segment(self) -> None:
        """Statements, then an exchange: plain, in a uniform branch, in a block that lanes leave after it, or in a uniform loop."""
        self.statements(_Place(), 8)
        way = self.random.random()
        if way < 0.25:
            self.exchange()
        elif way < 0.5:
            self.block(_Place(), has_exchange=True)
        elif way < 0.75:
            regions = []
            condition = self.uniform_condition()
            for has_exchange in (True, False):
                region = Region()
                with self.inside(region):
                    self.statements(_Place((), None, 1), 3)
                    if has_exchange:
                        self.exchange()
                    self.build.end("yield")
                regions.append(region)
            self.build.branch("if", [condition], regions)
        else:
            self.loop(_Place(), is_uniform=True)

    # Units

    def start(self, parameters: Sequence[Value]) -> Region:
        body = Region()
        self.build = Builder(body)
        self.pool = [{}]
        self.define(parameters)
        for name in ("global_id", "local_id", "group_id"):
            self.add(self.build.value(name))
        self.build.line = self.line
        return body

    def function(self, number: int) -> Function:
        parameters = tuple(
            Value(self.random.choice(self.kinds), f"p{place}") for place in range(self.random.randint(0, 3))
        )
        results = self.some_types()
        body = self.start(parameters)
        self.statements(_Place((), results), 6)
        self.build.end("return", *self.all(results))
        memories = tuple({op.memory: None for op in walk(body) if op.memory})
        return Function(f"f{number}", parameters, results, memories, body)

    def case(self) -> Case:
        if self.options.functions:
            for number in range(self.random.choice((0, 0, 1, 2, 3))):
                made = self.function(number)
                self.local_functions.append(made)
                self.module.functions[made.name] = made
        kinds = [self.random.choice(self.kinds) for _ in range(self.random.randint(0, 3))]
        parameters = tuple(Value(kind, f"s{place}") for place, kind in enumerate(kinds))
        body = self.start(parameters)
        if self.options.barriers:
            for _ in range(self.random.choice((0, 0, 1, 2))):
                self.segment()
        while self.left > 0:
            self.statement(_Place((), ()))
        # What was computed is seen: the newest values go to the lane's first slots.
        for slots in self.outputs:
            self.build.bounds = Bounds.TRAP
            index = self.build.value("mul", self.build.value("global_id"), self.const(Type.U32, slots.count))
            self.build.store(slots.memory, index, self.any(slots.memory.element))
        self.build.end("return")
        self.module.kernels["main"] = Kernel("main", parameters, tuple(self.lengths), body, self.group)
        return Case(self.seed, verify(self.module), self.launch(parameters))

    # Launches

    def launch(self, parameters: Sequence[Value]) -> Launch:
        buffers = {memory.name: self.array(memory) for memory in self.lengths if memory.space is Space.BUFFER}
        scalars = {value.name: self.literal(value.type) for value in parameters}
        fuel = self.random.choice((0, 3, 10, 60)) if self.has_traps else 5_000
        hosts = {f"same_{kind.value}": _same for kind in self.kinds}
        return Launch(self.lanes, self.group, scalars, buffers, fuel, host_functions=hosts)

    def array(self, memory: Memory) -> np.ndarray:
        count, kind = self.lengths[memory], memory.element
        if kind.is_integer and self.random.random() < 0.5:
            raw = self.random.randbytes(count * kind.bytes)
            return np.frombuffer(raw, kind.dtype).copy()
        return np.array([self.literal(kind) for _ in range(count)], kind.dtype)


def _same(lane: int, value: int | float | bool) -> list[int | float | bool]:
    del lane
    return [value]


def random_case(seed: int, options: Options = Options()) -> Case:
    """The program and launch of a seed: the same ones each time."""
    return _Generator(seed, options).case()


# Comparing

Make = Callable[[Module, str], Executable]
"""What compiles a kernel of a module: an executable's class, or a function."""


def copy_of(launch: Launch) -> Launch:
    """The launch with buffers of its own."""
    return replace(launch, buffers={name: array.copy() for name, array in launch.buffers.items()})


def assert_same_arrays(found: np.ndarray, wanted: np.ndarray, name: str = "") -> None:
    """The same bits; any NaN is every NaN."""
    assert found.dtype == wanted.dtype and found.shape == wanted.shape, f"{name}: {found.dtype} {found.shape}"
    differ = found.view(np.uint8).reshape(len(found), -1) != wanted.view(np.uint8).reshape(len(wanted), -1)
    where = np.flatnonzero(differ.any(axis=1)) if len(found) else np.zeros(0, int)
    if found.dtype.kind == "f":
        where = where[~(np.isnan(found[where]) & np.isnan(wanted[where]))]
    if len(where):
        at = int(where[0])
        raise AssertionError(
            f"{name}[{at}] is {found[at]!r}, not {wanted[at]!r}; {len(where)} of {len(found)} elements differ"
        )


def assert_same_outcome(found: Outcome, wanted: Outcome) -> None:
    """The same trap, as many of them, the same lines printed."""
    assert found.trap == wanted.trap, f"trap {found.trap}, not {wanted.trap}"
    assert found.traps == wanted.traps, f"{found.traps} lanes trapped, not {wanted.traps}"
    assert list(found.printed) == list(wanted.printed), f"printed {found.printed}, not {wanted.printed}"


@dataclass(frozen=True)
class Answer:
    """What the reference makes of a launch: the arrays afterwards, and the outcome."""

    buffers: Mapping[str, np.ndarray]
    outcome: Outcome


def answer(module: Module, launch: Launch, kernel: str = "main") -> Answer:
    """The reference's answer to a launch, whose own arrays stay as they are."""
    check(module.kernels[kernel], launch)
    own = copy_of(launch)
    outcome = Executor(module, kernel).run(own)
    return Answer(own.buffers, outcome)


def assert_gives(executable: Executable, launch: Launch, wanted: Answer) -> Outcome:
    """Run a candidate on a copy of a launch and assert that it gives the reference's answer; gives the candidate's outcome."""
    own = copy_of(launch)
    found = executable.run(own)
    for name, array in wanted.buffers.items():
        assert_same_arrays(own.buffers[name], array, name)
    assert_same_outcome(found, wanted.outcome)
    return found


def compare(make: Make, module: Module, launch: Launch, kernel: str = "main") -> Outcome:
    """Run the reference and a candidate on copies of a launch and assert that they agree; gives the candidate's outcome."""
    wanted = answer(module, launch, kernel)
    return assert_gives(make(module, kernel), launch, wanted)


def check_seeds(make: Make, seeds: Iterable[int], options: Options = Options(), *, shrink: bool = True) -> None:
    """Compare a back end with the reference on the program of each seed; the error shows the smallest program that still fails."""
    for seed in seeds:
        case = random_case(seed, options)
        try:
            compare(make, case.module, case.launch)
        except Exception as error:
            kind = type(error)
            smaller = reduced(case, lambda each, kind=kind: fails_alike(make, each, kind)) if shrink else case
            raise AssertionError(f"{reason_of(make, smaller)}\n{smaller.text}") from error


def reason_of(make: Make, case: Case) -> str:
    """What goes wrong with a case."""
    try:
        compare(make, case.module, case.launch)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "agrees, sometimes"


def fails_alike(make: Make, case: Case, kind: type[Exception]) -> bool:
    """Whether a case fails with an error of the same class."""
    try:
        compare(make, case.module, case.launch)
    except kind:
        return True
    except Exception:
        return False
    return False


def reduced(case: Case, is_bad: Callable[[Case], bool], most_s: float = 30) -> Case:
    """The case without operations and lanes that `is_bad` does not need; tries changes for so many seconds."""
    end = time.monotonic() + most_s
    is_smaller = True
    while is_smaller and time.monotonic() < end:
        is_smaller = False
        for smaller in _smaller(case):
            if time.monotonic() > end:
                break
            try:
                verify(smaller.module)
                if is_bad(smaller):
                    case, is_smaller = smaller, True
                    break
            except IrError:
                continue
    return case


def _smaller(case: Case) -> Iterator[Case]:
    if case.launch.fuel > 100:  # what lost the end of its loop ends soon
        yield replace(case, launch=replace(case.launch, fuel=100))
    for lanes in (1, 2, case.launch.lanes // 2):
        if 0 < lanes < case.launch.lanes:
            yield replace(case, launch=replace(case.launch, lanes=lanes))
    for name in [*case.module.functions, *case.module.kernels]:
        count = sum(1 for _ in walk(_unit(case.module, name).body))
        step = count
        while step >= 1:
            for start in range(0, count, step):
                made = copy.deepcopy(case.module)
                if _cut(made, name, start, start + step):
                    yield _tidy(replace(case, module=made))
            step //= 2


def _unit(module: Module, name: str) -> Kernel | Function:
    return module.kernels.get(name) or module.functions[name]


def _cut(module: Module, name: str, start: int, stop: int) -> bool:
    """Take out the operations of these numbers; what used their results gets literals instead. Whether anything went."""
    body = _unit(module, name).body
    doomed = {op for op in list(walk(body))[start:stop] if op.name not in TERMINATORS and op.name != "const"}
    for region in _regions(body):
        kept: list[Op] = []
        for op in region.operations:
            if op in doomed:
                kept += [Op("const", (), (value,), literal=value.type.dtype.type(0).item()) for value in op.results]
            else:
                kept.append(op)
        region.operations = kept
    return bool(doomed)


def _regions(body: Region) -> Iterator[Region]:
    yield body
    for op in walk(body):
        yield from op.regions


def _tidy(case: Case) -> Case:
    """The case without values, functions and memory that nothing uses; changes the module."""
    module = case.module
    for unit in [*module.functions.values(), *module.kernels.values()]:
        is_smaller = True
        while is_smaller:
            used = {operand for op in walk(unit.body) for operand in op.operands}
            is_smaller = False
            for region in _regions(unit.body):
                kept = [op for op in region.operations if not _is_idle(op, used)]
                is_smaller |= len(kept) < len(region.operations)
                region.operations = kept
    called = {op.text for unit in (*module.functions.values(), *module.kernels.values()) for op in walk(unit.body)}
    module.functions = {name: function for name, function in module.functions.items() if name in called}
    kernel = module.kernels[case.kernel]
    touched = {op.memory for unit in (*module.functions.values(), kernel) for op in walk(unit.body)}
    touched |= {memory for function in module.functions.values() for memory in function.memories}
    kernel.memories = tuple(memory for memory in kernel.memories if memory in touched)
    buffers = {memory.name: case.launch.buffers[memory.name] for memory in kernel.buffers}
    return replace(case, launch=replace(case.launch, buffers=buffers))


def _is_idle(op: Op, used: set[Value]) -> bool:
    return OPERATIONS[op.name].effect in ("value", "id") and not used.intersection(op.results)
