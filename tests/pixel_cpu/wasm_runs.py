"""A module on lanes beside wasmtime: the same calls, one instance of wasmtime for each lane, and what must be equal after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import wasmtime
from wasm_texts import engine

from pixel_cpu.backends.lane_c.executable import compile_kernels
from pixel_cpu.backends.launch import Executable, Launch, Outcome
from pixel_cpu.backends.reference import Executor
from pixel_cpu.ir.model import Module
from pixel_cpu.runtime.wasm import WasmProgram
from pixel_cpu.runtime.wasm_instances import Instances

REASONS = {
    wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO: "integer divide by zero",
    wasmtime.TrapCode.INTEGER_OVERFLOW: "integer overflow",
    wasmtime.TrapCode.BAD_CONVERSION_TO_INTEGER: "invalid conversion to integer",
    wasmtime.TrapCode.UNREACHABLE: "unreachable",
    wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS: "out of bounds memory access",
    wasmtime.TrapCode.BAD_SIGNATURE: "indirect call type mismatch",
    wasmtime.TrapCode.INDIRECT_CALL_TO_NULL: "uninitialized element",
    # wasmtime has one code and one message for calls through a table and for accesses to it.
    wasmtime.TrapCode.TABLE_OUT_OF_BOUNDS: ("undefined element", "out of bounds table access"),
}
"""Our words for wasmtime's codes."""


class Here:
    """A device that runs kernels in this process: by the reference, or by machine code of kernels that `compile` was given together."""

    def __init__(self) -> None:
        self._made: dict[int, Executable] = {}

    def compile(self, modules: Sequence[Module]) -> None:
        made = compile_kernels([(module, "call") for module in modules], level="-O1")
        self._made.update((id(module), each) for module, each in zip(modules, made, strict=True))

    def zeros(self, count: int, dtype: Any) -> np.ndarray:
        return np.zeros(count, dtype)

    def run(self, module: Module, kernel: str, launch: Launch, seconds: float) -> Outcome:
        return (self._made.get(id(module)) or Executor(module, kernel)).run(launch)


@dataclass
class Lane:
    """An instance of wasmtime."""

    store: wasmtime.Store
    instance: wasmtime.Instance

    def call(self, name: str, *arguments: int | float) -> tuple[Any, str | tuple[str, ...]]:
        """Results as a tuple, and why it ended by a trap or an empty text."""
        exports = self.instance.exports(self.store)
        try:
            found = exports[name](self.store, *arguments)
        except wasmtime.Trap as trap:
            return (), REASONS[trap.trap_code]
        return (tuple(found) if isinstance(found, list) else () if found is None else (found,)), ""

    def memory(self) -> np.ndarray:
        memory = self.instance.exports(self.store)["memory"]
        return np.frombuffer(bytes(memory.read(self.store)), np.uint8)

    def value(self, name: str) -> int | float:
        return self.instance.exports(self.store)[name].value(self.store)


def instances_of_wasmtime(data: bytes, lanes: int) -> list[Lane]:
    """An instance for each lane."""
    module = wasmtime.Module(engine(), data)
    found = []
    for _ in range(lanes):
        store = wasmtime.Store(engine())
        found.append(Lane(store, wasmtime.Instance(store, module, [])))
    return found


def is_same(ours: Any, theirs: Any) -> bool:
    """Whether two numbers have the same bits; any NaN is any other."""
    if isinstance(theirs, float):
        wanted = np.asarray(theirs, ours.dtype)
        return bool(np.isnan(ours) and np.isnan(wanted)) or ours.tobytes() == wanted.tobytes()
    return int(ours) == int(theirs)


def compare_calls(
    ours: Instances, theirs: Sequence[Lane], name: str, arguments: Sequence[np.ndarray], *, reasons: bool = True
) -> list[str | tuple[str, ...]]:
    """Call a function in every lane of both; `AssertionError` where a lane differs. Gives wasmtime's reasons for traps, by lane."""
    found = ours.call(name, *arguments, raise_traps=False)
    results = found if isinstance(found, tuple) else () if found is None else (found,)
    why = []
    for number, lane in enumerate(theirs):
        own = [each[number].item() for each in arguments]
        wanted, trap = lane.call(name, *own)
        why.append(trap)
        what = f"{name}{tuple(own)} in lane {number}"
        assert bool(ours.returned[number]) == (not trap), f"{what}: {trap or 'no trap'} there; here {ours.outcome.trap}"
        if not trap:
            got = [each[number] for each in results]
            assert all(map(is_same, got, wanted)), f"{what}: {wanted} there, {got} here"
    trapped = [number for number, trap in enumerate(why) if trap]
    if trapped and reasons:
        error = ours.trap_error(name, ours.outcome.trap)
        assert error.lane == trapped[0] and error.reason.startswith(why[trapped[0]]), f"{name}: {why} there; {error}"
    return why


def compare_state(ours: Instances, theirs: Sequence[Lane], globals_: Mapping[str, int]) -> None:
    """Compare memory and globals; `globals_` are exported names and numbers."""
    for number, lane in enumerate(theirs):
        memory = lane.memory()
        assert len(memory) == ours.pages[number] << 16
        differ = np.flatnonzero(ours.memory[number][: len(memory)] != memory)
        assert not differ.size, f"lane {number}: byte {differ[0]:#x} of the memory"
        for name, place in globals_.items():
            held = ours.program.state.globals[place]
            assert held and is_same(ours.buffers[held.name][number], lane.value(name)), f"lane {number}: {name}"


def program_of(data: bytes, pages: int | None = None) -> WasmProgram:
    return WasmProgram.read(data, pages)
