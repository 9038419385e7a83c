"""Inputs with which a learned loop goes round some times: made from its streams and its trip count, for measurements.

Registers that its addresses follow get memory, counters start so that they end where they should, what goes from round to round is random.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..backends.launch import Array
from ..errors import UsageError
from ..frontends.x86 import LiftedLoop
from ..frontends.x86.registers import CELLS
from ..ir.model import Value
from .affine import Form, Forms, signed
from .classify import Stream, Trips, classify, register_of

FILLS = (None, 0x41, 0x42)
"""What memory is full of, by turns: random bytes, or one that may be what a search looks for."""
_ROOM = 64
"""Bytes around what is accessed."""
_TABLE_BYTES = 4096
"""Of memory that is read where data say."""
_MOST_BYTES = 1 << 26
"""Of the slices of all lanes behind one register."""


@dataclass(frozen=True)
class Inputs:
    """What goes into a run: `slices` of each lane as rows, `tables` for all lanes, registers, and how many rounds are to be done.

    `ends` are registers that hold an address in the memory of another one.
    """

    slices: Mapping[str, Array]
    tables: Mapping[str, Array]
    registers: Mapping[str, int | Array]
    rounds: int
    lanes: int
    word_bytes: int
    ends: Mapping[str, str]


def inputs_for(
    lifted: LiftedLoop, lanes: int, rounds: int, fill: int | None = None, shared: Collection[str] = ()
) -> Inputs:
    """Inputs for so many lanes and rounds; memory is random, or full of `fill`, and one for all lanes where a register of `shared` points to it.

    `UsageError` where it is not seen what they are.
    """
    return _Maker(lifted, rounds, shared).make(lanes, fill)


def readable(lifted: LiftedLoop) -> list[str]:
    """Registers whose memory is read at known places and not written, where there are several: all lanes may have the same there."""
    accesses = _Maker(lifted, 1, ()).accesses
    others = {each.pointer for each in accesses if each.stream.is_store or each.is_table}
    found = sorted({each.pointer for each in accesses} - others)
    return found if len(found) > 1 else []


@dataclass
class _Access:
    pointer: str
    rest: Form
    stream: Stream
    is_table: bool


class _Maker:
    def __init__(self, lifted: LiftedLoop, rounds: int, shared: Collection[str]) -> None:
        self.lifted, self.rounds, self.shared = lifted, rounds, shared
        self.found = classify(lifted)
        if self.found.has_inner:
            raise UsageError("it has loops inside")
        self.function = lifted.module.functions["loop"]
        self.forms = Forms(self.function, dict.fromkeys(self.found.assumed, 0))
        self.starts = dict(zip(self.forms.loop.regions[0].parameters, self.forms.loop.operands, strict=True))
        self.steps = {each.register: each.step for each in self.found.inductions}
        self.known: dict[str, int] = {}
        self.ends: dict[str, str] = {}
        self.accesses = list(self._accesses())

    def _accesses(self) -> Iterator[_Access]:
        for op in self.forms.guards:
            if op.memory is None or op.memory.name != "memory":
                continue
            form = self.forms.of[op.operands[0]].plus(Form({self.function.parameters[0]: 1}, 0, 64), -1)
            single = [term for term, factor in form.terms.items() if factor == 1 and self.name_of(term)]
            single.sort(key=lambda term: self.name_of(term) in self.steps)
            if not single:
                raise UsageError(f"line {op.line}: an address follows from no register")
            pointer = self.name_of(single[0])
            rest = form.plus(Form({single[0]: 1}, 0, 64), -1)
            others = {self.name_of(term) for term in rest.terms}
            step = self._step(form)
            stream = Stream("", step, op.moved.bytes, op.name == "store", False, False, None, 0)
            yield _Access(pointer, rest, stream, "" in others or step is None)

    def name_of(self, term: Value | Form) -> str:
        """The register that a term is at the head, if it is one."""
        start = self.starts.get(term, term) if isinstance(term, Value) else None
        return register_of(start) if start in self.function.parameters and isinstance(start, Value) else ""

    def _step(self, form: Form) -> int | None:
        total = 0
        for term, factor in form.terms.items():
            name = self.name_of(term)
            if not name or (term in self.starts and name not in self.steps and self._moves(name)):
                return None
            total += signed(factor, 64) * self.steps.get(name, 0)
        return total

    def _moves(self, name: str) -> bool:
        return any(each.register == name for each in self.found.recurrences)

    def make(self, lanes: int, fill: int | None) -> Inputs:
        pointers = {each.pointer for each in self.accesses}
        for trips in self.found.trips:
            names = [self.name_of(term) for term in trips.start.terms]
            if len(names) == 1 and names[0] not in pointers:
                self._solve(trips, names[0])
        chance = np.random.default_rng(0)
        slices, tables = {}, {}
        for name in sorted(pointers):
            own = [each for each in self.accesses if each.pointer == name]
            if name in self.shared or all(each.is_table and not each.stream.is_store for each in own):
                tables[name] = chance.integers(0, 256, _TABLE_BYTES, np.uint8)
                if name in self.shared:
                    self.known[name] = -(min(end for each in own for end in self._ends(each)) // 8 * 8)
                    continue
                self.known[name] = 0
                continue
            ends = [end for each in own for end in self._ends(each)]
            low, high = min(ends), max(ends) + 8
            self.known[name] = -(low // 8 * 8)
            size = (high - low) // 8 * 8 + _ROOM
            if size * lanes > _MOST_BYTES:
                raise UsageError(f"the memory of {name} would have {size} bytes for each lane")
            slices[name] = (
                chance.integers(0, 256, (lanes, size), np.uint8)
                if fill is None
                else np.full((lanes, size), fill, np.uint8)
            )
        for trips in self.found.trips:
            unknown = {self.name_of(term) for term in trips.start.terms} - {*self.known}
            if len(unknown) == 1 and "" not in unknown:
                self._solve(trips, unknown.pop())
        moving = {self.name_of(each.value) for each in self.found.recurrences} | {
            self.name_of(value) for value in self.starts if self.name_of(value)
        }
        registers: dict[str, int | Array] = dict(self.known)
        for name in self.lifted.live_in:
            if name in registers or CELLS[name].is_flag:
                continue
            registers[name] = chance.integers(0, 1 << 32, lanes, np.uint32) if name in moving else 0x41
        words = {8 if each.stream.width == 8 else 4 for each in self.accesses}
        return Inputs(slices, tables, registers, self.rounds, lanes, min(words, default=4), self.ends)

    def _solve(self, trips: Trips, name: str) -> None:
        """Choose a register so that a counter reaches its end after the rounds."""
        if name in self.known:
            return
        total, own = trips.start.constant, 0
        for term, factor in trips.start.terms.items():
            if self.name_of(term) == name:
                own = signed(factor, trips.bits)
            else:
                total += factor * self.known.get(self.name_of(term), 0)
        if abs(own) != 1:
            return
        self.known[name] = signed((-self.rounds * trips.step - total) * own, trips.bits)
        others = {self.name_of(term) for term in trips.start.terms} & {each.pointer for each in self.accesses}
        self.ends |= dict.fromkeys([name], *others) if len(others) == 1 else {}
        if trips.bits < 64:
            self.known[name] %= 1 << trips.bits

    def _ends(self, access: _Access) -> tuple[int, int]:
        """Where the pointer's memory is accessed in the first and in the last round."""
        total = access.rest.constant
        for term, factor in access.rest.terms.items():
            total += factor * self.known.setdefault(self.name_of(term) or "data", 0)
        self.known.pop("data", None)
        first = signed(total, 64)
        return first, first + (access.stream.stride or 0) * self.rounds
