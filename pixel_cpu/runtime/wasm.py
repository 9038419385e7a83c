"""Modules of WebAssembly on lanes: each lane is an instance with its own memory, tables and globals.

>>> import pixel_cpu as px
>>> program = px.wasm("sums.wasm")
>>> program.call("add", np.arange(1000, dtype="i4"), 5)
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..backends.launch import DEFAULT_FUEL, Array, Launch, Outcome, Trap, check
from ..errors import LaunchError, TrapError, UsageError, WasmError
from ..frontends.wasm import decode
from ..frontends.wasm.areas import OUT_OF_MEMORY, OUT_OF_TABLE
from ..frontends.wasm.constants import evaluate
from ..frontends.wasm.decode import MAX_FILE_BYTES
from ..frontends.wasm.kernels import KERNEL, RETURNED, argument, call_kernel, result
from ..frontends.wasm.module import PAGE_BYTES, Kind, Mode
from ..frontends.wasm.module import Module as WasmModule
from ..frontends.wasm.numeric import TYPES
from ..frontends.wasm.resumable import KERNEL as GO_ON
from ..frontends.wasm.resumable import Resumable, likely, resumable
from ..frontends.wasm.state import DEFAULT_STACK, Area, State
from ..ir.limits import MAX_LENGTH
from ..ir.model import Memory, Module, Region
from .backends import is_there, prepare
from .device import DEFAULT_SECONDS, Device
from .program import shared_device
from .wasm_cache import fetch, keep, key_of
from .wasm_imports import Given, check_given, host_functions

Results = Array | tuple[Array, ...] | None


def _bytes_of(source: str | Path | bytes) -> tuple[bytes, str]:
    """A module's bytes, and what errors call it."""
    if isinstance(source, bytes):
        return source, ""
    file = Path(source)
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{file} has more than {MAX_FILE_BYTES >> 20} MiB, which is not supported")
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    return data, str(file)


def lanes_of_call(name: str, sizes: set[int], lanes: int | None) -> int:
    """The lanes of a call whose arrays are for so many: as many as is said, or as they agree on, or one."""
    if lanes is not None:
        return lanes
    if len(sizes) > 1:
        raise LaunchError(f"{name}: the arrays have different lengths: {sorted(sizes)}; give an element for each lane")
    return sizes.pop() if sizes else 1


def sizes_of(arguments: Iterable[Any]) -> set[int]:
    """The lanes that each array among arguments has an element for."""
    return {len(each) for each in arguments if isinstance(each, (np.ndarray, list, tuple)) and np.ndim(each) == 1}


