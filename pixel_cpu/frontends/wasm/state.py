"""Where the state of instances lies: one buffer for each part, in which each lane has its own stretch.

A lane's stretch of the memory begins at its number times the bytes of the budget. What is the same in all lanes and never written
(data for ``memory.init``, tables that no code changes) is there once.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from ...errors import WasmError
from ...ir.limits import MAX_LENGTH
from ...ir.model import Memory, Space
from ...ir.types import Type
from .constants import evaluate
from .module import PAGE_BYTES, GlobalType, Import, Kind, Mode, Module
from .numeric import TYPES

DEFAULT_PAGES = 16
"""Pages that a lane's memory may grow to, unless a program states another number."""
DEFAULT_ELEMENTS = 1024
"""Elements that a lane's table may grow to."""
MAX_ELEMENTS = 10_000_000
"""Elements of the largest table, which a lane may have for itself."""
DEFAULT_STACK = 32 << 10
"""Bytes for the frames of functions that call themselves, for each lane and each set of such functions."""
MAX_WORK = 1 << 22
"""Operations, and values that they carry, of the functions that one call may reach; a few bytes can ask for thousands of them."""
_CHANGES_TABLE = frozenset({"table.set", "table.grow", "table.fill", "table.copy", "table.init"})


@dataclass(frozen=True)
class Area:
    """A memory or table: its buffer, elements of a lane's stretch, the buffer of its sizes where they change.

    `is_shared`: all lanes have the same one, as nothing writes it.
    """

    buffer: Memory
    minimum: int
    stride: int
    sizes: Memory | None = None
    is_shared: bool = False


