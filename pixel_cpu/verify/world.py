"""What both kernels of a proof start from: the same variables for inputs, memory, lanes, and the states at loops."""

from __future__ import annotations

import time
from collections.abc import Sequence

import z3

from ..ir.limits import MAX_GROUP, MAX_LANES, MAX_LENGTH
from ..ir.model import Kernel, Memory, Space
from ..ir.symbolic import Term, constant, sort
from ..ir.types import Type

INDEX_BITS = 64
"""Width of an index inside a proof; an index inside of a memory has the same value in all widths."""


def variable(name: str, kind: Type) -> Term:
    """A variable of a type. Every bit of a float is free, so that a model is of bit-vectors and Booleans alone."""
    if kind is Type.BOOL:
        return z3.Bool(name)
    bits = z3.BitVec(name, kind.bits)
    return z3.fpBVToFP(bits, sort(kind)) if kind.is_float else bits


def like(term: Term, name: str) -> Term:
    """A variable of the sort of a term."""
    if z3.is_fp(term):
        return variable(name, Type.F32 if term.sort() == z3.Float32() else Type.F64)
    return z3.Bool(name) if z3.is_bool(term) else z3.BitVec(name, term.size())


def name_of(term: Term) -> str:
    """The name of a `variable`."""
    return str(term.arg(0) if z3.is_fp(term) else term)


def same(a: Term, b: Term) -> Term:
    """Whether two terms are one value: all NaNs are one, the zeros are two."""
    # Operator == of floats would be IEEE's comparison.
    return z3.ExprRef.__eq__(a, b)


class OutOfTimeError(Exception):
    """A proof has taken as much CPU time as it may."""


class World:
    """The variables of a proof, and what always holds between them.

    Attributes:
        facts: formulas that hold in every state.
        ids: ``global_id`` and its kin.
        is_abstract: whether `any_of` stands for a read that may be of several writes.
    """

    def __init__(self, limit_s: float | None = None, is_abstract: bool = False) -> None:
        """`limit_s` is the CPU time after which `check_time` raises."""
        self.is_abstract = is_abstract
        self._any: dict[tuple[tuple[int, ...], ...], tuple[object, Term]] = {}
        self._end_s = None if limit_s is None else time.process_time() + limit_s
        self.facts: list[Term] = []
        self._scalars: dict[str, Term] = {}
        self.ids = {name: z3.BitVec(name, 32) for name in ("global_id", "group_size", "lane_count")}
        lane, size, count = self.ids["global_id"], self.ids["group_size"], self.ids["lane_count"]
        self.ids["local_id"], self.ids["group_id"] = z3.URem(lane, size), z3.UDiv(lane, size)
        self.ids["group_count"] = z3.UDiv(count - 1, size) + 1
        self.facts += [
            z3.ULT(lane, count),
            z3.ULE(count, constant(MAX_LANES, Type.U32)),
            z3.UGE(size, constant(1, Type.U32)),
        ]
        self.facts.append(z3.ULE(size, constant(MAX_GROUP, Type.U32)))
        self._lengths: dict[str, Term] = {}
        self._cells: dict[tuple[str, str], dict[int, tuple[Term, Term]]] = {}

    def check_time(self) -> None:
        """Raise `OutOfTimeError` once the time is up."""
        if self._end_s is not None and time.process_time() > self._end_s:
            raise OutOfTimeError

    def scalar(self, name: str, kind: Type) -> Term:
        """The parameter of that name."""
        return self._scalars.setdefault(name, variable(f"input {name}", kind))

    def length(self, memory: Memory) -> Term:
        """The elements of a memory object, a `u32`."""
        if memory.length is not None:
            return constant(memory.length, Type.U32)
        if memory.name not in self._lengths:
            self._lengths[memory.name] = found = z3.BitVec(f"length {memory.name}", 32)
            self.facts.append(z3.ULE(found, constant(MAX_LENGTH, Type.U32)))
        return self._lengths[memory.name]

    def cell(self, segment: str, memory: Memory, owner: str, index: Term) -> Term:
        """The element at an index as it is when a segment begins: one variable for both kernels, or of the only `owner`."""
        if memory.space is not Space.BUFFER and segment == "":
            return constant(False if memory.element is Type.BOOL else 0, memory.element)
        cells = self._cells.setdefault((segment, owner + memory.name), {})
        found = cells.get(index.get_id())
        if found is None:
            name = f"{segment or 'start'} {owner}{memory.name} {len(cells)}"
            found = cells[index.get_id()] = index, variable(name, memory.element)
        return found[1]

    def any_of(self, start: tuple[Term, Term], *ways: tuple[Term, ...]) -> Term:
        """A variable for an element that is read: `start` is the index and what was there first, `ways` are writes that may be to it.

        It is the same for the same terms, so what both kernels read alike is the same without a look at what it is. What is proved with any values holds
        for the true ones; what is not says nothing.
        """
        key = tuple(tuple(term.get_id() for term in terms) for terms in (start, *ways))
        if key not in self._any:
            # Terms are kept, as the number of one that is gone is used again.
            self._any[key] = (start, ways), like(start[1], f"any {len(self._any)}")
        return self._any[key][1]

    def consistency(self) -> list[Term]:
        """Formulas by which cells with equal indexes have equal values."""
        found = []
        for cells in self._cells.values():
            known = list(cells.values())
            for place, (index, value) in enumerate(known):
                for other_index, other in known[:place]:
                    clash = z3.simplify(index == other_index)
                    if not z3.is_false(clash):
                        found.append(z3.Implies(clash, same(value, other)))
        return found

    def cells(self, segment: str, memory: str) -> Sequence[tuple[Term, Term]]:
        """(index, value) of what was read of a memory object of both kernels as it is when a segment begins."""
        return list(self._cells.get((segment, memory), {}).values())

    def named_inputs(self, kernel: Kernel) -> dict[str, Term]:
        """The scalars by name, the elements of each buffer by ``len NAME``, the lane's ids by name."""
        lengths = {f"len {memory.name}": self.length(memory) for memory in kernel.buffers}
        return {name: self.scalar(name, kind) for name, kind in kernel.scalars.items()} | lengths | self.ids
