"""Kernels, compiled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from ...ir.model import Kernel, Module, Op
from ...passes.inline import MAX_OPERATIONS, inline
from ...passes.prune import prune
from .compiler import LONG_SOURCE, find_compiler, load, machine
from .kernel import LaneKernel, runtime
from .plan import Plan, plan
from .separate import is_separate, separate_part, separate_sites
from .source import Part, number_sites, part, source

BATCH_BYTES = LONG_SOURCE // 2
"""Bytes of C of kernels that are compiled together; the rest of `LONG_SOURCE` is for the prelude and the helpers."""


def compile_kernel(
    module: Module,
    kernel: str,
    *,
    scalar: bool | None = None,
    registers: int | None = None,
    counts: bool = False,
    timeline: bool = False,
    level: str | None = None,
) -> LaneKernel:
    """Make a kernel of a verified module ready.

    It runs in lanes, unless an estimate says that scalar C is faster; `scalar` and `registers` of a chunk state the choice.
    `counts`: launches count what they do, more slowly; groups are counted in chunks. `timeline`: they record what their threads
    did when, and count. `level` is the C compiler's. Raises `DeviceError` where there is no compiler.
    """
    kernels = [(module, kernel)]
    return compile_kernels(kernels, scalar=scalar, registers=registers, counts=counts, timeline=timeline, level=level)[
        0
    ]


def compile_kernels(
    kernels: Iterable[tuple[Module, str]],
    *,
    scalar: bool | None = None,
    registers: int | None = None,
    counts: bool = False,
    timeline: bool = False,
    level: str | None = None,
) -> list[LaneKernel]:
    """Make many kernels of verified modules ready, with few calls of the compiler; else as `compile_kernel`.

    ``compile_kernels((module, name) for name in module.kernels)``. Where one of them does not compile, none does.
    """
    own = machine()
    found: list[Kernel] = []
    plans: list[Plan] = []
    parts: list[Part] = []
    sites: list[Sequence[Op]] = []
    separate: set[int] = set()
    for module, name in kernels:
        kernel = module.kernels[name]
        if scalar is not False and not (counts or timeline) and is_separate(module, kernel):
            separate.add(len(found))
            found.append(kernel)
            plans.append(Plan(1, 1, True))
            sites.append(separate_sites(module, kernel))
            parts.append(separate_part(module, kernel, sites[-1]))
            continue
        kernel = prune(inline(module, kernel))
        found.append(kernel)
        plans.append(plan(kernel, own.width, own.vector_registers, scalar=scalar, registers=registers))
        sites.append(list(number_sites(kernel)))
        parts.append(part(kernel, plans[-1], counts=counts or timeline))
    made: dict[int, LaneKernel] = {}
    for places in _batches(parts, separate):
        text = source([parts[place] for place in places])
        library = load(text, level)
        for number, place in enumerate(places):
            made[place] = LaneKernel(
                found[place],
                plans[place],
                text,
                library,
                number,
                sites[place],
                counts=counts or timeline,
                timeline=timeline,
            )
    return [made[place] for place in range(len(found))]


def _batches(parts: Sequence[Part], separate: Collection[int] = ()) -> Iterable[list[int]]:
    """Places of parts that are compiled together: they have one prelude, and no more text than is compiled without hurry.

    Those in `separate` have functions of their own, whose names would meet: each is compiled alone.
    """
    alike: dict[tuple[int, ...], list[list[int]]] = {}
    room: dict[tuple[int, ...], int] = {}
    for place, each in enumerate(parts):
        key = (each.width, each.registers, *([place] if place in separate else ()))
        size = len(each.text)
        if room.get(key, 0) < size:
            alike.setdefault(key, []).append([])
            room[key] = BATCH_BYTES
        alike[key][-1].append(place)
        room[key] -= size
    return [batch for batches in alike.values() for batch in batches]


def describe() -> str:
    """What stands behind this back end on this host; `DeviceError` where there is no compiler."""
    own = machine()
    return f"C by {Path(find_compiler()[0]).name}: {own.width} lanes in a vector ({own.name}), {runtime().gb_threads()} threads"


def limits() -> dict[str, int]:
    """What this back end allows beside the limits of the IR, and what it has: threads, lanes of 32 bits in a vector."""
    return {
        "operations_of_a_kernel": MAX_OPERATIONS,
        "threads": int(runtime().gb_threads()),
        "lanes_of_a_vector": machine().width,
    }
