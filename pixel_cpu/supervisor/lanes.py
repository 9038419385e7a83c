"""Lanes as processes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backends.launch import OUT_OF_FUEL
from ..errors import UsageError
from ..runtime.device import Device
from ..runtime.lane_memory import lanes_of_wave
from ..runtime.printed import Part, Printed
from ..runtime.rounds import LaneState, LaneTrap
from ..runtime.wasm import WasmProgram
from .table import FROM_STATE, NAMES, NO_CODE, TABLE, Event, Status
from .wave import MakeHost, Watched, Wave, check_program

LEAST_LANES = 512
"""Lanes of a wave, at least, that is split off so that the host can serve it while others run."""


class Processes:
    """A WASI program in `lanes` lanes, each a process.

    `make_host` gives the host of some lanes by their numbers; `memory` bounds the bytes of lanes that run at once, `fuel` the ways round
    loops of a lane, which ends by a trap beyond. `whole` is a context in which the host serves a round, for who must not be interrupted there.
    Many lanes are two waves at once, so that the host serves one while the other runs, unless `is_split` is false.

    Raises `UsageError` for a module that is no program, `LimitError` where not even one lane fits.
    """

    def __init__(
        self,
        program: WasmProgram,
        lanes: int,
        make_host: MakeHost,
        *,
        device: Device,
        memory: int | None = None,
        fuel: int | None = None,
        seconds: float = 1e9,
        whole: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
        is_split: bool = True,
        **options: Any,  # noqa: ANN401  # those of `Rounds`
    ) -> None:
        check_program(program)
        self.program, self.lanes, self.make_host, self.device = program, lanes, make_host, device
        self.fuel, self.seconds, self.whole, self.options = fuel, seconds, whole, options
        most = lanes_of_wave(program, device, memory)
        self._in_flight = 2 if is_split and min(most, lanes) >= 2 * LEAST_LANES else 1
        self.wave_lanes = -(-min(most, lanes) // 2) if self._in_flight == 2 else most
        """How many lanes run at once, as a wave."""
        self.waves = self.rounds = 0
        """Waves that were begun, and dispatches so far."""
        self.pids = np.arange(1, lanes + 1)
        self._next_pid = lanes + 1
        self._queue = np.arange(lanes)
        self._status = np.zeros(lanes, np.uint8)
        self._codes = np.full(lanes, NO_CODE, np.int64)
        self._fuel, self._memory, self._calls = (np.zeros(lanes, np.int64) for _ in range(3))
        self._traps: dict[int, LaneTrap] = {}
        self.printed = Printed()
        """What lanes have printed."""
        self._reaped = np.zeros(lanes, bool)
        self._waves: list[Wave] = []
        """Those that are under way; the first one is launched next, while the host answers the others."""
        self._events: list[Event] = []

    @property
    def is_done(self) -> bool:
        """Whether no lane runs, and none will."""
        return not self._waves and not len(self._queue)

    @property
    def waves_left(self) -> int:
        """Waves that are still to begin."""
        return -(-len(self._queue) // self.wave_lanes)

    def step(self) -> list[Event]:
        """One dispatch, and the host's answers to what lanes call there; what happened to lanes, also by `kill` before."""
        while len(self._queue) and len(self._waves) < self._in_flight:
            self._waves.append(self._begin())
        if self._waves:
            time.sleep(min(wave.rounds.rest_s() for wave in self._waves))
            self._round()
            self.rounds += 1
        found, self._events = self._events, []
        return found

    def _begin(self, before: Wave | None = None) -> Wave:
        """The wave of the next lanes in the queue, in memory of one that has ended."""
        lanes = self._queue[: self.wave_lanes]
        host = Watched(self.make_host(lanes, Part(self.printed, lanes)), len(lanes), self.whole)
        found = Wave(
            self.program,
            lanes,
            host,
            self.device,
            fuel=self.fuel,
            seconds=self.seconds,
            before=before,
            **self.options,
        )
        self._queue = self._queue[self.wave_lanes :]
        self.waves += 1
        self._status[lanes] = Status.RUNNING
        self._events += [Event("started", lane, int(self.pids[lane])) for lane in lanes.tolist()]
        return found

    def _round(self) -> None:
        """A dispatch of the first wave, and beside it the host's answers to the others; one wave alone is answered behind it."""
        first, *others = self._waves
        if not others:
            first.rounds.launch()
            self._answer(first)
            return
        self._waves = [*others, first]
        if self.device.is_isolated:
            self.device.start()  # a process ends with the thread that started it
        with ThreadPoolExecutor(1, "launch") as beside:
            launched = beside.submit(first.rounds.launch)
            try:
                for wave in others:
                    self._answer(wave)
                launched.result()
            except BaseException:
                if not launched.done():
                    self.device.kill()
                raise

    def _answer(self, wave: Wave) -> None:
        """Let the host answer a wave; where that ends it, another one begins in its place."""
        wave.rounds.answer()
        if self.fuel is not None:
            self._end_by_fuel(wave, self.fuel)
        self._note(wave)
        if wave.ended.all() and len(self._queue):
            self._waves[self._waves.index(wave)] = self._begin(before=self._ended(wave))
        elif wave.ended.all():
            self._waves.remove(self._ended(wave))

    def run(self) -> None:
        """Steps until no lane is left."""
        while not self.is_done:
            self.step()

    def events(self) -> Iterator[Event]:
        """Run, and yield what happens to lanes, in the order of rounds and lanes."""
        while not self.is_done:
            yield from self.step()

    def _end_by_fuel(self, wave: Wave, fuel: int) -> None:
        spent = np.flatnonzero(~wave.ended & (wave.rounds.fuel > fuel) & (wave.rounds.states <= LaneState.SLEEPING))
        for place in spent.tolist():
            names = wave.rounds.backtrace(place)
            self._traps[int(wave.lanes[place])] = LaneTrap(OUT_OF_FUEL, names[0] if names else "", names)
        if len(spent):
            wave.rounds.kill(spent)

    def _note(self, wave: Wave) -> None:
        """Take what the wave's lanes have done into the table."""
        lanes, rounds = wave.lanes, wave.rounds
        status = FROM_STATE[rounds.states]
        self._fuel[lanes], self._calls[lanes] = rounds.fuel, rounds.calls
        self._memory[lanes] = wave.bytes
        fresh = np.flatnonzero((status >= Status.EXITED) & ~wave.ended)
        self._status[lanes] = np.where(wave.ended, self._status[lanes], status)
        wave.ended[fresh] = True
        if len(fresh):
            wave.host.host.finish(fresh)
        is_exit = status[fresh] == Status.EXITED
        ended = lanes[fresh[is_exit]]
        self._codes[ended] = wave.host.host.exit_codes[fresh[is_exit]]
        rows = zip(ended.tolist(), self.pids[ended].tolist(), self._codes[ended].tolist(), strict=True)
        events = [Event("exited", lane, pid, code) for lane, pid, code in rows]
        events += [self._end(wave, place, Status(int(status[place]))) for place in fresh[~is_exit].tolist()]
        self._events += events if is_exit.all() else sorted(events, key=lambda each: each.lane)

    def _end(self, wave: Wave, place: int, status: Status) -> Event:
        """Note a lane that ended before its time."""
        lane = int(wave.lanes[place])
        if status is Status.TRAPPED:
            found = wave.rounds.trap(place)
            assert found
            self._traps[lane] = found
        elif lane in self._traps:  # killed, as it had no fuel left
            status = Status.TRAPPED
        self._status[lane], self._codes[lane] = status, NO_CODE
        return Event(status.name.lower(), lane, int(self.pids[lane]), None, self._traps.get(lane))

    @staticmethod
    def _ended(wave: Wave) -> Wave:
        """The wave, whose host has nothing more to do."""
        wave.host.host.close()
        return wave

    def table(self) -> NDArray[Any]:
        """A row of dtype `TABLE` for each lane, by its number."""
        found = np.zeros(self.lanes, TABLE)
        found["lane"], found["pid"] = np.arange(self.lanes), self.pids
        found["status"] = NAMES[self._status]
        found["exit_code"], found["fuel"] = self._codes, self._fuel
        found["memory"], found["calls"] = self._memory, self._calls
        found["wait"][self._queue] = "wave"
        for wave in self._waves:
            waits = wave.rounds.states == LaneState.SLEEPING
            names = np.array([*(name.partition(".")[2] for name in wave.host.names), ""])
            found["wait"][wave.lanes[waits]] = names[wave.host.last[waits]]
        return found

    @property
    def has_ended(self) -> NDArray[np.bool_]:
        """Which lanes have ended."""
        found: NDArray[np.bool_] = self._status >= Status.EXITED
        return found

    def trap(self, lane: int) -> LaneTrap | None:
        """Why and where a lane ended by a trap; None for others."""
        return self._traps.get(lane)

    def output(self, lane: int) -> tuple[bytes, bytes]:
        """What a lane has printed so far: standard output, standard error."""
        return self.printed.read(lane, 1), self.printed.read(lane, 2)

    def kill(self, *lanes: int) -> None:
        """End lanes that have not ended: those that run, and those that wait for a wave."""
        given = self._checked(lanes)
        queued = given[np.isin(given, self._queue)]
        self._queue = self._queue[~np.isin(self._queue, queued)]
        self._status[queued] = Status.KILLED
        self._events += [Event("killed", lane, int(self.pids[lane])) for lane in queued.tolist()]
        for wave in tuple(self._waves):
            wave.rounds.take_posts()
            wave.rounds.kill(np.flatnonzero(np.isin(wave.lanes, given) & ~wave.ended))
            self._note(wave)
            if wave.ended.all():
                self._waves.remove(self._ended(wave))

    def reap(self) -> NDArray[Any]:
        """Rows of the lanes that have ended since this was asked last."""
        fresh = self.has_ended & ~self._reaped
        self._reaped |= fresh
        found: NDArray[Any] = self.table()[fresh]
        return found

    def restart(self, *lanes: int) -> None:
        """Let lanes begin anew in the next wave, as new processes with numbers of their own; those that run are ended first."""
        given = self._checked(lanes)
        self.kill(*given.tolist())
        self._queue = np.sort(np.concatenate([self._queue, given]))
        self._status[given], self._codes[given], self._reaped[given] = Status.QUEUED, NO_CODE, False
        for counts in (self._fuel, self._memory, self._calls):
            counts[given] = 0
        for lane in given.tolist():
            self._traps.pop(lane, None)
            self.printed.drop(lane)
        self.pids[given] = self._next_pid + np.arange(len(given))
        self._next_pid += len(given)

    def _checked(self, lanes: Sequence[int]) -> NDArray[np.int64]:
        given = np.unique(np.array(lanes, np.int64))
        if len(given) and not 0 <= given[0] <= given[-1] < self.lanes:
            raise UsageError(f"there are lanes 0 to {self.lanes - 1}, not {given[0] if given[0] < 0 else given[-1]}")
        return given
