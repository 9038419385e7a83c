"""Template *slices*: a checksum by a table, eight bytes at once by a table for each of them.

What eight rounds make of a register and eight bytes is a sum modulo 2 of what each of their bits makes, where the table's entries are such sums
themselves. Which bits make which is found by running the loop; that this is all is proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backends.launch import Array
from ..errors import UsageError
from ..frontends.x86.emitter import Emitter
from ..ir.model import Memory, Op, Space, Value
from ..ir.types import Type
from .affine import Form
from .batch import Batch, Slices
from .candidate import Candidate, Frame, beside
from .classify import register_of
from .loop_library import LearnedLoop
from .rounds import Access

ROUNDS = 8
POLYNOMIALS = {"CRC-32": 0x04C11DB7, "CRC-32C": 0x1EDC6F41}
"""Of checksums whose tables are looked for, the highest power left out."""
_STATE_BYTES = 4


def table_of(polynomial: int, is_reflected: bool) -> list[int]:
    """What a byte makes of a checksum of 32 bits; reflected, the lowest bit goes first."""
    found = []
    reflected = int(f"{polynomial:032b}"[::-1], 2)
    for value in range(256):
        rest = value if is_reflected else value << 24
        for _ in range(8):
            if is_reflected:
                rest = rest >> 1 ^ (reflected if rest & 1 else 0)
            else:
                rest = (rest << 1 ^ (polynomial if rest >> 31 else 0)) & 0xFFFFFFFF
        found.append(rest)
    return found


@dataclass(frozen=True)
class Slicing:
    """A loop's table and what is derived of it: `parts` are the bytes of state and data that are looked up together, with the table of each."""

    frame: Frame
    name: str
    register: str
    lookup: Op
    index: Value
    state: Value
    data: Op
    table: Sequence[int]
    parts: Sequence[tuple[int | None, int | None, Sequence[int]]]

    @property
    def said(self) -> str:
        """What it is, in words."""
        return f"{len(self.parts)} tables of {self.name} for {ROUNDS} bytes at once"

    @property
    def contract(self) -> dict[str, Any]:
        """What must hold where the loop is entered."""
        contents = np.array(self.table, "<u4").tobytes().hex()
        return {"table": self.name, "at": self.register, "bytes": 1024, "contents": contents}

    @property
    def tables(self) -> bytes:
        """The contents of ``@tables``."""
        return np.array([table for _, _, table in self.parts], "<u4").tobytes()

    @property
    def memories(self) -> tuple[Memory, ...]:
        """The buffer of the tables."""
        return (Memory("tables", Space.BUFFER, Type.U32, None, False),)

    def candidate(self, is_proof: bool) -> Candidate:
        """Eight rounds at once. In a proof a look-up is the sum that it stands for; each table is checked to be it, entry by entry."""
        look_up = _sum_of if is_proof else self._loaded

        def block(emit: Emitter, values: Mapping[Value, Value], read: list[Value]) -> tuple[Value, ...]:
            (word,) = read
            state = emit.convert(values[self.state], Type.U32)
            total = emit.const(Type.U32, 0)
            for place, (own, other, table) in enumerate(self.parts):
                parts = []
                if own is not None:
                    parts.append(emit.convert(emit.op("shr", state, emit.const(Type.U32, 8 * own)), Type.U8))
                if other is not None:
                    parts.append(emit.convert(emit.op("shr", word, emit.const(Type.U64, 8 * other)), Type.U8))
                index = parts[0] if len(parts) == 1 else emit.op("xor", *parts)
                total = emit.op("xor", total, look_up(emit, index, place, table))
            after = []
            for value in self.frame.line.parameters:
                if value is self.state:
                    after.append(emit.convert(total, Type.U64))
                elif value in self.frame.steps:
                    step = emit.const(value.type, ROUNDS * self.frame.steps[value])
                    after.append(emit.op("add", values[value], step))
                else:
                    after.append(values[value])  # the last round makes it
            return tuple(after)

        def reference(
            frame: Frame, emit: Emitter, given: Mapping[Value, Value], read: list[Value], left: list[Value]
        ) -> Access:
            others = beside(frame, emit, given, {self.data: read[0]}, left)

            def access(op: Op, values: Mapping[Value, Value], number: int) -> Value | None:
                if op is self.lookup:
                    return _sum_of(emit, values[self.index], 0, self.table)
                return others(op, values, number)

            return access

        return Candidate(ROUNDS, self._guard, self._read, _always, block, reference)

    def _loaded(self, emit: Emitter, index: Value, place: int, table: Sequence[int]) -> Value:
        del table
        at = emit.op("add", emit.convert(index, Type.U32), emit.const(Type.U32, 256 * place))
        return emit.build.load(self.memories[0], at)

    def _place(self, emit: Emitter, values: Mapping[Value, Value]) -> Value:
        return self.frame.address(emit, values, self.data)

    def _guard(self, emit: Emitter, values: Mapping[Value, Value]) -> Value:
        assert self.data.memory is not None
        word = emit.const(Type.U64, ROUNDS)
        length = emit.convert(emit.build.length(self.data.memory), Type.U64)
        last = emit.op("sub", length, word)
        inside = emit.op("and", emit.op("ge", length, word), emit.op("le", self._place(emit, values), last))
        return emit.op("and", self.frame.counts(emit, values, ROUNDS), inside)

    def _read(self, emit: Emitter, values: Mapping[Value, Value]) -> list[Value]:
        assert self.data.memory is not None
        return [emit.build.load(self.data.memory, self._place(emit, values), Type.U64)]


def _always(emit: Emitter, values: Mapping[Value, Value], read: list[Value]) -> Value:
    del values, read
    return emit.const(Type.BOOL, 1)


