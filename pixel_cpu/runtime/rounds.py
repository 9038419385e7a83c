"""Runs of a function in all instances whose calls of imported functions the host serves between launches.

A lane that calls an imported function stops; its frames, the part to go on with and the operands lie in buffers. A launch ends when
every lane has ended, waits, or has used its share. The host then serves the lanes that wait, all that call one function at once, and the
next launch goes on. So that any device will do, and a loop without end holds up nobody.

>>> rounds = Rounds(program.instances(1000), "_start", host=Wasi(1000, arguments=["count"]))
>>> rounds.run()
>>> (rounds.states == LaneState.EXITED).all()
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backends.lane_c.prepared import NOT_COMPILED
from ..backends.launch import Array, Launch, Trap, check
from ..errors import LaunchError
from ..frontends.wasm.frames import HEAD
from ..frontends.wasm.module import PAGE_BYTES
from ..frontends.wasm.numeric import TYPES
from ..frontends.wasm.posts import COUNT, STREAMS, USED
from ..frontends.wasm.resumable import GROUP, KERNEL, PART, SHARE, SPENT, STATUS, WANTED, Resumable
from .host_calls import Host, LaneState, LaneTrap, Reply, Request
from .lane_frames import LaneFrames
from .wasm_arguments import elements
from .wasm_instances import Instances
from .wasm_translation import Translation

__all__ = [
    "DEFAULT_SHARE",
    "FIRST_AT_ONCE",
    "LEAST_AT_ONCE",
    "SHORT_SHARE",
    "SLICE_SECONDS",
    "Host",
    "LaneState",
    "LaneTrap",
    "Reply",
    "Request",
    "Rounds",
]

DEFAULT_SHARE = 1 << 16
"""Parts that a lane may run in a launch."""
FIRST_AT_ONCE, LEAST_AT_ONCE = 256, 16
"""Lanes that are interpreted by the first launch, and by one at least."""
SLICE_SECONDS = 0.25
"""What a launch that interprets should take."""
SHORT_SHARE = 4096
"""Parts that a lane without code is interpreted for, before its code is tried again."""


class Rounds:
    """A run of an exported function in all instances.

    `arguments` are as for `Instances.call`. `states` says for each lane what it does (`LaneState`), `fuel` how many parts of the program it
    ran, `calls` how often it called the host. `share` are the parts that a lane may run in a launch.

    Raises `UsageError` where there is no such function, `LaunchError` for arguments that do not fit, `WasmError` for what is not supported.
    """

    def __init__(
        self,
        instances: Instances,
        function: str,
        arguments: Sequence[Any] = (),
        *,
        host: Host,
        share: int = DEFAULT_SHARE,
    ) -> None:
        self.instances, self.host, self.share = instances, host, share
        self.module = instances.program.module
        lanes = instances.lanes
        number = instances.program.function(function)
        program = instances.program
        self.found = program.resumable(number, instances.device)
        self.translation: Translation | None = (
            program.translation(number) if program.is_tiered(instances.device) else None
        )
        self._at_once = FIRST_AT_ONCE
        self.number = number
        self.kind = self.module.type_of(number)
        kernel = self.found.program.kernels[KERNEL]
        if len(arguments) != len(self.kind.parameters):
            raise LaunchError(
                f"{function} takes {len(self.kind.parameters)} arguments, not {len(arguments)}: {self.kind}"
            )
        self.frames = LaneFrames(instances, self.found)
        self.own = self.frames.buffers
        every = np.arange(lanes)
        for place, (each, value) in enumerate(zip(self.kind.parameters, arguments, strict=True)):
            given = elements(value, TYPES[each].dtype, f"{function}: argument {place}")
            self.frames.put(every, np.zeros(lanes, np.int64), HEAD + place, given)
        names = {memory.name for memory in kernel.buffers}
        self.buffers = {name: array for name, array in (instances.buffers | self.own).items() if name in names}
        self.states = np.zeros(lanes, np.uint8)
        self.fuel, self.calls = np.zeros(lanes, np.int64), np.zeros(lanes, np.int64)
        self.until = np.zeros(lanes)
        """Until when a lane sleeps."""
        self.launches = 0
        self._is_asked = False
        """Whether there was a launch that the host has not answered yet."""
        self._reasons: dict[int, Trap] = {}

    @property
    def results(self) -> tuple[Array, ...]:
        """What the function gave, for lanes that are `RETURNED`."""
        lanes = np.arange(self.instances.lanes)
        return self.frames.values(lanes, np.zeros(len(lanes), np.int64), self.kind.results)

    def step(self) -> bool:
        """One launch, and the calls of the host that it ended with; gives whether a lane is left. Waits where all that are left sleep."""
        time.sleep(self.rest_s())
        self.launch()
        return self.answer()

    def rest_s(self) -> float:
        """Seconds until a lane has something to do: where all that are left sleep, and the host has answered."""
        if self._is_asked or (self.states == LaneState.RUNNABLE).any():
            return 0.0
        sleeping = self.states == LaneState.SLEEPING
        return max(0.0, float(self.until[sleeping].min()) - time.monotonic()) if sleeping.any() else 0.0

    def launch(self) -> None:
        """Run the lanes that can, until each ends, waits for the host, or has used its share."""
        self.states[(self.states == LaneState.SLEEPING) & (self.until <= time.monotonic())] = LaneState.RUNNABLE
        running = np.flatnonzero(self.states == LaneState.RUNNABLE)
        if len(running):
            self._is_asked = True
            self._launch(running)

    def answer(self) -> bool:
        """Let the host take what lanes have written, and serve those that wait; gives whether a lane is left."""
        self._is_asked = False
        self.take_posts()
        waiting = np.flatnonzero(self.states == LaneState.WAITING)
        wanted = self.own[WANTED.name][waiting]
        for number in np.unique(wanted):
            self._serve(int(number), waiting[wanted == number])
        return self.is_left

    @property
    def is_left(self) -> bool:
        """Whether a lane has not ended."""
        return bool((self.states <= LaneState.SLEEPING).any())

    def run(self) -> None:
        """Step until no lane is left."""
        while self.step():
            pass

    def kill(self, lanes: Sequence[int] | Array) -> None:
        """End lanes that have not ended."""
        chosen = np.asarray(lanes, np.int64)
        self.states[chosen[self.states[chosen] <= LaneState.SLEEPING]] = LaneState.KILLED

    def trap(self, lane: int) -> LaneTrap | None:
        """How a lane ended by a trap; None where it did not."""
        if self.states[lane] != LaneState.TRAPPED:
            return None
        found = self._reasons.get(lane)
        names = list(self.backtrace(lane))
        reason, place = ("trap", None) if found is None else self.instances.reason(found)
        function = names[0] if place is None else self.module.name_of(place)
        # A function that was put in the place of its calls has no frame.
        return LaneTrap(reason, function, tuple(names if function == names[0] else [function, *names]))

    def backtrace(self, lane: int) -> tuple[str, ...]:
        """Names of the functions that a lane is in, the innermost first; those that were put in place of their calls are not among them."""
        return self.frames.backtrace(lane)

    # One round

    def _launch(self, running: NDArray[np.int64]) -> None:
        """Run lanes until each has stopped; as long as they are interpreted some at a time, so that code takes over soon."""
        while len(running):
            code = self.translation.code if self.translation else None
            if code or not self.translation:
                stopped = self._run(code or self.found, running, self.share)
                if len(stopped):
                    self._go_on_without_code(stopped)
                return
            some, running = running[: self._at_once], running[self._at_once :]
            began = time.monotonic()
            self._run(self.found, some, self.share)
            took = time.monotonic() - began
            self._note_interpreted(took)
            self._at_once = max(LEAST_AT_ONCE, int(len(some) * min(SLICE_SECONDS / max(took, 1e-6), 64)))

    def _go_on_without_code(self, lanes: NDArray[np.int64]) -> None:
        """Lanes have come to functions without code: they are interpreted there, or code is made now."""
        assert self.translation
        wanted = {self.found.owners[part] for part in self.own[PART.name][lanes]}
        if self.found is self.translation.code:
            self.translation.make(wanted)
            self.found = self.translation.code
            return
        self.translation.begin(wanted)
        self._run(self.found, lanes, min(self.share, SHORT_SHARE))

    def _note_interpreted(self, seconds: float) -> None:
        """Let code be made where lanes have been interpreted for long."""
        assert self.translation
        self.translation.interpreted_seconds += seconds
        left = self.own[PART.name][self.states <= LaneState.SLEEPING]
        wanted = {self.number, *(self.found.owners[part] for part in np.unique(left[left >= 0]))}
        if self.translation.is_worth_it(self.found, wanted):
            self.translation.begin(wanted)

    def _run(self, found: Resumable, running: NDArray[np.int64], share: int) -> NDArray[np.int64]:
        """One launch of some lanes; those that came to what has no code, and can still run."""
        instances, program = self.instances, found.program
        kernel = program.kernels[KERNEL]
        if self.frames.posts is not None:
            self.frames.posts[:, STREAMS] = getattr(self.host, "streams", 0)
        status = self.own[STATUS.name]
        status[:] = LaneState.KILLED
        status[running] = LaneState.RUNNABLE
        launch = Launch(instances.lanes, GROUP, {SHARE: share}, self.buffers, instances.fuel, wants_traps=True)
        outcome = instances.device.run(program, KERNEL, check(kernel, launch), instances.seconds)
        self.launches += 1
        self.states[running] = status[running]
        traps = outcome.every_trap or ((outcome.trap,) if outcome.trap else ())
        stopped = np.array([trap.lane for trap in traps if trap.reason == NOT_COMPILED], np.int64)
        self.states[stopped] = LaneState.RUNNABLE
        self._reasons |= {trap.lane: trap for trap in traps}
        # A lane that ended by a trap does not say what it ran.
        told = running[self.states[running] != LaneState.TRAPPED]
        told = told[~np.isin(told, stopped)]
        self.fuel[told] += self.own[SPENT.name][told]
        return stopped

    def take_posts(self) -> None:
        """Let the host take what lanes have written since the last launch."""
        posts = self.frames.posts
        lanes = np.flatnonzero(posts[:, USED]) if posts is not None else ()
        if posts is None or not len(lanes):
            return
        self.host.take(lanes, posts[lanes, USED].astype(np.int64), self.frames.posted)  # type: ignore[attr-defined]
        self.calls[lanes] += posts[lanes, COUNT]
        posts[lanes, USED:] = 0

    def _serve(self, number: int, lanes: NDArray[np.int64]) -> None:
        kind, name = self.module.type_of(number), self.module.imported_name(number)
        first = self.frames.behind(lanes)
        operands = self.frames.values(lanes, first, kind.parameters)
        state = self.instances.program.state
        memory = self.instances.memory if state.memory else np.zeros((self.instances.lanes, 0), np.uint8)
        bytes_ = self.instances.pages[lanes].astype(np.int64) * PAGE_BYTES
        left = int((self.states <= LaneState.SLEEPING).sum())
        reply = self.host.serve(Request(name, lanes, operands, memory, bytes_, left))
        self.calls[lanes] += 1
        self.states[lanes] = LaneState.RUNNABLE
        if len(reply.results) != len(kind.results):
            raise LaunchError(f"the import {name} is {kind}, and its host gave {len(reply.results)} results")
        done = np.ones(len(lanes), bool) if reply.again is None else ~np.asarray(reply.again, bool)
        for place, (each, values) in enumerate(zip(kind.results, reply.results, strict=True)):
            bits = np.broadcast_to(np.asarray(values).astype(TYPES[each].dtype), lanes.shape)
            # Results lie where the operands do, which a lane that goes on waiting still has.
            self.frames.put(lanes[done], first[done], HEAD + place, bits[done])
        if reply.until is not None:
            self.until[lanes] = reply.until
            self.states[lanes[self.until[lanes] > 0]] = LaneState.SLEEPING
        self.states[lanes[~done]] = LaneState.WAITING
        if reply.ended is not None:
            self.states[lanes[np.asarray(reply.ended, bool)]] = LaneState.EXITED
