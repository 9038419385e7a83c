"""The primitives language: kernels as lists of words, in ``.gpk`` files; docs/primitives.md describes it."""

from .compiler import KernelInfo, Parameter, Program, compile_source
from .formatter import format_source

__all__ = ["KernelInfo", "Parameter", "Program", "compile_source", "format_source"]
