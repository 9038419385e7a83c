"""Honest benchmarks: library kernels on the devices of this host, under roofs that the same devices were measured to have.

>>> from pixel_cpu.benchmark import measure
>>> measure(["saxpy"], ["cpu", "wgpu"]).measurements
"""

from .cases import CASES
from .hardware import CARDS, Card, Comparison, compare, find_card, percent
from .rounds import Benchmark, Bound, Measurement, Rate, Roofline, Size, measure
from .work import Unit, count_arithmetic

__all__ = [
    "CARDS",
    "CASES",
    "Benchmark",
    "Bound",
    "Card",
    "Comparison",
    "Measurement",
    "Rate",
    "Roofline",
    "Size",
    "Unit",
    "compare",
    "count_arithmetic",
    "find_card",
    "measure",
    "percent",
]
