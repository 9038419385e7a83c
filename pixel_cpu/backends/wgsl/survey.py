"""What a kernel holds, looked at before it is written: its functions, how deep and how large it is, how its memory is spelled."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import DeviceError
from ...ir.model import Bounds, Function, Kernel, Memory, Module, Region, Space, reachable, walk
from ...ir.types import Type
from .memory import PRIVATE_WORDS, MemoryText, needs_atomics
from .prelude import WIDE


@dataclass(frozen=True)
class Survey:
    """A kernel with what it reaches. `depth` and `accesses` count calls as what they call, written where the call stands."""

    functions: tuple[Function, ...]
    """Functions that the kernel reaches, each after those that it calls."""
    bodies: tuple[Region, ...]
    """Those of the functions, then the kernel's."""
    depth: int
    """Regions inside each other in the deepest body."""
    accesses: int
    """Accesses to memory of the kernel."""
    has_barriers: bool
    has_prints: bool
    may_end: dict[str, bool]
    """Whether a lane may end in a function, by its name."""
    texts: dict[Memory, MemoryText]
    written: frozenset[Memory]
    """Buffers that are stored to."""
    scratch_words: int
    """Words of private memory of a lane that live in a buffer."""
    has_wide_atomics: bool


def survey(module: Module, kernel: Kernel, pairs: bool) -> Survey:
    """Look at a kernel. Raises `DeviceError` for memory that WGSL has no form for, and for calls of the host."""
    functions = tuple(reachable(module, kernel))
    bodies = (*(function.body for function in functions), kernel.body)
    names = set()
    for op in (op for body in bodies for op in walk(body)):
        names.add(op.name)
        if op.name == "host_call":
            raise DeviceError(f"kernel {kernel.name}: host_call {op.text!r}: a GPU calls no host function")
    depths, accesses = _measure(functions, kernel)
    stored, atomics = _changed(bodies)
    texts, scratch_words = _memories(kernel, pairs, stored, atomics)
    return Survey(
        functions,
        bodies,
        max(depths.values()),
        accesses[""],
        "barrier" in names,
        "print" in names,
        {function.name: _may_end(module, function) for function in functions},
        texts,
        frozenset(memory for memory in (*stored, *atomics) if memory.space is Space.BUFFER),
        scratch_words,
        any(memory.element in WIDE for memory in atomics)
        or any(text.is_atomic and text.is_double for text in texts.values()),
    )


def _measure(functions: tuple[Function, ...], kernel: Kernel) -> tuple[dict[str, int], dict[str, int]]:
    """Depth and number of accesses of each function, calls included; the kernel's under ""."""
    depths: dict[str, int] = {}
    accesses: dict[str, int] = {}
    for name, body in [*((f.name, f.body) for f in functions), ("", kernel.body)]:
        deepest = count = 0
        stack = [(body, 1)]
        while stack:
            region, depth = stack.pop()
            deepest = max(deepest, depth)
            for op in region.operations:
                if op.is_access:
                    count += 1
                if op.name == "call":
                    deepest = max(deepest, depth + depths[op.text])
                    count += accesses[op.text]
                stack += [(inner, depth + 1) for inner in op.regions]
        depths[name], accesses[name] = deepest, count
    return depths, accesses


def _changed(bodies: tuple[Region, ...]) -> tuple[dict[Memory, set[Type]], set[Memory]]:
    """Types that are stored to each memory, and memories with atomics."""
    stored: dict[Memory, set[Type]] = {}
    atomics: set[Memory] = set()
    for body in bodies:
        for op in walk(body):
            if op.memory is None:
                continue
            if op.name == "store":
                stored.setdefault(op.memory, set()).add(op.operands[1].type)
            if op.name.startswith("atomic_"):
                atomics.add(op.memory)
    return stored, atomics


def _memories(
    kernel: Kernel, pairs: bool, stored: dict[Memory, set[Type]], atomics: set[Memory]
) -> tuple[dict[Memory, MemoryText], int]:
    """How each memory is spelled, and the words of a lane's private memory that live in a buffer."""
    found: dict[Memory, MemoryText] = {}
    scratch_words = 0
    for place, memory in enumerate(kernel.memories):
        if memory.element is Type.F64 and pairs:
            raise DeviceError(f"kernel {kernel.name}: @{memory.name} holds f64, which this device has not")
        if memory in atomics and memory.element in WIDE and pairs:
            raise DeviceError(f"kernel {kernel.name}: 64-bit atomics on @{memory.name}, which this device has not")
        text = MemoryText(memory, place, pairs, needs_atomics(memory, stored.get(memory, set()), memory in atomics))
        if memory.space is Space.PRIVATE and text.words > PRIVATE_WORDS:
            text.scratch = scratch_words
            scratch_words += text.words
        found[memory] = text
    return found, scratch_words


def _may_end(module: Module, function: Function) -> bool:
    return any(
        op.name in ("trap", "continue")
        or (op.is_access and op.bounds is Bounds.TRAP)
        or (op.name == "call" and _may_end(module, module.functions[op.text]))
        for op in walk(function.body)
    )
