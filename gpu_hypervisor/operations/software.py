"""Rows about the software GPU: its vectors, and what it reaches under the roofs of this host."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from pixel_cpu.benchmark import CARDS, Benchmark, Comparison, compare, find_card, measure, simd
from pixel_cpu.benchmark.simd import SimdInfo
from qemu_bridge.errors import UsageError
from qemu_bridge.wire.operations import Cost, Permission

from .row import GpuOperation, adds_to

SOFTWARE: list[GpuOperation] = []
"""The rows."""
operation = adds_to(SOFTWARE)
_measuring = threading.Lock()


@dataclass(frozen=True, slots=True)
class BesideCards:
    """What was measured here, and what share that is of cards' peaks, which are their vendors' and not measured."""

    benchmark: Benchmark
    hardware: tuple[Comparison, ...]


def _measure(kernels: tuple[str, ...]) -> Benchmark:
    if not _measuring.acquire(blocking=False):
        raise UsageError("something is measured already, which this would disturb; ask again when it is done")
    try:
        return measure(kernels, ["cpu"])
    finally:
        _measuring.release()


@operation(Permission.READ, Cost.QUERY, "/api/gpu/software/simd-info")
def simd_info() -> SimdInfo:
    """Which vector instructions processor, compiler and compiled kernels have here.

    >>> simd_info().lane_c.width
    16
    """
    return simd.simd_info()


@operation(Permission.CONTROL, Cost.JOB, "/api/gpu/software/benchmark")
def benchmark(kernels: tuple[str, ...] = ("saxpy", "sum")) -> Benchmark:
    """Measure kernels of the library on the software GPU under the roofs of this host; it takes the processors for seconds.

    >>> benchmark(("saxpy",)).measurements[0].share
    0.91
    """
    return _measure(kernels)


@operation(Permission.CONTROL, Cost.JOB, "/api/gpu/software/matmul-optimized")
def matmul_optimized() -> Benchmark:
    """Measure the library's product of matrices on the software GPU.

    >>> matmul_optimized().measurements[0].rate
    48000000000.0
    """
    return _measure(("matmul",))


@operation(Permission.CONTROL, Cost.JOB, "/api/gpu/software/vs-hardware")
def vs_hardware(kernels: tuple[str, ...] = ("saxpy", "matmul"), card: str = "") -> BesideCards:
    """Measure kernels on the software GPU, and say what share of a card's peak that is: rtx3080, a100, h100 (all of them without a name).

    >>> vs_hardware(("saxpy",), "h100").hardware[0].share
    '1.2 %'
    """
    cards = (find_card(card),) if card else CARDS
    found = _measure(kernels)
    return BesideCards(found, tuple(compare(found, cards)))