def _sum_of(emit: Emitter, index: Value, place: int, table: Sequence[int]) -> Value:
    """A look-up as the sum of what each bit of the index makes. Raises `UsageError` for a table that is none."""
    del place
    for value in range(256):
        total = 0
        for bit in range(8):
            total ^= table[1 << bit] if value >> bit & 1 else 0
        if total != table[value]:
            raise UsageError("the entries of the table are no sums of each other")
    found = emit.const(Type.U32, 0)
    for bit in range(8):
        one = emit.op("and", index, emit.const(index.type, 1 << bit))
        is_set = emit.op("ne", one, emit.const(index.type, 0))
        found = emit.op(
            "xor", found, emit.select(is_set, emit.const(Type.U32, table[1 << bit]), emit.const(Type.U32, 0))
        )
    return found


def find_slicing(loop: LearnedLoop, frame: Frame) -> Iterator[Slicing]:
    """The slicings of a loop, one for each polynomial. Raises `UsageError` where the loop is no such checksum."""
    steps = [step for step in frame.line.steps if isinstance(step, Op)]
    loads = [op for op in steps if op.name == "load"]
    if len(loads) != 2 or any(op.name == "store" for op in steps):
        raise UsageError("no checksum: it does not read a byte and an entry")
    data = next((op for op in loads if op.moved is Type.U8 and frame.stride(frame.forms.of[op.operands[0]]) == 1), None)
    lookup = next((op for op in loads if op.moved is Type.U32), None)
    if data is None or lookup is None:
        raise UsageError("no checksum: it does not read a byte and an entry of 32 bits")
    index, register = _index(frame, lookup)
    states = [value for value in frame.line.live if value not in frame.steps]
    if len(states) != 1:
        raise UsageError("no checksum: its rounds pass on several registers")
    shifts = [op for op in steps if op.name == "shl" and frame.forms.of[op.operands[1]].number == 8]
    pointer = _pointer(frame, data)
    for name, polynomial in POLYNOMIALS.items():
        table = table_of(polynomial, is_reflected=not shifts)
        run = _runner(loop, register, pointer, register_of(states[0]), table)
        said = name + (", highest bit first" if shifts else "")
        yield Slicing(frame, said, register, lookup, index, states[0], data, table, _parts(run))


def _index(frame: Frame, lookup: Op) -> tuple[Value, str]:
    """The byte that is looked up, and the register that points to the table."""
    form = frame.forms.of[lookup.operands[0]]
    bytes_ = [term for term, factor in form.terms.items() if isinstance(term, Form) and term.bits == 8 and factor == 4]
    registers = [
        term
        for term, factor in form.terms.items()
        if isinstance(term, Value) and factor == 1 and not frame.forms.sources[term]
    ]
    names = [register_of(value) for value in registers if register_of(value) != "shift"]
    found = [value for value, of in frame.forms.of.items() if bytes_ and of == bytes_[0] and value.type is Type.U8]
    if len(bytes_) != 1 or len(names) != 1 or form.constant or not found:
        raise UsageError("no checksum: an entry is not four bytes at a register and a byte")
    return found[0], names[0]


def _pointer(frame: Frame, data: Op) -> str:
    terms = [term for term in frame.forms.of[data.operands[0]].terms if isinstance(term, Value)]
    names = [register_of(term) for term in terms if term in frame.steps]
    if len(names) != 1:
        raise UsageError("no checksum: no register goes through the bytes")
    return names[0]


def _runner(
    loop: LearnedLoop, register: str, pointer: str, state: str, table: Sequence[int]
) -> Callable[[Sequence[tuple[int, bytes]]], list[int]]:
    """A function that goes `ROUNDS` rounds from a state over some bytes, for each of many."""
    batch = Batch(loop)

    def run(given: Sequence[tuple[int, bytes]]) -> list[int]:
        rows = np.frombuffer(b"".join(data for _, data in given), np.uint8).reshape(len(given), ROUNDS)
        registers: dict[str, Any] = {name: 1 << 20 for name in loop.lifted.live_in}
        registers |= {register: 0, pointer: 0, state: np.array([each for each, _ in given], np.uint64)}
        memory: dict[str, Slices | Array] = {pointer: Slices(rows, 1), register: np.array(table, "<u4").view(np.uint8)}
        found = batch.run(memory, registers, rounds=ROUNDS, device="reference")
        if set(found.rounds.tolist()) != {ROUNDS}:
            raise UsageError("no checksum: data end it")
        return [int(each) for each in found.registers[state]]

    return run


def _parts(run: Callable[[Sequence[tuple[int, bytes]]], list[int]]) -> list[tuple[int | None, int | None, list[int]]]:
    """The tables, those of state and data that are the same together."""
    nothing = bytes(ROUNDS)
    given = [(0, nothing)]
    given += [(1 << bit, nothing) for bit in range(8 * _STATE_BYTES)]
    given += [(0, (1 << bit).to_bytes(ROUNDS, "little")) for bit in range(8 * ROUNDS)]
    zero, *made = run(given)
    if zero:
        raise UsageError("no checksum: nothing makes something")

    def table(first: int) -> list[int]:
        found = [0]
        for bit in range(8):
            found += [value ^ made[first + bit] for value in found]
        return found

    states = {place: table(8 * place) for place in range(_STATE_BYTES)}
    found: list[tuple[int | None, int | None, list[int]]] = []
    for place in range(ROUNDS):
        own = table(8 * (_STATE_BYTES + place))
        same = next((number for number, other in states.items() if other == own), None)
        if same is not None:
            del states[same]
        found.append((same, place, own))
    return found + [(number, None, other) for number, other in states.items()]
