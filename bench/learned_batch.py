"""Learned loops in lanes, beside their own machine code on this host: CPU time of a round, per core."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from pixel_cpu.backends.launch import Array
from pixel_cpu.errors import LiftError, TrapError, UsageError
from pixel_cpu.frontends.x86.registers import GENERAL
from pixel_cpu.learn.inputs import Inputs
from pixel_cpu.learn.loop_library import LearnedLoop
from pixel_cpu.learn.speed import prepare, seconds_a_round, usable_inputs
from pixel_cpu.runtime.device import Device

from .figures import Figure
from .machine_code import COLUMNS, native

WANTED, TIMES = 3, 8.0
"""So many loops are to be so many times faster in lanes."""
_LONGER = 8
_STACK_BYTES = 1 << 16
"""Free memory below what a register points to: it may be the stack pointer, and signals come."""
_RUNS, _REPEATS = 7, 4


def figures(loops: Iterable[LearnedLoop]) -> list[Figure]:
    """A row for each loop that can be measured, and one for how many are `TIMES` faster."""
    rows = sorted(_rows(loops), key=lambda figure: -figure.value)
    enough = sum(row.value >= TIMES for row in rows)
    names = ", ".join(row.name.split()[1] for row in rows if row.value >= TIMES)
    return [*rows, Figure(f"batch: loops {TIMES:g} x native", enough, "", f">= {WANTED}", names)]


def _rows(loops: Iterable[LearnedLoop]) -> Iterator[Figure]:
    with Device("cpu", isolated=False, events=False) as device:
        for loop in loops:
            try:
                inputs = usable_inputs(loop)
                compare(loop, inputs, device)
                alone = Native(loop, inputs)
            except (LiftError, UsageError, TrapError):
                continue
            rounds = int(prepare(loop, inputs).launch(device).rounds.sum())
            own = min(alone.seconds() for _ in range(_RUNS)) / rounds
            lanes = seconds_a_round(loop, inputs, device)
            detail = f"{lanes * 1e9:.2f} ns a round of a lane, {own * 1e9:.2f} native"
            yield Figure(f"batch: {loop.name} native / lanes", own / lanes, "x", "", detail)


def compare(loop: LearnedLoop, inputs: Inputs, device: Device) -> None:
    """That machine code and lanes give the same. `UsageError` where the loop is not left by itself, `RuntimeError` where they differ."""
    found = prepare(loop, replace(inputs, rounds=inputs.rounds + _LONGER)).launch(device)
    if (found.next == loop.lifted.machine_loop.head).any():
        raise UsageError("it is not left by itself")
    states = Native(loop, inputs).run()
    places = {
        *inputs.slices,
        *inputs.tables,
        *(name for name, value in inputs.registers.items() if isinstance(value, int)),
    }
    for name, values in found.registers.items():
        if name in GENERAL and name not in places:
            # What follows from an address is another here.
            same = states[:, GENERAL.index(name)] == values
            if not same.all() and (states[:, GENERAL.index(name)] >> 32 == 0).all():
                raise RuntimeError(f"{loop.name}: {name} is not what the processor gives")


class Native:
    """The loop's machine code, over registers and memory like the lanes'."""

    def __init__(self, loop: LearnedLoop, inputs: Inputs) -> None:
        self._go = native(loop.lifted)
        self._states = np.zeros((inputs.lanes, COLUMNS), np.uint64)
        self._memory: list[Array] = []
        bases: dict[str, Array] = {}
        for name, rows in (*inputs.slices.items(), *((name, table[None]) for name, table in inputs.tables.items())):
            self._memory.append(np.concatenate([np.zeros(_STACK_BYTES, np.uint8), rows.reshape(-1)]))
            first = self._memory[-1].ctypes.data + _STACK_BYTES
            bases[name] = (first + np.arange(len(rows)) * rows.shape[1]).astype(np.uint64)
        for name in (each for each in loop.lifted.live_in if each in GENERAL):
            value = inputs.registers[name]
            column = self._states[:, GENERAL.index(name)]
            column[:] = value % (1 << 64) if isinstance(value, int) else value
            column += bases.get(inputs.ends.get(name, name), np.uint64(0))

    def run(self) -> Array:
        """The registers of all lanes after the loop."""
        states = self._states.copy()
        self._go(states.ctypes.data, len(states))
        return states

    def seconds(self) -> float:
        """CPU time of all lanes."""
        began = time.process_time()
        for _ in range(_REPEATS):
            self.run()
        return (time.process_time() - began) / _REPEATS
