"""What a candidate of `synthesise` gains: CPU time of the loop as scalar C, as it is and with the candidate, over the same inputs."""

from __future__ import annotations

import time

import numpy as np

from ..backends.lane_c.executable import compile_kernel
from ..backends.launch import Array, Launch, check
from ..errors import UsageError
from ..ir.model import Module
from .inputs import FILLS, Inputs, inputs_for
from .loop_library import LearnedLoop
from .prove import entry_of

ROUNDS = 40_000
_TIMES = 7


def measure_gain(loop: LearnedLoop, candidate: Module, tables: bytes, contract: dict[str, object]) -> float:
    """How many times less CPU time; `UsageError` where the loop cannot be run. `RuntimeError` where registers differ."""
    for fill in FILLS:
        inputs = inputs_for(loop.lifted, 1, ROUNDS, fill)
        taken, found = [], []
        for module in (loop.lifted.module, candidate):
            seconds, out = _run(module, loop, inputs, tables, contract)
            taken.append(seconds)
            found.append(out)
        if int(found[0][0]) * 2 < ROUNDS:
            continue
        if not np.array_equal(found[0], found[1]):
            raise RuntimeError(f"{loop.name}: the candidate gives {found[1].tolist()}, the loop {found[0].tolist()}")
        return taken[0] / taken[1]
    raise UsageError("data end it early")


def _run(
    module: Module, loop: LearnedLoop, inputs: Inputs, tables: bytes, contract: dict[str, object]
) -> tuple[float, Array]:
    entry = entry_of(module.functions["loop"])
    kernel = entry.kernels["entry"]
    memory, bases = _memory(inputs, contract)
    values: dict[str, int] = {"shift": 0, "head": loop.lifted.machine_loop.head, "limit": ROUNDS}
    for name in loop.lifted.live_in:
        given = inputs.registers.get(name, 0)
        own = int(given) if isinstance(given, int) else int(given[0])
        values[name] = (own + bases.get(inputs.ends.get(name, name), 0)) % (1 << 64)
    scalars = {name: bool(values[name]) if kind.bits == 1 else values[name] for name, kind in kernel.scalars.items()}
    out = np.zeros(len(module.functions["loop"].results), np.uint64)
    buffers: dict[str, Array] = {"memory": memory, "out": out, "tables": np.frombuffer(tables, "<u4")}
    given_buffers = {name: buffers[name] for name in kernel.buffer_names}
    ready = compile_kernel(entry, "entry", scalar=True, level="-O2")
    launch = check(kernel, Launch(1, 1, scalars, given_buffers))
    taken = []
    for number in range(_TIMES):
        memory[:] = _memory(inputs, contract)[0]
        began = time.process_time()
        outcome = ready.run(launch)
        if number:
            taken.append(time.process_time() - began)
        if outcome.trap:
            raise UsageError(f"it traps: {outcome.trap.reason}")
    return min(taken), out.copy()


def _memory(inputs: Inputs, contract: dict[str, object]) -> tuple[Array, dict[str, int]]:
    """All memory in one piece, and where each register's begins."""
    parts: list[Array] = [np.zeros(64, np.uint8)]
    bases: dict[str, int] = {}
    for name, rows in (*inputs.slices.items(), *inputs.tables.items()):
        own = rows.reshape(-1)
        if contract.get("at") == name:
            own = np.frombuffer(bytes.fromhex(str(contract["contents"])), np.uint8)
        bases[name] = sum(map(len, parts))
        parts += [own, np.zeros(-len(own) % 64 + 64, np.uint8)]
    return np.concatenate(parts), bases
