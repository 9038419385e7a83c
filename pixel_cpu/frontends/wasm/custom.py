"""The custom sections ``name`` and ``producers``; what they break breaks them alone, as the specification demands."""

from __future__ import annotations

import contextlib

from ...errors import WasmError
from .module import Module
from .reader import Reader

_FUNCTION_NAMES = 1


def read_custom(part: Reader, module: Module) -> None:
    """Add what a custom section says to the module; one that is malformed or unknown says nothing."""
    with contextlib.suppress(WasmError):
        match part.name():
            case "name":
                _names(part, module)
            case "producers":
                _producers(part, module)


def _names(part: Reader, module: Module) -> None:
    found: dict[int, str] = {}
    while part.left:
        number = part.byte()
        inner = part.part(part.u32())
        if number == _FUNCTION_NAMES:
            for _ in range(inner.count()):
                function = inner.u32()
                found[function] = inner.name()
    module.function_names = {number: name for number, name in found.items() if name and number < len(module.functions)}


def _producers(part: Reader, module: Module) -> None:
    found: dict[str, dict[str, str]] = {}
    for _ in range(part.count()):
        field = part.name()
        # A name and a version for each; read in this order.
        pairs = [(part.name(), part.name()) for _ in range(part.count())]
        found[field] = dict(pairs)
    module.producers = found