class State:
    """The buffers of a module's instances, and what is in them at the start. `pages` bounds a lane's memory, `stack` the bytes of its frames.

    What a module imports beside functions is each instance's own: a memory of zeros, a table of nulls, globals that begin with the values of
    `globals_`, by ``module.name``. `WasmError` where one of those is missing or has another type, or the module does not import it.
    """

    def __init__(
        self,
        module: Module,
        pages: int | None = None,
        stack: int = DEFAULT_STACK,
        globals_: Mapping[str, int | float] = {},  # never changed
    ) -> None:
        self.module, self.stack_cells = module, stack // 8
        imported = module.imported(Kind.GLOBAL)
        names = [each.full_name for each in imported]
        for name in globals_:
            if name not in names:
                raise WasmError(f"the module imports no global {name}; it imports {', '.join(names) or 'none'}")
        self._imported_globals = tuple(_bits_of(each, globals_) for each in imported)
        self.work = 0
        self._candidates: dict[int, list[int]] = {}
        self.used: set[str] = set()
        self.dropped_data: set[int] = set()
        self.dropped_elements: set[int] = set()
        for body in module.bodies:
            for op, immediate, _ in body.instructions:
                self.used.add(op.name)
                if op.name == "data.drop":
                    self.dropped_data.add(immediate)
                elif op.name == "elem.drop":
                    self.dropped_elements.add(immediate)
        self.memory = self._memory(pages) if module.memories else None
        self.tables = tuple(self._table(number) for number in range(len(module.tables)))
        self.globals = tuple(
            Memory(f"global{number}", Space.BUFFER, TYPES[each.type]) if each.is_mutable else None
            for number, each in enumerate(module.globals)
        )

    def _memory(self, pages: int | None) -> Area:
        limits = self.module.memories[0]
        if pages is not None and pages < limits.minimum:
            raise WasmError(f"the memory has {limits.minimum} pages at the start, more than the budget of {pages}")
        can_grow = "memory.grow" in self.used
        most = max(limits.minimum, pages if pages is not None else DEFAULT_PAGES) if can_grow else limits.minimum
        if limits.maximum is not None:
            most = min(most, limits.maximum)
        if most * PAGE_BYTES > MAX_LENGTH:
            raise WasmError(f"a memory of {most} pages is not supported; a lane has at most {MAX_LENGTH // PAGE_BYTES}")
        sizes = Memory("pages", Space.BUFFER, Type.I32) if can_grow else None
        return Area(Memory("memory", Space.BUFFER, Type.U8), limits.minimum, most * PAGE_BYTES, sizes)

    def _table(self, number: int) -> Area:
        limits = self.module.tables[number].limits
        is_shared = not self.used & _CHANGES_TABLE
        can_grow = "table.grow" in self.used
        most = max(limits.minimum, DEFAULT_ELEMENTS) if can_grow else limits.minimum
        if limits.maximum is not None:
            most = min(most, limits.maximum)
        if most > MAX_ELEMENTS:
            raise WasmError(f"a table of {most} elements is not supported; a lane has at most {MAX_ELEMENTS}")
        buffer = Memory(f"table{number}", Space.BUFFER, Type.I32, is_writable=not is_shared)
        sizes = Memory(f"size{number}", Space.BUFFER, Type.I32) if can_grow else None
        return Area(buffer, limits.minimum, most, sizes, is_shared)

    def data(self, number: int) -> Memory:
        """The bytes of a data segment."""
        return Memory(f"data{number}", Space.BUFFER, Type.U8, is_writable=False)

    def items(self, number: int) -> Memory:
        """The references of an element segment."""
        return Memory(f"items{number}", Space.BUFFER, Type.I32, is_writable=False)

    def gone(self, what: str, number: int) -> Memory | None:
        """Whether a lane has dropped a segment (``data`` or ``items``): not 0; None where no code drops it."""
        dropped = self.dropped_data if what == "data" else self.dropped_elements
        return Memory(f"{what}{number}.dropped", Space.BUFFER, Type.I32) if number in dropped else None

    def without_code(self) -> State:
        """The same for a module whose functions have no instructions, which is what instances need of translated ones."""
        found = copy.copy(self)
        # What is found in the code is found before it goes.
        assert (self.memories, self.start_globals, self.start_items, self.in_tables) is not None
        found.__dict__.update(
            {name: self.__dict__[name] for name in ("memories", "start_globals", "start_items", "in_tables")}
        )
        bodies = [replace(body, instructions=(), ends={}, elses={}) for body in self.module.bodies]
        found.module = replace(self.module, bodies=bodies)
        return found

    def spend(self, count: int) -> None:
        """Count work of lowering; `WasmError` beyond `MAX_WORK`."""
        self.work += count
        if self.work > MAX_WORK:
            raise WasmError(f"too large to run: more than {MAX_WORK} operations and values that they carry")

    def candidates(self, kind: int) -> list[int]:
        """Functions of a type, by its number, that an indirect call may reach."""
        if kind not in self._candidates:
            module = self.module
            wanted = module.types[kind]
            self._candidates[kind] = sorted(each for each in self.in_tables if module.type_of(each) == wanted)
        found = self._candidates[kind]
        self.spend(len(found))
        return found

    @property
    def areas(self) -> tuple[Area, ...]:
        """The memory, if there is one, and the tables."""
        return (self.memory, *self.tables) if self.memory else self.tables

    @cached_property
    def memories(self) -> tuple[Memory, ...]:
        """Every buffer of the state."""
        found: list[Memory | None] = [*self.globals]
        for area in self.areas:
            found += [area.buffer, area.sizes]
        for what, count, held in (
            ("data", len(self.module.data), self.data),
            ("items", len(self.module.elements), self.items),
        ):
            for number in range(count):
                found += [held(number), self.gone(what, number)]
        return tuple(each for each in found if each)

    @cached_property
    def start_globals(self) -> tuple[int, ...]:
        """The first values of the globals, as bits; functions by number."""
        given = self._imported_globals
        return (*given, *(evaluate(each.start, given) for each in self.module.own_globals))

    @cached_property
    def start_items(self) -> tuple[tuple[int, ...], ...]:
        """The references of each element segment."""
        return tuple(tuple(evaluate(item, self.start_globals) for item in each.items) for each in self.module.elements)

    @cached_property
    def in_tables(self) -> frozenset[int]:
        """Functions that a table may hold at some time."""
        found = {item for items in self.start_items for item in items}
        if self.used & _CHANGES_TABLE:
            found |= {self.start_globals[n] for n, each in enumerate(self.module.globals) if each.type.is_reference}
            found |= {
                immediate
                for body in self.module.bodies
                for op, immediate, _ in body.instructions
                if op.name == "ref.func"
            }
        return frozenset(found - {-1})

    def segment_length(self, what: str, number: int) -> int:
        """Items that ``memory.init`` and ``table.init`` see in a segment at the start: active ones are used up by then."""
        segment = (self.module.data if what == "data" else self.module.elements)[number]
        if segment.mode is not Mode.PASSIVE:
            return 0
        return len(self.module.data[number].content) if what == "data" else len(self.start_items[number])


def _bits_of(wanted: Import, given: Mapping[str, int | float]) -> int:
    """The value of an imported global, as bits; references are null."""
    name, kind = wanted.full_name, wanted.type
    assert isinstance(kind, GlobalType)
    if kind.type.is_reference:
        return -1
    if name not in given:
        raise WasmError(
            f"the imported global {name} has no value; px.wasm(path, globals={{{name!r}: number}}) gives it one"
        )
    value, type_ = given[name], TYPES[kind.type]
    if type_.is_float:
        return int.from_bytes(struct.pack("<f" if type_.bits == 32 else "<d", value), "little")
    if not isinstance(value, int) or not -(1 << (type_.bits - 1)) <= value < 1 << type_.bits:
        raise WasmError(f"the imported global {name} is {kind.type!r}, which does not hold {value!r}")
    return value & ((1 << type_.bits) - 1)
