"""Lanes that run at once, and their host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..backends.launch import DEFAULT_FUEL, Array
from ..errors import UsageError
from ..frontends.wasm.module import PAGE_BYTES
from ..runtime.device import Device
from ..runtime.printed import Part
from ..runtime.rounds import Host, Reply, Request, Rounds
from ..runtime.wasm import WasmProgram
from ..runtime.wasm_instances import Instances

START = "_start"
"""The function of a WASI program that runs it."""


def check_program(program: WasmProgram) -> None:
    """Raise `UsageError` for a module that has no function to start with."""
    if START not in program.module.exports:
        names = ", ".join(program.module.exports) or "nothing"
        raise UsageError(
            f"the module is no program: it exports no {START}, but {names}; compile one for wasm32-wasip1, or call functions with px.wasm"
        )


class ProcessHost(Host, Protocol):
    """A host that knows the exit codes of a wave's lanes, 0 where a lane has not called ``proc_exit``."""

    @property
    def exit_codes(self) -> Array: ...

    def finish(self, lanes: NDArray[np.int64]) -> None:
        """Close what lanes have open that have ended."""
        ...

    def close(self) -> None:
        """Close everything."""
        ...


MakeHost = Callable[[NDArray[np.int64], Part], ProcessHost]
"""Gives the host of some lanes, by their numbers, whose output goes to a sink."""


class Watched:
    """A host that remembers what each lane called last, and does a round's calls as a whole."""

    def __init__(self, host: ProcessHost, count: int, whole: Callable[[], Any]) -> None:
        self.host, self.whole = host, whole
        self.names: list[str] = []
        self.last = np.full(count, -1, np.int32)

    @property
    def streams(self) -> Any:  # noqa: ANN401  # numbers
        """Those of the host; none where it answers no calls in place."""
        return getattr(self.host, "streams", 0)

    def take(self, lanes: NDArray[np.int64], sizes: Array, records: Array) -> None:
        """Let the host take what lanes have written."""
        with self.whole():
            self.host.take(lanes, sizes, records)  # type: ignore[attr-defined]

    def serve(self, request: Request) -> Reply:
        """What the host replies."""
        if request.name not in self.names:
            self.names.append(request.name)
        self.last[request.lanes] = self.names.index(request.name)
        with self.whole():
            return self.host.serve(request)


class Wave:
    """Lanes that run at once: `lanes` are their numbers, `options` those of `Rounds`. `fuel` is what a lane may burn in a launch.

    `before` is a wave that has ended, whose memory is used again.
    """

    def __init__(
        self,
        program: WasmProgram,
        lanes: NDArray[np.int64],
        host: Watched,
        device: Device,
        *,
        fuel: int | None,
        seconds: float,
        before: Wave | None = None,
        **options: Any,  # noqa: ANN401  # those of `Rounds`
    ) -> None:
        self.lanes, self.host = lanes, host
        own_fuel = DEFAULT_FUEL if fuel is None else fuel
        spare: Mapping[str, Array] = before.rounds.buffers if before else {}
        instances = Instances(program, len(lanes), device=device, fuel=own_fuel, seconds=seconds, spare=spare)
        self.rounds: Rounds = Rounds(instances, START, host=host, **options)
        self.ended = np.zeros(len(lanes), bool)
        """Which of them have ended, as far as that was noted."""

    @property
    def bytes(self) -> NDArray[np.int64]:
        """Bytes of memory that each lane has."""
        found: NDArray[np.int64] = self.rounds.instances.pages.astype(np.int64) * PAGE_BYTES
        return found
