"""How fast a learned loop is in lanes, beside the same loop as scalar C: nanoseconds of CPU time for a round of one lane.

>>> measure_lanes(loop)
{'ns': 0.41, 'scalar_ns': 4.3, 'times': 10.4}
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..backends.launch import Launch, check
from ..errors import TrapError, UsageError
from ..runtime.device import Device
from .batch import Batch, Prepared, Slices
from .inputs import FILLS, Inputs, inputs_for, readable
from .loop_library import LearnedLoop

if TYPE_CHECKING:
    from ..backends.launch import Array

LANES, ROUNDS = 512, 384
_TIMES, _REPEATS = 5, 4


def measure_lanes(loop: LearnedLoop) -> dict[str, float] | str:
    """`ns` of a round in lanes, `scalar_ns` of one in scalar C, and how many `times` faster lanes are; or why it was not measured."""
    try:
        inputs = usable_inputs(loop)
        with Device("cpu", isolated=False, events=False) as lanes:
            fast = seconds_a_round(loop, inputs, lanes)
        with Device("cpu", isolated=False, events=False, scalar=True, level="-O2") as scalar:
            slow = seconds_a_round(loop, inputs, scalar, tile=1)
    except (UsageError, TrapError) as error:
        return str(error)
    return {"ns": round(fast * 1e9, 3), "scalar_ns": round(slow * 1e9, 3), "times": round(slow / fast, 1)}


def usable_inputs(loop: LearnedLoop, lanes: int = LANES, rounds: int = ROUNDS) -> Inputs:
    """Inputs with which the loop goes round at least half as often as it should. `UsageError` where there are none.

    Of several memories that are only read the first that may be is for all lanes, as constants are.
    """
    shared = readable(loop.lifted)[:1]
    for fill in FILLS:
        inputs = inputs_for(loop.lifted, lanes, rounds, fill, shared)
        with Device("cpu", isolated=False, events=False) as device:
            found = prepare(loop, inputs).launch(device)
        if int(found.rounds.sum()) * 2 >= lanes * rounds:
            return inputs
    raise UsageError("data end it early")


def prepare(loop: LearnedLoop, inputs: Inputs, **layout: int) -> Prepared:
    """A run of the loop over copies of the inputs."""
    memory: dict[str, Slices | Array] = dict(inputs.tables)
    for name, rows in inputs.slices.items():
        memory[name] = Slices(rows, inputs.word_bytes, **layout)
    return Batch(loop).prepare(memory, inputs.registers, rounds=inputs.rounds, lanes=inputs.lanes)


def seconds_a_round(loop: LearnedLoop, inputs: Inputs, device: Device, **layout: int) -> float:
    """CPU time of a round of one lane, the least of some launches; stores are done again and again to the same places."""
    ready = prepare(loop, inputs, **layout)
    rounds = int(ready.launch(device).rounds.sum())
    module = ready.kernel.module
    launch = check(module.kernels["batch"], Launch(ready.lanes, ready.tile, *_split(ready)))
    taken = []
    for _ in range(_TIMES):
        began = time.process_time()
        for _ in range(_REPEATS):
            device.run(module, "batch", launch)
        taken.append((time.process_time() - began) / _REPEATS)
    return min(taken) / max(rounds, 1)


def _split(ready: Prepared) -> tuple[dict[str, int], dict[str, Array]]:
    scalars = {name: ready.arguments[name] for name in ready.kernel.definition.scalars}
    return scalars, {name: ready.arguments[name] for name in ready.kernel.definition.buffer_names}
