"""WebAssembly: modules decoded and validated, and their functions as programs of the IR; docs/wasm.md describes it."""

from .decode import decode
from .module import Module

__all__ = ["Module", "decode"]
