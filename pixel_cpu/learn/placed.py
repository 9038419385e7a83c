"""A learned loop as a kernel whose lanes have memory of their own: each access goes to the memory that one register points to.

What a register points to is followed through sums, so that the address of an access is an offset in one memory. Registers whose upper half is
zero are kept in 32 bits, flags are left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import UsageError
from ..frontends.x86 import LiftedLoop
from ..frontends.x86.emitter import Emitter
from ..frontends.x86.registers import CELLS
from ..ir.builder import Builder
from ..ir.model import Function, Kernel, Memory, Module, Op, Space, Value, walk
from ..ir.model import Region as Body
from ..ir.types import Type
from ..ir.verifier import verify
from ..passes.dead import remove_dead
from .clean import clean
from .narrow import narrowed, with_short_results
from .pointers import find_pointers

TILE = 64
"""Lanes whose slices are interleaved: a group."""
_WORDS = {1: Type.U8, 4: Type.U32, 8: Type.U64}


@dataclass(frozen=True)
class Region:
    """Memory of which each lane has its own slice, interleaved by words of so many bytes."""

    word_bytes: int


@dataclass(frozen=True)
class Shared:
    """Memory that all lanes read."""


def kernel_of(
    lifted: LiftedLoop,
    regions: Mapping[str, Region | Shared],
    rows: Sequence[str],
    narrow: Collection[str],
    tile: int = TILE,
) -> Module:
    """A module with the kernel ``batch``.

    `rows` are the registers that stand in the rows of ``@given``; the others are scalars ``NAME_register``. Of what `narrow` names the upper half is zero. It writes the rounds, the next instruction and the registers that come out into
    the rows of ``@state``. A memory is ``@NAME_memory`` with ``NAME_bytes`` for each lane. Raises `UsageError` for an address of no memory.
    """
    function = lifted.module.functions["loop"]
    outputs = [place for place, name in enumerate(lifted.live_out) if not CELLS[name].is_flag]
    function = _with_results(function, (0, 1, *(2 + place for place in outputs)))
    cleaned, _ = clean(narrowed(function, narrow))
    placed = _Placer(with_short_results(cleaned), regions, tile).run()
    placed = replace(placed, body=remove_dead(placed.body))
    body = Body()
    build = Builder(body)
    own = {v.name: Value(v.type, v.name) for v in placed.parameters if v.name not in lifted.live_in}
    own["shift"] = build.const(Type.U64, 0)
    scalars = [value for name, value in own.items() if name != "shift"]
    before, state = Memory("given", Space.BUFFER, Type.U64, None, False), Memory("state", Space.BUFFER, Type.U64)
    lane, count = build.value("global_id"), build.value("lane_count")

    def row(place: int) -> Value:
        return build.value("add", build.value("mul", count, build.const(Type.U32, place)), lane)

    arguments = []
    for value in placed.parameters:
        if value.name in rows:
            given = build.load(before, row(rows.index(value.name)))
        elif value.name in lifted.live_in:
            given = Value(Type.U64, f"{value.name}_register")
            scalars.append(given)
        else:
            given = own[value.name]
        arguments.append(given if given.type is value.type else build.value("convert", given, type=value.type))
    for place, value in enumerate(build.call("loop", arguments, placed.results)):
        wide = value if value.type is Type.U64 else build.value("convert", value, type=Type.U64)
        build.store(state, row(place), wide)
    build.end("return")
    kernel = Kernel("batch", tuple(scalars), (*placed.memories, *([before] if rows else []), state), body, tile)
    return verify(Module({"batch": kernel}, {"loop": placed}, lifted.module.source))


def _with_results(function: Function, places: Sequence[int]) -> Function:
    """The function with these of its results."""

    def region(body: Body) -> Body:
        return Body([op(each) for each in body.operations], body.parameters)

    def op(each: Op) -> Op:
        if each.name == "return":
            return replace(each, operands=tuple(each.operands[place] for place in places))
        return replace(each, regions=tuple(map(region, each.regions))) if each.regions else each

    return replace(function, results=tuple(function.results[place] for place in places), body=region(function.body))


class _Placer:
    """Copies a function; accesses go to the memory that their address points to."""

    def __init__(self, function: Function, regions: Mapping[str, Region | Shared], tile: int) -> None:
        self.function, self.regions, self.tile = function, regions, tile
        self.pointers = find_pointers(function, regions)
        self.made = {op.results[0]: op for op in walk(function.body) if len(op.results) == 1}
        self.sizes = {name: Value(Type.U64, f"{name}_bytes") for name in regions}
        self.body = Body()
        self.emit = Emitter(self.body)
        widths: dict[str, set[int]] = {}
        written = set[str]()
        for op in (each for each in walk(function.body) if each.is_access):
            name = self.owner(op)
            widths.setdefault(name, set()).add(op.moved.bytes)
            if op.name == "store":
                written.add(name)
        for name in written:
            if isinstance(regions[name], Shared):
                raise UsageError(f"the loop writes to the memory of {name}: give each lane its own, as `Slices`")
        self.memories = {
            name: Memory(f"{name}_memory", Space.BUFFER, _element(each, widths[name]), None, name in written)
            for name, each in regions.items()
            if name in widths
        }

    def run(self) -> Function:
        for op in self.function.body.operations:
            self.op(op)
        parameters = (*self.function.parameters, *(self.sizes[name] for name in self.memories))
        return replace(self.function, parameters=parameters, memories=tuple(self.memories.values()), body=self.body)

    def owner(self, op: Op) -> str:
        """The register that points to what is accessed."""
        found = self.pointers[op.operands[0]]
        if len(found) != 1:
            said = f"from {' and '.join(sorted(found))}" if found else "from no register that points to memory"
            raise UsageError(
                f"line {op.line}: an address follows {said}; `memory` has to name its pointer, and no other"
            )
        return next(iter(found))

    def region(self, region: Body) -> Body:
        made = Body(parameters=region.parameters)
        with self.emit.inside(made):
            for op in region.operations:
                self.op(op)
        return made

    def op(self, op: Op) -> None:
        self.emit.build.line = op.line
        rotated = self.rotated(op)
        if op.is_access:
            self.access(op)
        elif rotated is not None:
            self.emit.build.append(Op("rotl", rotated, op.results))
        else:
            self.emit.build.append(replace(op, regions=tuple(map(self.region, op.regions))))

    def rotated(self, op: Op) -> tuple[Value, Value] | None:
        """Of two shifts that are a rotation, the value and how far to the left."""
        if op.name != "or" or op.result.type not in (Type.U32, Type.U64):
            return None
        one, other = (self.made.get(value) for value in op.operands)
        if (
            one is None
            or other is None
            or {one.name, other.name} != {"shl", "shr"}
            or one.operands[0] is not other.operands[0]
        ):
            return None
        left, right = (one, other) if one.name == "shl" else (other, one)
        counts = [
            self.made[each.operands[1]].literal if each.operands[1] in self.made else None for each in (left, right)
        ]
        if None in counts or sum(int(count or 0) for count in counts) != op.result.type.bits:
            return None
        value, count = left.operands
        return value, count

    # --- accesses -------------------------------------------------------------------------------------------

    def access(self, op: Op) -> None:
        name, emit = self.owner(op), self.emit
        memory, address = self.memories[name], op.operands[0]
        size, whole = self.sizes[name], self.whole(op)
        # Low bits that must be zero are the highest ones of the number of the unit, which is then out of bounds.
        turn = emit.const(Type.U64, 64 - (whole.bit_length() - 1))
        unit = address if whole == 1 else emit.build.value("rotl", address, turn)
        last = emit.op("sub", size, emit.const(Type.U64, op.moved.bytes))
        units = emit.op("shr", last, emit.const(Type.U64, whole.bit_length() - 1))
        outside = emit.op("or", emit.op("gt", unit, units), emit.op("lt", size, emit.const(Type.U64, op.moved.bytes)))
        self.trap(outside, f"outside of the memory of {name}, or over the end of a word")
        if isinstance(self.regions[name], Shared):
            shift = emit.const(Type.U64, memory.element.bytes.bit_length() - 1)
            index = emit.convert(emit.op("shr", address, shift), Type.U32)
            emit.build.append(replace(op, operands=(index,), memory=memory))
        elif op.name == "load":
            self.load(op, memory, address)
        else:
            self.store(op, memory, address)

    def whole(self, op: Op) -> int:
        """What the address of an access is a multiple of."""
        return min(self.memories[self.owner(op)].element.bytes, op.moved.bytes)

    def trap(self, condition: Value, reason: str) -> None:
        if self.emit.literal(condition) == 0:
            return
        build, then, otherwise = self.emit.build, Body(), Body()
        with build.inside(then):
            build.append(Op("trap", text=reason))
        with build.inside(otherwise):
            build.end("yield")
        build.branch("if", [condition], [then, otherwise])

    def index(self, name_bytes: Value, memory: Memory, address: Value, number: int) -> Value:
        """Where the word of an address is in the tile of this group, `number` words on."""
        emit, build = self.emit, self.emit.build
        shift = emit.const(Type.U64, memory.element.bytes.bit_length() - 1)
        word = emit.op("add", emit.op("shr", address, shift), emit.const(Type.U64, number))
        words = emit.op("shr", name_bytes, shift)
        group = emit.convert(build.value("group_id"), Type.U64)
        place = emit.op("mul", emit.op("add", emit.op("mul", group, words), word), emit.const(Type.U64, self.tile))
        return emit.op("add", emit.convert(place, Type.U32), build.value("local_id"))

    def load(self, op: Op, memory: Memory, address: Value) -> None:
        emit, kind, word = self.emit, op.moved, memory.element
        size = self.sizes[self.owner(op)]
        parts = [
            emit.build.load(memory, self.index(size, memory, address, number))
            for number in range(max(1, kind.bytes // word.bytes))
        ]
        if kind is word:
            whole = parts[0]
        elif kind.bits < word.bits:
            whole = emit.op("shr", parts[0], self.bits(address, word))
        else:
            wide = [emit.convert(part, kind) for part in parts]
            whole = wide[0]
            for number, part in enumerate(wide[1:], 1):
                count = emit.const(kind.unsigned, number * word.bits)
                whole = emit.op("or", whole, emit.op("shl", part, count))
        # The value keeps its name.
        last = Op("convert", (whole,), op.results) if whole.type is not kind else None
        emit.build.append(last or Op("or", (whole, whole), op.results))

    def store(self, op: Op, memory: Memory, address: Value) -> None:
        emit, kind, word = self.emit, op.moved, memory.element
        value, size = op.operands[1], self.sizes[self.owner(op)]
        if kind.bits < word.bits:
            index, shift = self.index(size, memory, address, 0), self.bits(address, word)
            mask = emit.op("shl", emit.const(word, kind.greatest), shift)
            kept = emit.op("and", emit.build.load(memory, index), emit.op("xor", mask, emit.const(word, word.greatest)))
            emit.build.store(memory, index, emit.op("or", kept, emit.op("shl", emit.convert(value, word), shift)))
            return
        for number in range(kind.bytes // word.bytes):
            part = value if not number else emit.op("shr", value, emit.const(kind, number * word.bits))
            emit.build.store(memory, self.index(size, memory, address, number), emit.convert(part, word))

    def bits(self, address: Value, word: Type) -> Value:
        """How far an address is from the beginning of its word, in bits."""
        emit = self.emit
        inside = emit.op("and", address, emit.const(Type.U64, word.bytes - 1))
        return emit.convert(emit.op("mul", inside, emit.const(Type.U64, 8)), word)


def _element(region: Region | Shared, widths: Collection[int]) -> Type:
    """What the memory is made of: for all lanes the type of its accesses, where it is one."""
    if isinstance(region, Region):
        return _WORDS[region.word_bytes]
    return _WORDS.get(next(iter(widths)), Type.U8) if len(widths) == 1 else Type.U8
