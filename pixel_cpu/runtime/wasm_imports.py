"""Functions of the host that a module imports, as a launch calls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..backends.launch import HostFunction
from ..errors import LaunchError
from ..frontends.wasm.module import FunctionType, Kind
from ..frontends.wasm.module import Module as WasmModule
from ..ir.model import Module, walk

Given = Mapping[str, Callable[..., Any]]
"""Functions by ``module.name``. They get the lane's number and the operands, and give nothing, a number, or a sequence of results."""


def check_given(module: WasmModule, given: Given) -> None:
    """Raise `LaunchError` where a function was given that the module does not import."""
    names = [each.full_name for each in module.imported(Kind.FUNCTION)]
    for name in given:
        if name not in names:
            raise LaunchError(f"the module does not import {name}; it imports {', '.join(names) or 'nothing'}")


def host_functions(module: WasmModule, program: Module, given: Given) -> dict[str, HostFunction]:
    """What `program` calls of the host; `LaunchError` where it was not given."""
    called = {op.text for each in program.functions.values() for op in walk(each.body) if op.name == "host_call"}
    called |= {op.text for each in program.kernels.values() for op in walk(each.body) if op.name == "host_call"}
    if missing := sorted(called - set(given)):
        raise LaunchError(
            f"the module calls {', '.join(missing)} of the host; give it with imports={{{missing[0]!r}: function}}, on a device that "
            "is opened with isolated=False"
        )
    types = {module.imported_name(number): module.type_of(number) for number in range(module.imported_functions)}
    return {name: sequence(name, types[name], given[name]) for name in called}


def sequence(name: str, kind: FunctionType, function: Callable[..., Any]) -> HostFunction:
    """A function that gives a sequence of results."""

    def call(lane: int, *operands: Any) -> Sequence[Any]:  # noqa: ANN401  # numbers
        found = function(lane, *operands)
        results = () if found is None else tuple(found) if isinstance(found, (tuple, list)) else (found,)
        if len(results) != len(kind.results):
            raise LaunchError(f"the import {name} is {kind}, and its function gave {found!r}")
        return results

    return call
