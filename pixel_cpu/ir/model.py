"""The model of a program: memory objects, values, operations with regions, functions, kernels, a module.

A program is in single static assignment form with structured control flow: an operation that branches holds its regions, a
value is visible after its definition in the same region and in the regions inside.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from .types import Type


class Space(enum.Enum):
    """Where a memory object lies, and who sees it."""

    BUFFER = "buffer"
    """Bound at launch; every lane sees it."""
    WORKGROUP = "workgroup"
    """One for each group, zero at its start."""
    PRIVATE = "private"
    """One for each lane, zero at its start."""


class Bounds(enum.Enum):
    """What happens at an index outside."""

    TRAP = "trap"
    CLAMP = "clamp"
    PROVED = "proved"


@dataclass(frozen=True)
class Memory:
    """A named array of one element type. `length` in elements; None: what is bound at launch."""

    name: str
    space: Space
    element: Type
    length: int | None = None
    is_writable: bool = True


@dataclass(eq=False)
class Value:
    """What an operation or a region defines once; `name` is for people and the text form."""

    type: Type
    name: str = ""


@dataclass(eq=False)
class Region:
    """A list of operations that ends with a terminator; `parameters` are values of a loop."""

    operations: list[Op] = field(default_factory=list)
    parameters: tuple[Value, ...] = ()


@dataclass(eq=False)
class Op:
    """One use of a row of the operation table.

    The fields after `regions` belong to some rows only: `literal` to ``const``; `memory` and `bounds` to what reads or writes;
    `label` to ``block``, ``loop``, ``break``, ``continue``; `text` names a function, host function, reason or message; `cases` to
    ``switch``, in the order of its regions, whose last one is the default; `fuel` to ``continue``. `line` is the source's.
    """

    name: str
    operands: tuple[Value, ...] = ()
    results: tuple[Value, ...] = ()
    regions: tuple[Region, ...] = ()
    literal: int | float | bool | None = None
    memory: Memory | None = None
    bounds: Bounds = Bounds.TRAP
    label: str = ""
    text: str = ""
    cases: tuple[int, ...] = ()
    fuel: int = 1
    line: int | None = None

    @property
    def result(self) -> Value:
        """The only result."""
        (found,) = self.results
        return found

    @property
    def is_access(self) -> bool:
        """Whether it is a load, store or atomic."""
        return self.memory is not None and self.name != "length"

    @property
    def moved(self) -> Type:
        """The type that an access reads or writes."""
        return self.results[0].type if self.results else self.operands[1].type

    @property
    def width(self) -> int:
        """Elements of the memory that an access touches: more than one for wide accesses of bytes."""
        assert self.memory is not None
        return 1 if self.moved is self.memory.element else self.moved.bytes // self.memory.element.bytes


@dataclass(eq=False)
class Function:
    """Called by kernels and functions. `memories` are what it uses; each kernel that calls it declares the same."""

    name: str
    parameters: tuple[Value, ...]
    results: tuple[Type, ...]
    memories: tuple[Memory, ...]
    body: Region


@dataclass(eq=False)
class Kernel:
    """What a launch runs in each lane: scalar parameters, memory, a body.

    `group` is the number of lanes of a group unless the launch states another.
    """

    name: str
    parameters: tuple[Value, ...]
    memories: tuple[Memory, ...]
    body: Region
    group: int = 32

    @cached_property
    def buffers(self) -> tuple[Memory, ...]:
        """What a launch binds, in order."""
        return tuple(memory for memory in self.memories if memory.space is Space.BUFFER)

    @cached_property
    def buffer_names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(memory.name for memory in self.buffers)

    @cached_property
    def scalars(self) -> dict[str, Type]:
        """Names and types of the parameters, in order."""
        return {value.name: value.type for value in self.parameters}


@dataclass(eq=False)
class Module:
    """Kernels and the functions that they call. `source` is the text that operations' `line` counts in, if there is one."""

    kernels: dict[str, Kernel] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    source: str = ""
    compiled: dict[str, bytes] = field(default_factory=dict)
    """What the software GPU made of kernels before, by their names."""


def walk(region: Region) -> Iterator[Op]:
    """Each operation of a region and of the regions inside, outer before inner."""
    # A stack of its own, so that depth is bounded by memory and not by Python's recursion.
    stack = [iter(region.operations)]
    while stack:
        for op in stack[-1]:
            yield op
            if op.regions:
                stack.extend(iter(inner.operations) for inner in reversed(op.regions))
                break
        else:
            stack.pop()


def calls(body: Region) -> set[str]:
    """Names of the functions that a body calls."""
    return {op.text for op in walk(body) if op.name == "call"}


def reachable(module: Module, kernel: Kernel) -> list[Function]:
    """The functions that a kernel calls, also through others, callees before callers."""
    found: dict[str, Function] = {}

    def visit(body: Region) -> None:
        for name in sorted(calls(body)):
            if name not in found:
                visit(module.functions[name].body)
                found[name] = module.functions[name]

    visit(kernel.body)
    return list(found.values())
