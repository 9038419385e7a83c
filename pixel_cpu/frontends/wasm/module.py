"""A WebAssembly module as records: what `decode` gives once it has checked every rule."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .opcodes import Opcode, ValueType

PAGE_BYTES = 1 << 16
"""Bytes of a page of linear memory."""


class Kind(enum.Enum):
    """What is imported or exported."""

    FUNCTION = "function"
    TABLE = "table"
    MEMORY = "memory"
    GLOBAL = "global"


@dataclass(frozen=True)
class FunctionType:
    """Types of parameters and results."""

    parameters: tuple[ValueType, ...] = ()
    results: tuple[ValueType, ...] = ()

    def __str__(self) -> str:
        return f"({' '.join(map(repr, self.parameters))}) -> ({' '.join(map(repr, self.results))})"


@dataclass(frozen=True)
class Limits:
    """Size at the start and the largest one, in pages of a memory or elements of a table."""

    minimum: int
    maximum: int | None = None


@dataclass(frozen=True)
class TableType:
    """A table of references."""

    element: ValueType
    limits: Limits


@dataclass(frozen=True)
class GlobalType:
    """A global variable."""

    type: ValueType
    is_mutable: bool


class Instruction(NamedTuple):
    """One instruction; `immediate` is as its row says, `offset` its first byte in the file.

    An immediate is an index, a tuple of them, a `FunctionType` for a block, ``(align, offset)`` for an access; constants are
    integers, those of floats their bits.
    """

    op: Opcode
    immediate: Any
    offset: int


@dataclass(frozen=True)
class Import:
    """What the module wants from outside; `type` is the number of a function's type, or the type itself."""

    module: str
    name: str
    kind: Kind
    type: int | TableType | Limits | GlobalType

    @property
    def full_name(self) -> str:
        """Both names, as ``module.name``."""
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Export:
    """What the module gives, by its index among all of its kind."""

    name: str
    kind: Kind
    index: int


@dataclass(frozen=True)
class Global:
    """A global variable of the module's own; `start` are the instructions of its first value."""

    type: GlobalType
    start: tuple[Instruction, ...]


class Mode(enum.Enum):
    """When a segment is copied: at the start, by an instruction, or never."""

    ACTIVE = "active"
    PASSIVE = "passive"
    DECLARATIVE = "declarative"


@dataclass(frozen=True)
class ElementSegment:
    """References for a table; each item is the instructions of a constant."""

    mode: Mode
    type: ValueType
    items: tuple[tuple[Instruction, ...], ...]
    table: int = 0
    at: tuple[Instruction, ...] = ()


@dataclass(frozen=True)
class DataSegment:
    """Bytes for the memory."""

    mode: Mode
    content: bytes
    at: tuple[Instruction, ...] = ()


@dataclass(frozen=True)
class Body:
    """A function's code. `runs` are numbers of locals and their type, without the parameters; `ends` and `elses` give for the place of a
    block's first instruction that of its ``end`` and ``else``."""

    runs: tuple[tuple[int, ValueType], ...]
    instructions: tuple[Instruction, ...]
    ends: dict[int, int]
    elses: dict[int, int]
    offset: int
    height: int
    """Values on its stack at once."""


@dataclass
class Module:
    """A module. Functions, tables, memories and globals are numbered with the imported ones first."""

    types: list[FunctionType] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    functions: list[int] = field(default_factory=list)
    """Number of the type of each function."""
    imported_functions: int = 0
    """Functions that are imported, which have the first numbers."""
    tables: list[TableType] = field(default_factory=list)
    memories: list[Limits] = field(default_factory=list)
    globals: list[GlobalType] = field(default_factory=list)
    own_globals: list[Global] = field(default_factory=list)
    exports: dict[str, Export] = field(default_factory=dict)
    start: int | None = None
    elements: list[ElementSegment] = field(default_factory=list)
    data: list[DataSegment] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    """Of the functions that are not imported."""
    function_names: dict[int, str] = field(default_factory=dict)
    """What the ``name`` section calls them."""
    producers: dict[str, dict[str, str]] = field(default_factory=dict)
    """What the ``producers`` section says: languages, tools and their versions."""

    def imported(self, kind: Kind) -> list[Import]:
        """The imports of one kind, which have its first numbers."""
        return [each for each in self.imports if each.kind is kind]

    def type_of(self, function: int) -> FunctionType:
        """The type of a function by its number."""
        return self.types[self.functions[function]]

    def imported_name(self, function: int) -> str:
        """The names of an imported function, as ``module.name``."""
        return self.imported(Kind.FUNCTION)[function].full_name

    def name_of(self, function: int) -> str:
        """What people call a function: its name, how it is exported or imported, or its number."""
        if function in self.function_names:
            return self.function_names[function]
        for export in self.exports.values():
            if export.kind is Kind.FUNCTION and export.index == function:
                return export.name
        if function < self.imported_functions:
            return self.imported_name(function)
        return f"function {function}"
