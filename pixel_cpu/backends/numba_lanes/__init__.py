"""Kernels through Numba: lanes one after another, groups in threads; needs no C compiler."""

from .executable import NumbaKernel, compile_kernel, describe

__all__ = ["NumbaKernel", "compile_kernel", "describe"]
