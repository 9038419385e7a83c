"""Calls of exported functions with slices, and of large ones in rounds: what `px.wasm` gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..backends.launch import Array
from ..errors import LaunchError, TrapError
from ..frontends.wasm.calls import components
from ..frontends.wasm.module import PAGE_BYTES, FunctionType, Kind
from ..frontends.wasm.numeric import TYPES
from ..frontends.wasm.opcodes import ValueType
from ..frontends.wasm.state import DEFAULT_STACK
from .rounds import LaneState, Reply, Request, Rounds
from .wasm import WasmProgram
from .wasm_arguments import lanes_of_call, sizes_of
from .wasm_imports import sequence
from .wasm_instances import Instances
from .wasm_slices import Slice, read, write

ALLOCATORS = {
    "__wbindgen_malloc": None,
    "malloc": "free",
    "alloc": "dealloc",
    "allocate": "deallocate",
    "cabi_realloc": None,
}
"""Functions that a module may export to give memory out, the first one is taken, and those that take it back.

What ``__wbindgen_malloc`` gave belongs to the function that it is passed to.
"""
MOST_DIRECT = 500
"""Instructions of a function with all that it calls, up to which a call is one kernel."""
_STRUCT_BYTES = 16
"""Memory for a result that a function writes where its first operand points: a pointer and a length, and what else it may have."""
_I32, _I64 = ValueType.I32, ValueType.I64


class Allocator:
    """Memory of all lanes from the module's own allocator."""

    def __init__(self, instances: Instances) -> None:
        self.instances = instances
        exports = instances.program.module.exports
        found = [each for each in ALLOCATORS if each in exports and exports[each].kind is Kind.FUNCTION]
        if not found:
            raise LaunchError(
                f"the module exports no function that gives memory for a slice ({', '.join(ALLOCATORS)}); in C export malloc, "
                'in Rust write `#[no_mangle] pub extern "C" fn alloc(bytes: usize) -> *mut u8`'
            )
        self.name = found[0]
        self.given: list[tuple[Array, Array, int]] = []

    def _call(self, name: str, pointers: Array | None, sizes: Array, align: int) -> Any:  # noqa: ANN401  # what the call gives
        """Call an allocator with as many operands as it has: pointer, size, alignment."""
        program = self.instances.program
        count = len(program.module.type_of(program.function(name)).parameters)
        if name == "cabi_realloc":
            operands: list[Any] = [0, 0, align, sizes]
        else:
            operands = [*([] if pointers is None else [pointers]), sizes, align]
        return call_by_size(self.instances, name, operands[:count])

    def give(self, sizes: Array, align: int) -> Array:
        """Pointers to `sizes` bytes in each lane."""
        pointers = (
            np.asarray(self._call(self.name, None, sizes.astype(np.int32), align)).view(np.uint32).astype(np.int64)
        )
        wrong = ((pointers == 0) & (sizes > 0)) | (
            pointers + sizes > self.instances.pages.astype(np.int64) * PAGE_BYTES
        )
        if wrong.any():
            lane = int(np.argmax(wrong))
            raise LaunchError(
                f"{self.name} has no {sizes[lane]} bytes in lane {lane}; px.wasm(path, pages=...) gives lanes more"
            )
        self.given.append((pointers, sizes, align))
        return pointers

    def take_back(self) -> None:
        """Free what was given, where the module has a function for that."""
        free = ALLOCATORS[self.name]
        exports = self.instances.program.module.exports
        if free and free in exports and exports[free].kind is Kind.FUNCTION:
            for pointers, sizes, align in self.given:
                self._call(free, pointers.astype(np.int32), sizes.astype(np.int32), align)


class _Imports:
    """Serves the functions of the host that instances were given, a lane at a time."""

    def __init__(self, instances: Instances) -> None:
        self.module, self.given = instances.program.module, instances.imports

    def serve(self, request: Request) -> Reply:
        """Call the function for each lane. `LaunchError` where none was given."""
        if request.name not in self.given:
            raise LaunchError(f"the module calls {request.name} of the host; give it with imports=")
        types = {self.module.imported_name(n): self.module.type_of(n) for n in range(self.module.imported_functions)}
        function = sequence(request.name, types[request.name], self.given[request.name])
        rows = [
            function(lane, *(operand[place].item() for operand in request.operands))
            for place, lane in enumerate(request.lanes.tolist())
        ]
        kinds = types[request.name].results
        return Reply(tuple(np.array([row[n] for row in rows], TYPES[each].dtype) for n, each in enumerate(kinds)))


def call_by_size(instances: Instances, name: str, operands: Sequence[Any], *, raise_traps: bool = True) -> Any:  # noqa: ANN401  # what a call gives
    """Call a function as `Instances.call` does: a small one directly, a large one in rounds, which compile in a fraction of the time."""
    program = instances.program
    module, number = program.module, program.function(name)
    program.restore()
    reached = [each for members in components(module, program.state, number) for each in members]
    if sum(len(module.bodies[each - module.imported_functions].instructions) for each in reached) <= MOST_DIRECT:
        return Instances.call(instances, name, *operands, raise_traps=raise_traps)
    rounds = Rounds(instances, name, operands, host=_Imports(instances))
    rounds.run()
    instances.returned = rounds.states == LaneState.RETURNED
    if raise_traps and not instances.returned.all():
        lane = int(np.argmin(instances.returned))
        trap = rounds.trap(lane)
        raise TrapError(name, lane, trap.reason if trap else "it did not return", None)
    return rounds.results[0] if len(rounds.results) == 1 else rounds.results or None


