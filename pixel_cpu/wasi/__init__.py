"""WASI preview 1, served by the host to many lanes at once."""

from .preopens import Preopen
from .wasi import Wasi

__all__ = ["Preopen", "Wasi"]
