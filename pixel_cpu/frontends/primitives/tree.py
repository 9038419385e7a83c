"""What a program is made of: expressions, statements, kernels, functions, the host's statements. Names keep their tokens.

Trees may be deep, so nothing compares or prints them; and a class without those methods is made in half the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from ...ir.types import Type
from .lexer import Token

# Expressions


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Literal:
    """A number, a truth value or a character. `is_float` tells 1.0 from 1."""

    at: Token
    value: int | float | bool
    is_float: bool = False


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Name:
    """A variable, a value parameter, or the element of a PARALLEL FOR."""

    at: Token


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Element:
    """``array[index]``; `kind` where AS states another type."""

    at: Token
    index: Expression
    kind: Type | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Unary:
    """``-a``, ``~a``, ``not a``."""

    at: Token
    sign: str
    operand: Expression


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Binary:
    """An operator between two expressions; `at` is the operator."""

    at: Token
    sign: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call:
    """A function of the language or the program, or a cast."""

    at: Token
    name: str
    arguments: tuple[Expression, ...]


Expression: TypeAlias = Literal | Name | Element | Unary | Binary | Call
Target: TypeAlias = Name | Element

# Statements


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Assign:
    """Any statement that computes one value into a variable or an element."""

    at: Token
    target: Target
    value: Expression


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Identity:
    """``THREAD_ID -> v`` and its kin; `operation` is the IR's."""

    at: Token
    operation: str
    target: Name


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Index:
    """``INDEX -> v``."""

    at: Token
    target: Name


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pixel:
    """``CALCULATE_PIXEL``."""

    at: Token
    parts: tuple[Expression, ...]
    target: Target


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class If:
    """Conditions with their blocks, and what runs where none is true."""

    at: Token
    arms: tuple[tuple[Token, Expression, Block], ...]
    otherwise: Block


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class While:
    """``WHILE``."""

    at: Token
    condition: Expression
    body: Block


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class For:
    """``FOR i IN first..last STEP step``."""

    at: Token
    variable: Token
    first: Expression
    last: Expression
    step: Expression | None
    body: Block


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ParallelFor:
    """``PARALLEL FOR``: over the elements of an array, or over a range with a variable."""

    at: Token
    variable: Token
    first: Expression | None
    last: Expression | None
    body: Block


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Transform:
    """``TRANSFORM d -> r BY value``."""

    at: Token
    source: Token
    target: Token
    value: Expression


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Matmul:
    """``PARALLEL_MATMUL``; `size` is m, n, k or empty."""

    at: Token
    left: Token
    right: Token
    target: Token
    size: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Jump:
    """``BREAK``, ``CONTINUE``."""

    at: Token


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Return:
    """``RETURN``."""

    at: Token
    value: Expression | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sync:
    """``SYNC_THREADS``."""

    at: Token


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Atomic:
    """``ATOMIC_ADD`` and its kin; `operation` is the IR's."""

    at: Token
    operation: str
    element: Element
    values: tuple[Expression, ...]
    target: Name | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reduce:
    """``WARP_REDUCE``, ``BLOCK_REDUCE``; `operation` is the IR's."""

    at: Token
    is_warp: bool
    operation: str
    value: Expression
    target: Name


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Trap:
    """``TRAP``."""

    at: Token
    reason: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Print:
    """``PRINT``."""

    at: Token
    text: str
    values: tuple[Expression, ...]


Statement: TypeAlias = (
    Assign
    | Identity
    | Index
    | Pixel
    | If
    | While
    | For
    | ParallelFor
    | Transform
    | Matmul
    | Jump
    | Return
    | Sync
    | Atomic
    | Reduce
    | Trap
    | Print
)
Block: TypeAlias = tuple[Statement, ...]

# Declarations


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Array:
    """A declared array: ``parameter``, ``shared`` or ``private``; `length` in elements where it is declared."""

    at: Token
    space: str
    kind: Type
    length: int | None = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Scalar:
    """A parameter that is a value."""

    at: Token
    kind: Type


@dataclass(slots=True)
class KernelSource:
    """A kernel as written."""

    at: Token
    is_latency_critical: bool = False
    is_clamped: bool = False
    threads: int | None = None
    parameters: list[Scalar | Array] = field(default_factory=list)
    arrays: list[Array] = field(default_factory=list)
    body: Block = ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FunctionSource:
    """A function as written."""

    at: Token
    parameters: tuple[Scalar, ...]
    result: Type
    body: Block


# The host's statements


@dataclass(frozen=True, slots=True)
class HostAlloc:
    """Make an array of zeros on the device; `length` is a number, or the name of one that the run gives."""

    name: str
    element: Type
    length: int | str
    line: int


@dataclass(frozen=True, slots=True)
class HostCopy:
    """Copy an array. `direction` is ``to_device`` (the run gives `source`), ``to_host`` (the run takes `target`), ``on_device``."""

    source: str
    target: str
    direction: str
    line: int


@dataclass(frozen=True, slots=True)
class HostFree:
    """Give an array of the device back."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class HostLaunch:
    """Start a kernel with `blocks` blocks of `threads` threads; numbers, or names of numbers that the run gives.

    `arguments` has every parameter of the kernel: an array parameter the name of a device array, a value parameter a number or
    the name of one that the run gives.
    """

    kernel: str
    blocks: int | str
    threads: int | str
    arguments: dict[str, int | float | bool | str]
    line: int


@dataclass(frozen=True, slots=True)
class HostSync:
    """Wait until all launches have ended."""

    line: int


HostStatement: TypeAlias = HostAlloc | HostCopy | HostFree | HostLaunch | HostSync
"""A statement of the host, run one after another."""


@dataclass(slots=True)
class File:
    """A text as parsed; host statements keep their token for messages."""

    kernels: list[KernelSource] = field(default_factory=list)
    functions: list[FunctionSource] = field(default_factory=list)
    host: list[tuple[Token, HostStatement]] = field(default_factory=list)
