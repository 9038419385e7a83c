"""What a proof found."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..backends.launch import Array, Launch


class Verdict(enum.StrEnum):
    """Three-valued: only `PROVED` says anything about all inputs."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Example:
    """Inputs of a launch.

    Attributes:
        lanes: lanes of the launch, in groups of `group`.
        scalars: by name.
        buffers: by name; elements that nothing depends on are zero.
    """

    lanes: int
    group: int
    scalars: Mapping[str, int | float | bool]
    buffers: Mapping[str, Array]

    def launch(self, fuel: int) -> Launch:
        """A launch with copies of the buffers."""
        return Launch(
            self.lanes, self.group, self.scalars, {name: array.copy() for name, array in self.buffers.items()}, fuel
        )


@dataclass(frozen=True)
class Finding:
    """The verdict on a claim.

    Attributes:
        verdict: proved, refuted or unknown.
        reason: what was proved and under which conditions, where the two differ, or why it is not known.
        example: inputs for which they differ when they are run; only of REFUTED.
        solvers: how many questions each solver answered; those that need none are not counted.
        seconds: CPU time.
    """

    verdict: Verdict
    reason: str
    example: Example | None = None
    solvers: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
