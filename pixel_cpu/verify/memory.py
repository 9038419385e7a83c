"""Memory as a log of guarded writes.

A read walks the log backwards. Two indexes that are the same term plus different constants are different; only where the terms
differ the question whether they are equal becomes part of the formula. Arrays of the solver's own are not used: with a stack frame
in them every question times out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import z3

from ..ir.model import Memory, Op
from ..ir.symbolic import Term, sort
from ..ir.types import Type
from .parity import same_parity
from .world import INDEX_BITS, World, same

Guard = tuple[Term, ...]
"""Conditions that all hold where something happens."""
Split = tuple[Term | None, int, int]
"""An index as a term, a constant, and the bits in which they were added, before they were extended to 64."""


def holds(guard: Guard) -> Term:
    """A guard as one formula."""
    return z3.And(*guard) if guard else z3.BoolVal(True)


@dataclass(frozen=True)
class Write:
    """One element written where `guard` holds."""

    guard: Guard
    index: Term
    value: Term

    @cached_property
    def numbered(self) -> tuple[tuple[int, Term], ...]:
        """The guard's terms with Z3's numbers of them."""
        return tuple((term.get_id(), term) for term in self.guard)

    @cached_property
    def split(self) -> Split:
        """The index as `split_index` has it."""
        return split_index(self.index)


def wide_index(index: Term, kind: Type, offset: int = 0) -> Term:
    """An index of type `kind` plus `offset` in 64 bits.

    The sum is made in the index's own width: inside of a memory, where alone it counts, it does not wrap.
    """
    if offset:
        index = index + z3.BitVecVal(offset, kind.bits)
    index = z3.simplify(index, som=True)
    if kind.bits == INDEX_BITS or z3.is_bv_value(index):
        return z3.simplify(_extended(index, kind.is_signed))
    # Not simplified: Z3 would take the extension apart, and it would not be seen what is extended.
    return _extended(index, kind.is_signed)


def _extended(index: Term, is_signed: bool) -> Term:
    count = INDEX_BITS - index.size()
    return (z3.SignExt if is_signed else z3.ZeroExt)(count, index) if count else index


def differ(a: Term, b: Term) -> bool | None:
    """Whether two indexes differ for all inputs (True), are the same (False), or it depends (None)."""
    return False if a.eq(b) else _differ(split_index(a), split_index(b))


def _differ(a: Split, b: Split) -> bool | None:
    (base, offset, bits), (other, other_offset, other_bits) = a, b
    if base is None and other is None:
        return offset != other_offset
    # Sums of different widths wrap at different places.
    is_comparable = bits == other_bits or 0 in (offset, other_offset)
    if base is not None and other is not None and base.eq(other) and is_comparable:
        return offset != other_offset
    return None


def split_index(index: Term) -> Split:
    """An index in its parts."""
    if z3.is_bv_value(index):
        return None, index.as_long(), INDEX_BITS
    kind = index.decl().kind()
    if kind in (z3.Z3_OP_ZERO_EXT, z3.Z3_OP_SIGN_EXT):
        base, offset, bits = split_index(index.arg(0))
        return (index, 0, bits) if base is None else (_extended(base, kind == z3.Z3_OP_SIGN_EXT), offset, bits)
    if kind == z3.Z3_OP_BADD and z3.is_bv_value(index.arg(0)):
        rest = index.children()[1:]
        return (rest[0] if len(rest) == 1 else z3.simplify(z3.Sum(*rest))), index.arg(0).as_long(), index.size()
    return index, 0, index.size()


@dataclass
class MemoryLog:
    """The writes to one memory object since `segment` began, in order; `owner` names the only kernel that has the object."""

    world: World
    memory: Memory
    segment: str = ""
    owner: str = ""
    writes: list[Write] = field(default_factory=list)

    def read(self, index: Term, guard: Guard) -> Term:
        """The element at a 64-bit index, where `guard` holds."""
        self.world.check_time()
        given = {term.get_id() for term in guard}
        found: list[tuple[Write, Guard, bool]] = []
        value, own = None, split_index(index)
        for write in reversed(self.writes):
            different = False if write.index.eq(index) else _differ(write.split, own)
            if different:
                continue
            rest = tuple(term for number, term in write.numbered if number not in given)
            if different is False and not rest:
                value = write.value
                break
            found.append((write, rest, different is False))
        if value is None:
            value = self.world.cell(self.segment, self.memory, self.owner, index)
        if found and self.world.is_abstract:
            ways = [(write.index, write.value, *rest) for write, rest, _ in found]
            return self.world.any_of((index, value), *ways)
        for write, rest, is_same in reversed(found):
            condition = holds(rest) if is_same else z3.And(*rest, write.index == index)
            value = z3.If(condition, write.value, value)
        return value

    def load(self, op: Op, index: Term, kind: Type, guard: Guard) -> Term:
        """What a load gives at an index of type `kind`, of bytes in little-endian order where it is wide."""
        parts = [self.read(wide_index(index, kind, place), guard) for place in range(op.width)]
        if op.width == 1:
            return parts[0]
        bits = z3.Concat(*reversed(parts))
        return z3.fpBVToFP(bits, sort(op.moved)) if op.moved.is_float else bits

    def store(self, op: Op, index: Term, value: Term, guard: Guard) -> None:
        """Write an element, or the bytes of a wider one."""
        kind = op.operands[0].type
        if op.width == 1:
            self.writes.append(Write(guard, wide_index(index, kind), value))
            return
        bits = z3.fpToIEEEBV(value) if op.moved.is_float else value
        for place in range(op.width):
            part = z3.Extract(8 * place + 7, 8 * place, bits)
            self.writes.append(Write(guard, wide_index(index, kind, place), part))

    def is_same(self, other: MemoryLog) -> bool:
        """Whether both logs begin alike and have the same writes as terms."""
        return self.differing(other) == []

    def differing(self, other: MemoryLog) -> list[Term] | None:
        """Where logs write to the same places, a formula for each write that may be of another value; None where the places differ."""
        if self.segment != other.segment or len(self.writes) != len(other.writes):
            return None
        pairs = list(zip(self.writes, other.writes, strict=True))
        if not all(a.index.eq(b.index) and _terms(a.guard) == _terms(b.guard) for a, b in pairs):
            return None
        return [
            z3.And(*a.guard, z3.Not(same(a.value, b.value)))
            for a, b in pairs
            if not (a.value.eq(b.value) or same_parity(a.value, b.value))
        ]


def _terms(guard: Sequence[Term]) -> set[int]:
    return {term.get_id() for term in guard}
