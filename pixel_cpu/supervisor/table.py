"""The table of lanes, and what happens to them."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from ..runtime.rounds import LaneState, LaneTrap

NO_CODE = -1
"""The exit code of a lane that has none: it runs, or was ended."""
TABLE = np.dtype(
    [
        ("lane", "i8"),
        ("pid", "i8"),
        ("status", "U8"),
        ("exit_code", "i8"),
        ("fuel", "i8"),
        ("memory", "i8"),
        ("calls", "i8"),
        ("wait", "U48"),
    ]
)
"""A row of `Processes.table`: `fuel` are ways round loops, `memory` bytes, `calls` those of the host, `wait` is what the lane waits for."""


class Status(enum.IntEnum):
    """What a lane does, or how it ended."""

    QUEUED = 0
    RUNNING = 1
    SLEEPING = 2
    EXITED = 3
    TRAPPED = 4
    KILLED = 5

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self >= Status.EXITED


_STATUS = {
    LaneState.RUNNABLE: Status.RUNNING,
    LaneState.WAITING: Status.RUNNING,
    LaneState.SLEEPING: Status.SLEEPING,
    LaneState.RETURNED: Status.EXITED,
    LaneState.EXITED: Status.EXITED,
    LaneState.TRAPPED: Status.TRAPPED,
    LaneState.KILLED: Status.KILLED,
}
NAMES = np.array([each.name.lower() for each in Status])
FROM_STATE = np.zeros(max(_STATUS) + 1, np.uint8)
for _state, _status in _STATUS.items():
    FROM_STATE[_state] = _status


@dataclass(frozen=True)
class Event:
    """What happened to a lane: `kind` is ``started``, ``exited``, ``trapped`` or ``killed``."""

    kind: str
    lane: int
    pid: int
    exit_code: int | None = None
    trap: LaneTrap | None = None
