"""Results of a benchmark, and the timing of a call against its baseline."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured claim. `target` is a bound on `value`: "<= 1.10" or ">= 0.9", empty if it is only reported."""

    name: str
    value: float
    unit: str
    target: str = ""
    detail: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the target is reached, None without one."""
        if not self.target:
            return None
        relation, bound = self.target.split()
        return self.value <= float(bound) if relation == "<=" else self.value >= float(bound)


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def paired_medians(
    ours: Callable[[], float], yardstick: Callable[[], float], rounds: int
) -> tuple[float, float, float]:
    """(median of ours, median of the baseline, median of the ratios), in seconds, measured alternately so that drift affects both."""
    ours(), yardstick()
    pairs = [(ours(), yardstick()) for _ in range(rounds)]
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    return statistics.median(mine for mine, _ in pairs), statistics.median(theirs for _, theirs in pairs), ratio
