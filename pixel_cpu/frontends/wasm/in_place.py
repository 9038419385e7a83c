"""Imported functions that are operations of the IR: a call of them does not leave the launch."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.builder import Builder
from ...ir.model import Value
from ...ir.types import Type
from .module import FunctionType, Module
from .opcodes import ValueType

_I32, _F32 = ValueType.I32, ValueType.F32
IN_PLACE = {
    "glassbox.lane": ("global_id", FunctionType((), (_I32,))),
    "glassbox.lanes": ("lane_count", FunctionType((), (_I32,))),
    "glassbox.sin": ("sin", FunctionType((_F32,), (_F32,))),
    "glassbox.cos": ("cos", FunctionType((_F32,), (_F32,))),
}
"""By ``module.name``: the operation, and the type with which it must be imported."""


def in_place(module: Module, number: int) -> str | None:
    """The operation that function `number` is; None for functions of the module and of the host."""
    if number >= module.imported_functions:
        return None
    operation, kind = IN_PLACE.get(module.imported_name(number), (None, None))
    return operation if kind == module.type_of(number) else None


def is_of_host(module: Module, number: int) -> bool:
    """Whether a call of function `number` is for the host."""
    return number < module.imported_functions and in_place(module, number) is None


def operate(build: Builder, operation: str, operands: Sequence[Value]) -> tuple[Value, ...]:
    """What the operation gives."""
    found = build.value(operation, *operands)
    return (build.value("bitcast", found, type=Type.I32) if found.type is Type.U32 else found,)
