"""Kernels that call a function of a module in each lane."""

from __future__ import annotations

from collections.abc import Collection

from ...errors import IrError, WasmError
from ...ir import model
from ...ir.builder import Builder
from ...ir.model import Kernel, Memory, Region, Space, Value
from ...ir.types import Type
from ...ir.verifier import verify
from .calls import components, is_recursive
from .instructions import direct_call, function_name, types
from .lower import lower
from .machine import Machine
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

    Arguments whose number is in `scalars` are the same in all lanes. Raises `WasmError` for what is not supported, such as
    programs that are too large.
    """
    state.work = 0
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
    for memory, value in zip(taken, direct_call(build, module, function, operands), strict=True):
        build.store(memory, lane, value)
    build.store(RETURNED, lane, build.const(Type.U32, 1))
    build.end("return")
    found = model.Module()
    frames = []
    for members in _reached(module, state, function):
        try:
            if is_recursive(module, state, members):
                machine = Machine(module, state, members)
                frames.append(machine.frames)
                found.functions |= machine.functions()
            else:
                found.functions[function_name(members[0])] = lower(module, state, members[0])
        except WasmError as error:
            raise WasmError(error.rule, error.offset, function=module.name_of(members[0])) from None
    scalars_ = tuple(parameters[place] for place in sorted(parameters))
    memories = (*state.memories, *frames, *given.values(), *taken, RETURNED)
    found.kernels[KERNEL] = Kernel(KERNEL, scalars_, memories, body)
    try:
        return verify(found)
    except IrError as error:
        if error.rule != "size":
            raise
        raise WasmError(f"too large to run: {error.text}", function=module.name_of(function)) from None


def _reached(module: Module, state: State, function: int) -> list[tuple[int, ...]]:
    try:
        return components(module, state, function)
    except WasmError as error:
        raise WasmError(error.rule, function=module.name_of(function)) from None
