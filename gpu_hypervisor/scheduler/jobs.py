"""A job as the scheduler sees it, and the reasons of what was decided about it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from .classes import JobClass


@dataclass(slots=True, eq=False)
class Job:
    """A job that has not ended."""

    number: int
    tenant: str
    kernel: str
    units: int
    job_class: JobClass
    is_inferred: bool
    submitted: int
    deadline: int | None
    expected_ns: float | None
    next_unit: int = 0
    used_ns: int = 0
    device: str | None = None
    """Where a slice of it runs; None while it waits."""
    is_cancelled: bool = False
    is_late: bool = False

    @property
    def remaining_ns(self) -> float:
        """Device time that it was promised and has not used."""
        return max((self.expected_ns or 0.0) - self.used_ns, 0.0)


@dataclass(slots=True)
class Reasons:
    """Why things were decided about one job: the first reason is kept, then the newest. Texts are made when they are asked for."""

    most: int
    first: tuple[int, str, tuple[object, ...]] | None = None
    newest: deque[tuple[int, str, tuple[object, ...]]] = field(default_factory=deque)
    dropped: int = 0

    def add(self, now: int, form: str, *values: object) -> None:
        """A reason at a moment, as a form of `str.format` and its values."""
        if self.first is None:
            self.first = now, form, values
            return
        self.newest.append((now, form, values))
        if len(self.newest) >= self.most:
            self.newest.popleft()
            self.dropped += 1

    def texts(self) -> tuple[str, ...]:
        """A line for each reason, oldest first, each with milliseconds since the first."""
        if self.first is None:
            return ()
        begun = self.first[0]
        left_out = [f"(of the {self.dropped} reasons that follow, these are the newest)"] if self.dropped else []
        rows = [self.first, *self.newest]
        lines = [f"{(now - begun) / 1e6:+.3f} ms: {form.format(*values)}" for now, form, values in rows]
        return (lines[0], *left_out, *lines[1:])
