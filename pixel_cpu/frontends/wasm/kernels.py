"""Kernels that call a function of a module in each lane."""

from __future__ import annotations

import graphlib
from collections.abc import Collection

from ...errors import IrError, WasmError
from ...ir import model
from ...ir.builder import Builder
from ...ir.model import Kernel, Memory, Region, Space, Value
from ...ir.types import Type
from ...ir.verifier import verify
from .lower import candidates, function_name, lower, types
from .module import Module
from .state import State

KERNEL = "call"
"""The name of the kernel."""
RETURNED = Memory("returned", Space.BUFFER, Type.U32)
"""1 for each lane that came to the end of the function."""


def argument(number: int) -> str:
    """The kernel's name for an argument, a scalar or a buffer."""
    return f"argument{number}"


def result(number: int) -> str:
    """The kernel's name for a buffer of results."""
    return f"result{number}"


def call_kernel(module: Module, state: State, function: int, scalars: Collection[int] = ()) -> model.Module:
    """A verified program with one kernel, which calls `function` on the lane's arguments and keeps its results.

    Arguments whose number is in `scalars` are the same in all lanes. Raises `WasmError` for what is not supported: functions that call
    themselves, programs that are too large.
    """
    kind = module.type_of(function)
    kinds, results = types(kind.parameters), types(kind.results)
    parameters = {place: Value(kinds[place], argument(place)) for place in scalars}
    given = {
        place: Memory(argument(place), Space.BUFFER, each, is_writable=False)
        for place, each in enumerate(kinds)
        if place not in parameters
    }
    taken = [Memory(result(place), Space.BUFFER, each) for place, each in enumerate(results)]
    body = Region()
    build = Builder(body)
    lane = build.value("global_id")
    operands = [
        parameters[place] if place in parameters else build.load(given[place], lane) for place in range(len(kinds))
    ]
    for memory, value in zip(taken, build.call(function_name(function), operands, results), strict=True):
        build.store(memory, lane, value)
    build.store(RETURNED, lane, build.const(Type.U32, 1))
    build.end("return")
    kernel = Kernel(
        KERNEL,
        tuple(parameters[place] for place in sorted(parameters)),
        (*state.memories, *given.values(), *taken, RETURNED),
        body,
    )
    found = model.Module({KERNEL: kernel})
    for number in _callees_first(module, state, function):
        try:
            found.functions[function_name(number)] = lower(module, state, number)
        except WasmError as error:
            raise WasmError(error.rule, error.offset, function=module.name_of(number)) from None
    try:
        return verify(found)
    except IrError as error:
        if error.rule != "size":
            raise
        raise WasmError(f"too large to run: {error.text}", function=module.name_of(function)) from None


def _callees_first(module: Module, state: State, function: int) -> list[int]:
    """The functions that a function calls, also through others, and itself; `WasmError` where one calls itself."""
    imported = module.imported_functions
    calls: dict[int, list[int]] = {}
    todo = [function]
    while todo:
        number = todo.pop()
        if number in calls or number < imported:
            continue
        found: set[int] = set()
        for op, immediate, _ in module.bodies[number - imported].instructions:
            if op.name == "call":
                found.add(immediate)
            elif op.name == "call_indirect":
                found.update(candidates(state, *immediate))
        calls[number] = sorted(each for each in found if each >= imported)
        todo += calls[number]
    try:
        return list(graphlib.TopologicalSorter(calls).static_order())
    except graphlib.CycleError as error:
        way = " -> ".join(module.name_of(number) for number in reversed(error.args[1][:8]))
        raise WasmError(f"recursion is not supported: {way}", function=module.name_of(function)) from None