def has_slices(arguments: Sequence[Any], returns: DTypeLike | None) -> bool:
    """Whether a call passes slices or gives one."""
    return returns is not None or any(isinstance(each, Slice) for each in arguments)


def call_with_slices(
    instances: Instances,
    name: str,
    given: Sequence[Any],
    returns: DTypeLike | None,
    *,
    raise_traps: bool,
    is_last: bool,
) -> Any:  # noqa: ANN401  # what a call gives
    """Call a function with slices among its arguments; see `Instances.call`. After the last call of instances nothing is freed."""
    module = instances.program.module
    kind = module.type_of(instances.program.function(name))
    allocator = Allocator(instances)
    lanes = instances.lanes
    operands: list[Any] = []
    structs: Array | None = None
    width = sum(2 if isinstance(each, Slice) else 1 for each in given)
    if returns is not None and not kind.results and len(kind.parameters) == width + 1:
        structs = allocator.give(np.full(lanes, _STRUCT_BYTES), 8)
        operands.append(structs.astype(np.int32))
    outputs: list[tuple[Array, Array, np.dtype[Any]]] = []
    for each in given:
        if not isinstance(each, Slice):
            operands.append(each)
            continue
        rows = each.rows(lanes)
        pointers = allocator.give(np.array([row.nbytes for row in rows], np.int64), rows[0].dtype.itemsize)
        write(instances, pointers, rows)
        counts = np.array([len(row) for row in rows], np.int64)
        operands += [pointers.astype(np.int32), counts.astype(np.int32)]
        if each.is_output:
            outputs.append((pointers, counts, rows[0].dtype))
    results = call_by_size(instances, name, operands, raise_traps=raise_traps)
    returned = instances.returned
    found: list[Any] = []
    if returns is None:
        found += [] if results is None else list(results) if isinstance(results, tuple) else [results]
    else:
        pointers, counts = _pairs(instances, kind, results, structs)
        found.append(read(instances, pointers * returned, counts * returned, np.dtype(returns)))
    found += [read(instances, *output) for output in outputs]
    if not is_last:
        allocator.take_back()
    instances.returned = returned
    return None if not found else found[0] if len(found) == 1 else tuple(found)


def _pairs(instances: Instances, kind: FunctionType, results: Any, structs: Array | None) -> tuple[Array, Array]:  # noqa: ANN401  # what the call gave
    """Pointers and numbers of elements that a function gave."""
    if structs is not None:
        pairs = np.stack([instances.memory[lane, at : at + 8].copy().view("<u4") for lane, at in enumerate(structs)])
        return pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)
    if kind.results == (_I32, _I32):
        return tuple(each.view(np.uint32).astype(np.int64) for each in results)
    if kind.results == (_I64,):
        return results & 0xFFFFFFFF, results >> 32 & 0xFFFFFFFF
    raise LaunchError(
        f"{kind} gives no slice: that is two i32 (pointer and length), an i64 with the length in its upper half, or none "
        "and a first operand that points to where both are written"
    )


class SliceInstances(Instances):
    """Instances whose functions take slices."""

    def call(
        self,
        name: str,
        *arguments: Any,  # noqa: ANN401  # numbers, arrays and slices
        raise_traps: bool = True,
        returns: DTypeLike | None = None,
    ) -> Any:  # noqa: ANN401  # what a call gives
        """As `Instances.call`; an argument may be a `Slice`, too.

        With `returns`, a type such as ``"f4"``, the function gives a slice of such elements: the result is an array with a row for each lane, or a list of
        arrays where they have different lengths. `LaunchError` where the module gives no memory out.
        """
        if has_slices(arguments, returns):
            return call_with_slices(self, name, arguments, returns, raise_traps=raise_traps, is_last=False)
        return super().call(name, *arguments, raise_traps=raise_traps)


class SliceProgram(WasmProgram):
    """A module whose functions take slices."""

    def instances(self, lanes: int, **options: Any) -> SliceInstances:  # noqa: ANN401  # those of `Instances`
        """New instances, as `WasmProgram.instances`."""
        return SliceInstances(self, lanes, **options)

    def call(
        self,
        name: str,
        *arguments: Any,  # noqa: ANN401  # numbers, arrays and slices
        lanes: int | None = None,
        returns: DTypeLike | None = None,
        **options: Any,  # noqa: ANN401  # those of `Instances`
    ) -> Any:  # noqa: ANN401  # what a call gives
        """Call an exported function once in each of `lanes` new instances: what `SliceInstances.call` gives.

        Without `lanes` there are as many as the arrays have elements and the slices rows, or one. Options are those of `Instances`.
        """
        if not has_slices(arguments, returns):
            return super().call(name, *arguments, lanes=lanes, **options)
        sizes = {each.lanes for each in arguments if isinstance(each, Slice) and each.lanes is not None}
        instances = self.instances(lanes_of_call(name, sizes | sizes_of(arguments), lanes), **options)
        return call_with_slices(instances, name, arguments, returns, raise_traps=True, is_last=True)


def wasm(
    source: str | Path | bytes,
    *,
    pages: int | None = None,
    stack: int = DEFAULT_STACK,
    globals: Mapping[str, int | float] = {},  # never changed
) -> SliceProgram:
    """The module in a ``.wasm`` file, or in its bytes.

    `pages` of 64 KiB are what the memory of a lane may grow to, `stack` the bytes of a lane for frames of functions that call themselves,
    `globals` the values of imported globals, by ``module.name``. An imported memory or table is each instance's own, empty at the start.

    Raises `WasmError` for a module that is malformed, invalid or not supported, `UsageError` for a file that is not there.
    """
    return SliceProgram.read(source, pages, stack, globals)
