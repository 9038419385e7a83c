"""How much work a launch is: arithmetic as the reference executor counts it, memory as the program touches it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum

import numpy as np

from ..backends.launch import Array, Launch, check
from ..backends.reference import Executor
from ..ir.model import Memory, reachable, walk
from ..ir.types import Type
from ..runtime.program import Kernel


class Unit(Enum):
    """What is counted: arithmetic on floats, or on integers (that of addresses and of loops too)."""

    FLOP = "flop"
    OP = "op"


_ARITHMETIC = frozenset(
    "add sub mul div rem mulhi min max neg abs and or xor not shl shr rotl clz ctz popcount fma "
    "sqrt sin cos tan asin acos atan tanh exp exp2 log log2 pow".split()
)
"""One operation each, an ``fma`` two. Comparisons, conversions, roundings, choices and accesses are none."""


def arithmetic(executed: Mapping[tuple[str, Type], int], unit: Unit) -> int:
    """Operations of a unit among those that an `Executor` counted."""
    return sum(
        count * (2 if name == "fma" else 1)
        for (name, kind), count in executed.items()
        if name in _ARITHMETIC and (kind.is_float if unit is Unit.FLOP else kind.is_integer)
    )


def count_arithmetic(launches: Iterable[tuple[Kernel, Launch]], unit: Unit) -> int:
    """Operations that launches execute, by running them on the reference executor one after another; buffers are changed."""
    executed: Counter[tuple[str, Type]] = Counter()
    for kernel, launch in launches:
        executor = Executor(kernel.module, kernel.name)
        executor.run(check(kernel.definition, launch)).raise_trap(kernel.name)
        executed += executor.executed
    return arithmetic(executed, unit)


def least_traffic(kernel: Kernel, sizes: Mapping[str, int]) -> int:
    """Bytes that a launch moves at least: each buffer that it reads once, and each that it writes once.

    `sizes` are the bytes of the buffers by name. What stays in a cache between two accesses is not counted twice.
    """
    loaded, stored = _touched(kernel)
    return sum(sizes[memory.name] * ((memory in loaded) + (memory in stored)) for memory in kernel.definition.buffers)


def _touched(kernel: Kernel) -> tuple[set[Memory], set[Memory]]:
    """The memories that a kernel reads, and those that it writes; an atomic does both."""
    definition = kernel.definition
    bodies = [definition.body, *(function.body for function in reachable(kernel.module, definition))]
    accesses = [op for body in bodies for op in walk(body) if op.is_access]
    return (
        {op.memory for op in accesses if op.memory and op.name != "store"},
        {op.memory for op in accesses if op.memory and op.name != "load"},
    )


def largest_error(found: Array, expected: Array) -> float:
    """The largest relative difference of `found` from `expected`; of integers 0 where all are equal, else infinite.

    Where 0 is expected, the difference itself counts.
    """
    if expected.dtype.kind != "f":
        return 0.0 if np.array_equal(found, expected) else float("inf")
    difference = np.abs(found.astype(np.float64) - expected)
    scale = np.where(expected == 0, 1, np.abs(expected))
    error = float((difference / scale).max(initial=0))
    return error if np.isfinite(error) else float("inf")
