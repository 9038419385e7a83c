"""Instances of a module, one a lane: their state, and calls of functions that are one kernel."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ..backends.launch import DEFAULT_FUEL, Array, Launch, Outcome, Trap, check
from ..errors import LaunchError, TrapError, UsageError, WasmError
from ..frontends.wasm.areas import OUT_OF_MEMORY, OUT_OF_TABLE
from ..frontends.wasm.constants import evaluate
from ..frontends.wasm.kernels import KERNEL, RETURNED, argument, result
from ..frontends.wasm.module import PAGE_BYTES, Mode
from ..frontends.wasm.numeric import TYPES
from ..frontends.wasm.state import Area
from ..ir.limits import MAX_LENGTH
from ..ir.model import Memory
from .device import DEFAULT_SECONDS, Device
from .program import shared_device
from .wasm_arguments import elements
from .wasm_code import WasmCode
from .wasm_imports import Given, check_given, host_functions

Results = Array | tuple[Array, ...] | None


class Instances:
    """Instances of a module, one a lane: their memory, tables and globals live on from call to call.

    `imports` are functions of the host by ``module.name``, called with the lane's number and the operands, which give nothing, a number
    or a sequence of results; they need a device that was opened with ``isolated=False``. `fuel` bounds the ways round loops of a lane in a call,
    `seconds` the call. `spare` are buffers of others of the program, as many or more, that are needed no more: their memory is used again.

    Raises `TrapError` where a segment does not fit or the start function ends by a trap.
    """

    def __init__(
        self,
        program: WasmCode,
        lanes: int,
        *,
        device: str | Device = "cpu",
        imports: Given | None = None,
        fuel: int = DEFAULT_FUEL,
        seconds: float = DEFAULT_SECONDS,
        spare: Mapping[str, Array] = {},  # never changed
    ) -> None:
        self._spare = spare
        self.program, self.lanes = program, lanes
        self.device = shared_device(device) if isinstance(device, str) else device
        self.imports, self.fuel, self.seconds = imports or {}, fuel, seconds
        check_given(program.module, self.imports)
        self.outcome: Outcome | None = None
        """How the last call ended."""
        self.returned = np.ones(lanes, bool)
        """Lanes whose last call came to its end; others ended by a trap."""
        if lanes < 1:
            raise LaunchError(f"instances are one or more, not {lanes}")
        state, data = program.state, program.module.data
        self._segments = {state.data(n): np.frombuffer(each.content, np.uint8) for n, each in enumerate(data)} | {
            state.items(n): np.array(items, np.int32) for n, items in enumerate(state.start_items)
        }
        """What the buffers hold that all lanes share, beside tables."""
        self.buffers = {memory.name: self._new(memory) for memory in program.state.memories}
        self._fill()
        start = program.module.start
        if start is not None:
            self._run(start, ())

    def zeros(self, memory: Memory, count: int, *, is_cleared: bool = True) -> Array:
        """A new buffer of the instances, which need not be zero where it is not `is_cleared`; `LaunchError` where it would be too large."""
        if count > MAX_LENGTH:
            raise LaunchError(f"{self.lanes} lanes are too many: {memory.name} would have {count} elements; use fewer")
        spare = self._spare.get(memory.name)
        if spare is not None and 0 < count <= len(spare):
            found = spare[:count]
            rows = self.lanes if count % self.lanes == 0 else 1
            if not is_cleared or self.device.clear(found, rows):
                return found
        return self.device.zeros(count, memory.element.dtype)

    def _new(self, memory: Memory) -> Array:
        state = self.program.state
        for area in state.areas:
            if memory is area.buffer:
                return self.zeros(memory, area.stride * (1 if area.is_shared else self.lanes))
        if memory.is_writable:
            return self.zeros(memory, self.lanes)
        content = self._segments[memory]
        found = self.zeros(memory, len(content))
        found[:] = content
        return found

    def _fill(self) -> None:
        """What instances have before the start function: values of globals, sizes, active segments."""
        state, module = self.program.state, self.program.module
        for number, held in enumerate(state.globals):
            if held:
                bits = state.start_globals[number] & ((1 << held.element.bits) - 1)
                self.buffers[held.name].view(held.element.unsigned.dtype)[:] = bits
        for area in state.areas:
            if area.sizes:
                self.buffers[area.sizes.name][:] = area.minimum
        for table in state.tables:
            self.buffers[table.buffer.name][:] = -1
        for number, segment in enumerate(module.elements):
            if segment.mode is Mode.ACTIVE:
                at = evaluate(segment.at, state.start_globals)
                self._put(state.tables[segment.table], at, self._segments[state.items(number)], OUT_OF_TABLE)
        for number, data in enumerate(module.data):
            if data.mode is Mode.ACTIVE:
                assert state.memory
                at = evaluate(data.at, state.start_globals)
                self._put(state.memory, at, self._segments[state.data(number)], OUT_OF_MEMORY)

    def _put(self, area: Area, at: int, content: Array, reason: str) -> None:
        if at + len(content) > area.minimum * (PAGE_BYTES if area is self.program.state.memory else 1):
            raise TrapError("instantiation", 0, reason, None)
        rows = self.buffers[area.buffer.name].reshape(-1, area.stride) if area.stride else None
        if rows is not None:
            rows[:, at : at + len(content)] = content

    @property
    def memory(self) -> Array:
        """The memory of every lane, a row of bytes each, as long as it may grow; the instances see what is written.

        `UsageError` where the module has none.
        """
        area = self.program.state.memory
        if not area:
            raise UsageError("the module has no memory")
        return self.buffers[area.buffer.name].reshape(self.lanes, area.stride)

    @property
    def pages(self) -> Array:
        """How many pages of memory each lane has now."""
        area = self.program.state.memory
        if not area:
            return np.zeros(self.lanes, np.int32)
        return self.buffers[area.sizes.name] if area.sizes else np.full(self.lanes, area.minimum, np.int32)

    def call(self, name: str, *arguments: Any, raise_traps: bool = True) -> Results:  # noqa: ANN401  # numbers and arrays
        """Call an exported function in every lane.

        An argument is a number, the same in all lanes, or an array with an element for each. Integers are taken modulo their width, so
        that unsigned ones may be given. Gives an array with the result of each lane, signed for integers; a tuple of them where there
        are several, None where there is none. Raises `TrapError` for the lowest lane that ended by a trap, with the function's name,
        unless `raise_traps` is false: `returned` says which lanes have a result. `LaunchError` for arguments that do not fit,
        `WasmError` for what is not supported, `LimitError` as `Device.run`.
        """
        return self._run(self.program.function(name), arguments, raise_traps=raise_traps)

    def _run(self, function: int, given: tuple[Any, ...], *, raise_traps: bool = True) -> Results:
        module = self.program.module
        kind, name = module.type_of(function), module.name_of(function)
        if len(given) != len(kind.parameters):
            raise LaunchError(f"{name} takes {len(kind.parameters)} arguments, not {len(given)}: {kind}")
        if any(each.is_reference for each in (*kind.parameters, *kind.results)):
            raise WasmError("a call with references is not supported", function=name)
        scalars: dict[str, Any] = {}
        buffers = dict(self.buffers)
        for place, (each, value) in enumerate(zip(kind.parameters, given, strict=True)):
            found = elements(value, TYPES[each].dtype, f"{name}: argument {place}")
            if found.ndim == 0:
                scalars[argument(place)] = found.item()
            elif found.shape != (self.lanes,):
                raise LaunchError(
                    f"{name}: argument {place} has shape {found.shape}, not one element for each of {self.lanes} lanes"
                )
            else:
                buffers[argument(place)] = np.ascontiguousarray(found)
        results = [self.device.zeros(self.lanes, TYPES[each].dtype) for each in kind.results]
        buffers |= {result(place): array for place, array in enumerate(results)}
        buffers[RETURNED.name] = done = self.device.zeros(self.lanes, RETURNED.element.dtype)
        places = frozenset(place for place in range(len(given)) if argument(place) in scalars)
        program = self.program.kernel(function, places)
        kernel = program.kernels[KERNEL]
        for memory in kernel.buffers:
            if memory.name not in buffers:  # the frames of functions that call themselves; each call begins with none
                buffers[memory.name] = self.zeros(memory, self.lanes * self.program.state.stack_cells)
        functions = host_functions(module, program, self.imports)
        launch = Launch(self.lanes, kernel.group, scalars, buffers, self.fuel, host_functions=functions)
        self.outcome = self.device.run(program, KERNEL, check(kernel, launch), self.seconds)
        self.returned = done != 0
        if raise_traps and self.outcome.trap:
            raise self.trap_error(name, self.outcome.trap)
        if not results:
            return None
        return results[0] if len(results) == 1 else tuple(results)

    @cached_property
    def _begins(self) -> list[int]:
        return [body.offset for body in self.program.module.bodies]

    def reason(self, trap: Trap) -> tuple[str, int | None]:
        """Why a lane ended, in the specification's words, and the number of the function; None where that is not known."""
        reason = trap.reason
        if reason.startswith("index "):
            reason = OUT_OF_MEMORY if " outside memory[" in reason else OUT_OF_TABLE
        if trap.line is None:
            return reason, None
        return reason, self.program.module.imported_functions + bisect.bisect_right(self._begins, trap.line) - 1

    def trap_error(self, name: str, trap: Trap) -> TrapError:
        """The error of a trap: its reason in the specification's words, the function and the byte of the file."""
        reason, function = self.reason(trap)
        if function is not None:
            reason = f"{reason} in {self.program.module.name_of(function)}, byte {trap.line:#x}"
        return TrapError(name, trap.lane, reason, None)