class WasmProgram:
    """A module that can be instantiated on lanes. `module` says what it has."""

    key = ""
    """What the program is called in the cache; empty where it is not kept."""
    data = b""
    """The module's bytes, where its functions may have been left out because they are translated already."""

    def __init__(
        self, module: WasmModule, pages: int | None = None, stack: int = DEFAULT_STACK, *, state: State | None = None
    ) -> None:
        self.module = module
        self.state = state or State(module, pages, stack)
        self._kernels: dict[tuple[int, frozenset[int]], Module] = {}
        self._resumable: dict[tuple[int, bool, bool], Resumable] = {}
        self._whole: dict[int, Resumable] = {}
        """With all its code."""

    @classmethod
    def read(cls, source: str | Path | bytes, pages: int | None = None, stack: int = DEFAULT_STACK) -> Self:
        """The module in a ``.wasm`` file, or in its bytes; what it was translated to before comes out of the cache.

        `pages` of 64 KiB are what the memory of a lane may grow to, `stack` the bytes of a lane for frames of functions that call themselves.

        Raises `WasmError` for a module that is malformed, invalid or not supported, `UsageError` for a file that is not there.
        """
        data, name = _bytes_of(source)
        key = key_of(data, pages, stack)
        found = fetch(key)
        state = found if isinstance(found, State) else State(decode(data, name), pages, stack)
        program = cls(state.module, pages, stack, state=state)
        program.key, program.data = key, data
        return program

    def kernel(self, function: int, scalars: frozenset[int] = frozenset()) -> Module:
        """The program of the IR that calls a function by its number; arguments in `scalars` are the same in all lanes."""
        if (function, scalars) not in self._kernels:
            self.restore()
            self._kernels[function, scalars] = call_kernel(self.module, self.state, function, scalars)
        return self._kernels[function, scalars]

    def resumable(self, function: int, device: Device) -> Resumable:
        """The program of the IR that runs a function by its number in rounds; see `rounds`. What the software GPU makes of it is kept."""
        is_apart = device.backend != "wgpu"
        is_kept = device.backend == "cpu" and not device.options
        if (function, is_apart, is_kept) not in self._resumable:
            key = f"{self.key}-{function}"
            found = fetch(key) if is_kept and self.key else None
            if not isinstance(found, Resumable) or not is_there(device.backend, found.program.compiled[GO_ON]):
                self.restore()
                found = resumable(self.module, self.state, function, is_apart=is_apart)
                if is_kept:
                    self._whole[function] = found
                    self._compile(found, function, {function})
            self._resumable[function, is_apart, is_kept] = found
        return self._resumable[function, is_apart, is_kept]

    def extend(self, found: Resumable, function: int, wanted: Collection[int], device: Device) -> None:
        """Compile functions that were left out of what runs `function`, which lanes have come to."""
        device.forget(found.program)
        self._compile(found, function, wanted)

    def _compile(self, found: Resumable, function: int, wanted: Collection[int]) -> None:
        """Compile functions and what they are likely to call, beside those that are compiled; and keep it."""
        self.restore()
        if function not in self._whole:
            self._whole[function] = resumable(self.module, self.state, function, is_apart=True)
        whole = self._whole[function]
        compiled = found.program.compiled
        more = likely(self.module, whole.sizes.keys() - found.ready, wanted)
        parts = whole.parts_of(more)
        made = prepare("cpu", whole.program, GO_ON, only=parts, before=compiled.get(GO_ON))
        if made is None:
            return
        compiled[GO_ON] = made
        found.ready.update(more)
        if self.key:
            kernel = replace(whole.program.kernels[GO_ON], body=Region())
            keep(f"{self.key}-{function}", replace(found, program=Module({GO_ON: kernel}, compiled=dict(compiled))))
            keep(self.key, self.state.without_code())

    def restore(self) -> None:
        """Bring the code of functions back, where the module came from the cache without it."""
        bodies = self.module.bodies
        if bodies and not bodies[0].instructions:
            self.module.bodies[:] = decode(self.data).bodies

    def function(self, name: str) -> int:
        """The number of an exported function; `UsageError` where there is none."""
        found = self.module.exports.get(name)
        if found is None or found.kind is not Kind.FUNCTION:
            names = [each.name for each in self.module.exports.values() if each.kind is Kind.FUNCTION]
            raise UsageError(f"there is no exported function {name!r}; the module has {', '.join(names) or 'none'}")
        return found.index

    def instances(self, lanes: int, **options: Any) -> Instances:  # noqa: ANN401  # those of `Instances`
        """New instances of the module, one a lane; its start function has run. Options are those of `Instances`."""
        return Instances(self, lanes, **options)

    def call(self, name: str, *arguments: Any, lanes: int | None = None, **options: Any) -> Results:  # noqa: ANN401  # numbers and arrays
        """Call an exported function once in each of `lanes` new instances; what `Instances.call` gives.

        Without `lanes` there are as many as the arrays have elements, or one. Options are those of `Instances`.
        """
        return self.instances(lanes_of_call(name, sizes_of(arguments), lanes), **options).call(name, *arguments)


class Instances:
    """Instances of a module, one a lane: their memory, tables and globals live on from call to call.

    `imports` are functions of the host by ``module.name``, called with the lane's number and the operands, which give nothing, a number
    or a sequence of results; they need a device that was opened with ``isolated=False``. `fuel` bounds the ways round loops of a lane in a call,
    `seconds` the call.

    Raises `TrapError` where a segment does not fit or the start function ends by a trap.
    """

    def __init__(
        self,
        program: WasmProgram,
        lanes: int,
        *,
        device: str | Device = "cpu",
        imports: Given | None = None,
        fuel: int = DEFAULT_FUEL,
        seconds: float = DEFAULT_SECONDS,
    ) -> None:
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

    def zeros(self, memory: Memory, count: int) -> Array:
        """A new buffer of the instances; `LaunchError` where it would be too large."""
        if count > MAX_LENGTH:
            raise LaunchError(f"{self.lanes} lanes are too many: {memory.name} would have {count} elements; use fewer")
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


def elements(value: Any, dtype: np.dtype[Any], what: str) -> Array:  # noqa: ANN401  # what the caller gave
    """Numbers as a type; integers modulo its width."""
    found = np.asarray(value)
    if found.dtype.kind not in "iufb" or (dtype.kind == "i" and found.dtype.kind == "f") or found.ndim > 1:
        raise LaunchError(f"{what} is {dtype}, a number or an array of one dimension, which {value!r} is not")
    if dtype.kind == "i" and found.ndim == 0:
        bits = dtype.itemsize * 8
        number = int(found)
        if not -(1 << (bits - 1)) <= number < 1 << bits:
            raise LaunchError(f"{what} is {dtype}, which does not hold {number}")
    return found.astype(dtype)
