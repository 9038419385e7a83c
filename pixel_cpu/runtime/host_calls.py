"""What a run in rounds and its host tell each other: what each lane does, calls of imported functions, answers, how a lane ended."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..backends.launch import Array


class LaneState(enum.IntEnum):
    """What a lane does."""

    RUNNABLE = 0
    WAITING = 1
    """For the host."""
    SLEEPING = 2
    RETURNED = 3
    TRAPPED = 4
    EXITED = 5
    """The host said that it is over."""
    KILLED = 6


@dataclass(frozen=True)
class Request:
    """Lanes that wait in a call of one imported function.

    `lanes` are their numbers, ascending; `operands` hold an element for each of them, `sizes` the bytes of memory that each has now. A row of `memory`,
    of shape (all lanes, bytes that a lane may have), is a lane's memory, which the host may write.
    """

    name: str
    lanes: NDArray[np.int64]
    operands: tuple[Array, ...]
    memory: NDArray[np.uint8]
    sizes: NDArray[np.int64]
    left: int = 1
    """Lanes of the whole run that have not ended."""


@dataclass(frozen=True)
class Reply:
    """Answers to a `Request`: an array for each result of the function. `ended` says whose program is over.

    `until` are seconds of the monotonic clock until which a lane sleeps; with 0 or less it goes on at once.
    """

    results: tuple[Array, ...] = ()
    ended: Array | None = None
    until: Array | None = None
    again: Array | None = None
    """Lanes that go on waiting: the same call is served again in the next round, and these lanes' results do not count."""


class Host(Protocol):
    """Serves calls of imported functions."""

    def serve(self, request: Request) -> Reply:
        """Answer all lanes of a request."""
        ...


@dataclass(frozen=True)
class LaneTrap:
    """How a lane ended before its time. `backtrace` are names of functions, from where it ended outwards; `function` is the first."""

    reason: str
    function: str
    backtrace: tuple[str, ...]
