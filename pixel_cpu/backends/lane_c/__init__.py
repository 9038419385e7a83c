"""The software GPU: kernels as C, with lanes in vectors and groups in threads."""

from .executable import compile_kernel, compile_kernels, describe, limits
from .kernel import LaneKernel
from .prepared import is_there, load_prepared, prepare

__all__ = [
    "LaneKernel",
    "compile_kernel",
    "compile_kernels",
    "describe",
    "is_there",
    "limits",
    "load_prepared",
    "prepare",
]
