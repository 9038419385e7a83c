"""Instructions on memories, tables and globals: each lane's own stretch of a buffer, every access checked against its size.

An index is a `u32`: no buffer has more than 2³¹ elements. What lies outside of a lane's stretch gets the index `OUTSIDE`, which lies
outside of every buffer, so that the check of the access itself ends the lane; that costs no branch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ...ir.model import Bounds, Memory, Value
from ...ir.types import Type
from .module import PAGE_BYTES
from .numeric import TYPES, Numeric
from .opcodes import Opcode, ValueType
from .state import Area, State

_T = TypeVar("_T")
OUTSIDE = 0xFFFFFFFF
OUT_OF_MEMORY = "out of bounds memory access"
OUT_OF_TABLE = "out of bounds table access"
UNDEFINED = "undefined element"
UNINITIALIZED = "uninitialized element"


@dataclass(frozen=True)
class _Stretch:
    """Elements that a bulk instruction moves: `at` of them is `base` plus a number below `size`."""

    buffer: Memory
    base: Value
    size: Value


class Areas:
    """Appends instructions on the state of a lane."""

    def __init__(self, numeric: Numeric, state: State) -> None:
        self.numeric, self.build, self.state = numeric, numeric.build, state
        self.known_lane: Value | None = None
        """The lane's number, where code around has it."""
        self.known_bases: dict[Memory, Value] = {}
        """Where stretches begin, where code around has it."""
        self.is_wide = False
        """Whether an access is checked here alone, and its index has 64 bits: what suits code for one lane after another."""
        self.known_size: Callable[[], Value] | None = None
        """The bytes of the memory, where nothing here changes them."""

    def const(self, number: int) -> Value:
        """A `u32`."""
        return self.build.const(Type.U32, number)

    def lane(self) -> Value:
        """The lane's number."""
        return self.known_lane or self.build.value("global_id")

    def base(self, area: Area) -> Value:
        """Where the lane's stretch begins."""
        if area.is_shared:
            return self.const(0)
        return self.known_bases.get(area.buffer) or self.build.value("mul", self.lane(), self.const(area.stride))

    def size(self, area: Area) -> Value:
        """Elements of the lane's stretch that are there now."""
        unit = PAGE_BYTES if area is self.state.memory else 1
        if area.sizes is None:
            return self.const(area.minimum * unit)
        if self.known_size and area is self.state.memory:
            return self.known_size()
        count = self.unsigned(self.build.load(area.sizes, self.lane()))
        return self.build.value("mul", count, self.const(unit)) if unit > 1 else count

    def unsigned(self, value: Value) -> Value:
        """An index or a count."""
        return self.numeric.bits(value, Type.U32)

    def place(self, area: Area, at: Value, offset: int, width: int) -> Value:
        """The index of `width` elements at `at` plus `offset` of the lane's stretch, or `OUTSIDE`."""
        build, at = self.build, self.unsigned(at)
        past = offset + width
        if area.sizes is None:
            size = area.minimum * (PAGE_BYTES if area is self.state.memory else 1)
            if past > size:
                return self.const(OUTSIDE)
            inside = build.value("le", at, self.const(size - past))
        else:
            if past > area.stride:
                return self.const(OUTSIDE)
            held = self.size(area)
            inside = build.value("le", at, build.value("sub", held, self.const(past)))
            # A memory or table never shrinks.
            if past > area.minimum * (PAGE_BYTES if area is self.state.memory else 1):
                inside = build.value("and", build.value("ge", held, self.const(past)), inside)
        index = build.value("add", self.base(area), at)
        if offset:
            index = build.value("add", index, self.const(offset))
        return build.value("select", inside, index, self.const(OUTSIDE))

    @property
    def memory(self) -> Area:
        """The module's memory."""
        assert self.state.memory
        return self.state.memory

    def load(self, op: Opcode, offset: int, at: Value) -> Value:
        """A load of the memory; narrow ones are extended as their name says."""
        wanted = TYPES[op.results[0]]
        bits = op.access_bytes * 8
        stored = wanted if bits == wanted.bits else Type(f"{'i' if op.name.endswith('_s') else 'u'}{bits}")
        found = self.access(
            at, offset, op.access_bytes, lambda place: self.build.load(self.memory.buffer, place, stored)
        )
        if stored is wanted:
            return found
        wide = wanted if stored.is_signed else wanted.unsigned
        return self.numeric.bits(self.numeric.converted(found, wide), wanted)

    def store(self, op: Opcode, offset: int, at: Value, value: Value) -> None:
        """A store into the memory; narrow ones take the lowest bits."""
        bits = op.access_bytes * 8
        stored = value if bits == value.type.bits else self.numeric.converted(value, Type(f"i{bits}"))
        self.access(at, offset, op.access_bytes, lambda place: self.build.store(self.memory.buffer, place, stored))

    def access(self, at: Value, offset: int, width: int, what: Callable[[Value], _T]) -> _T:
        """Append an access of `width` bytes of the memory."""
        build, area = self.build, self.memory
        if not self.is_wide:
            return what(self.place(area, at, offset, width))
        place = build.value("convert", self.unsigned(at), type=Type.U64)
        if offset:
            place = build.value("add", place, build.const(Type.U64, offset))
        least = area.minimum * PAGE_BYTES
        if area.sizes is None and width > least:
            self.numeric.demand(build.const(Type.BOOL, False), OUT_OF_MEMORY)
        size = build.value("convert", self.size(area), type=Type.U64)
        if least:
            # A memory never shrinks, so that nothing is below 0 here.
            last = build.value("sub", size, build.const(Type.U64, width))
            inside = build.value("le", place, last)
        else:
            inside = build.value("le", build.value("add", place, build.const(Type.U64, width)), size)
        self.numeric.demand(inside, OUT_OF_MEMORY)
        before, build.bounds = build.bounds, Bounds.PROVED
        found = what(build.value("add", build.value("convert", self.base(area), type=Type.U64), place))
        build.bounds = before
        return found

    def count(self, area: Area) -> Value:
        """``memory.size``, in pages, and ``table.size``."""
        if area.sizes is None:
            return self.build.const(Type.I32, area.minimum)
        return self.build.load(area.sizes, self.lane())

    def grow(self, area: Area, count: Value, value: Value | None = None) -> Value:
        """``memory.grow`` and ``table.grow``: the size before, or -1 where the budget or the limit does not have so much."""
        build = self.build
        assert area.sizes
        most = area.stride // (PAGE_BYTES if area is self.state.memory else 1)
        old = self.unsigned(self.count(area))
        more = self.unsigned(count)
        fits = build.value("le", more, build.value("sub", self.const(most), old))
        new = build.value("select", fits, build.value("add", old, more), old)
        build.store(area.sizes, self.lane(), self.numeric.bits(new, Type.I32))
        if value is not None:
            filled = value
            base = build.value("add", self.base(area), old)
            self._loop(
                build.value("sub", new, old), lambda i: build.store(area.buffer, build.value("add", base, i), filled)
            )
        return build.value("select", fits, self.numeric.bits(old, Type.I32), build.const(Type.I32, -1))

    def _loop(self, count: Value, body: Callable[[Value], None]) -> None:
        build = self.build

        def once(values: tuple[Value, ...]) -> tuple[Value]:
            body(values[0])
            return (build.value("add", values[0], self.const(1)),)

        build.while_(
            [self.const(0)], lambda values: build.value("lt", values[0], count), once, local=1, label=self.label()
        )

    def label(self) -> str:
        """A label of its own."""
        return self.build.new_label("bulk")

    # Bulk instructions

    def stretch(self, area: Area) -> _Stretch:
        """The lane's stretch of a memory or table."""
        return _Stretch(area.buffer, self.base(area), self.size(area))

    def segment(self, what: str, number: int) -> _Stretch:
        """A segment, ``data`` or ``items``, as much as the lane has not dropped."""
        length = self.const(self.state.segment_length(what, number))
        gone = self.state.gone(what, number)
        if gone:
            dropped = self.numeric.condition(self.build.load(gone, self.lane()))
            length = self.build.value("select", dropped, self.const(0), length)
        buffer = self.state.data(number) if what == "data" else self.state.items(number)
        return _Stretch(buffer, self.const(0), length)

    def drop(self, what: str, number: int) -> None:
        """``data.drop`` and ``elem.drop``."""
        gone = self.state.gone(what, number)
        assert gone
        self.build.store(gone, self.lane(), self.build.const(Type.I32, 1))

    def _demand(self, stretch: _Stretch, at: Value, count: Value, reason: str) -> Value:
        """Check that `count` elements at `at` are there; their first index."""
        build = self.build
        fits = build.value("le", count, stretch.size)
        inside = build.value("and", fits, build.value("le", at, build.value("sub", stretch.size, count)))
        self.numeric.demand(inside, reason)
        return build.value("add", stretch.base, at)

    def fill(self, target: _Stretch, operands: Sequence[Value], reason: str) -> None:
        """``memory.fill`` and ``table.fill``."""
        at, value, count = self.unsigned(operands[0]), operands[1], self.unsigned(operands[2])
        first = self._demand(target, at, count, reason)
        filled = self.numeric.converted(value, target.buffer.element)
        self._loop(count, lambda i: self.build.store(target.buffer, self.build.value("add", first, i), filled))

    def copy(self, target: _Stretch, source: _Stretch, operands: Sequence[Value], reason: str) -> None:
        """``memory.copy``, ``memory.init`` and those of tables: as if all was read before anything is written."""
        build = self.build
        to, at, count = map(self.unsigned, operands)
        read = self._demand(source, at, count, reason)
        write = self._demand(target, to, count, reason)
        # From the end on where the target begins inside the source.
        is_backward = build.value("gt", write, read)
        last = build.value("sub", count, self.const(1))

        def move(i: Value) -> None:
            place = build.value("select", is_backward, build.value("sub", last, i), i)
            value = build.load(source.buffer, build.value("add", read, place))
            build.store(target.buffer, build.value("add", write, place), value)

        self._loop(count, move)

    # Globals and tables

    def global_get(self, number: int) -> Value:
        """The value of a global; one that never changes is a constant."""
        held = self.state.globals[number]
        if held:
            return self.build.load(held, self.lane())
        kind: ValueType = self.state.module.globals[number].type
        return self.numeric.const(TYPES[kind], self.state.start_globals[number])

    def global_set(self, number: int, value: Value) -> None:
        """Set a global."""
        held = self.state.globals[number]
        assert held
        self.build.store(held, self.lane(), value)

    def table_get(self, number: int, at: Value) -> Value:
        """``table.get``."""
        area = self.state.tables[number]
        return self.build.load(area.buffer, self.place(area, at, 0, 1))

    def table_set(self, number: int, at: Value, value: Value) -> None:
        """``table.set``."""
        area = self.state.tables[number]
        self.build.store(area.buffer, self.place(area, at, 0, 1), value)

    def callee(self, number: int, at: Value) -> Value:
        """The function that ``call_indirect`` finds in a table, or -1; outside of the table the lane ends."""
        area = self.state.tables[number]
        self.numeric.demand(self.build.value("lt", self.unsigned(at), self.size(area)), UNDEFINED)
        return self.build.load(area.buffer, self.build.value("add", self.base(area), self.unsigned(at)))
