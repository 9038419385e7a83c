"""WASI preview 1, served by the host to many lanes at once."""

from .output import Output, Record, Sink
from .preopens import Preopen
from .wasi import Wasi

__all__ = ["Output", "Preopen", "Record", "Sink", "Wasi"]
