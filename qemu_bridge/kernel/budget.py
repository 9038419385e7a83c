"""Limits on the cost of one query, whatever the guest's memory holds.

A walk through guest RAM may meet a list that bends into a circle, a count of 2⁶³ or a name without an end. Each question
therefore gets a `Budget` in time, items, bytes and depth, and everything that walks spends from it::

    budget = Budget(time_s=2.0)
    for task in tasks:
        budget.spend()
        ...

When it is used up, `OutOfBudgetError` ends the walk; what was found so far is kept, and `complete` and `skipped` say what
the answer lacks. `watch` limits the time of code that does not spend at all.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

TIME_S = 10.0
ITEMS = 1 << 20
BYTES = 1 << 30
DEPTH = 64
MAX_NOTES = 16
_GRACE_S = 0.25
_REPEAT_S = 0.1


class OutOfBudgetError(BaseException):
    """The budget is used up. Not an `Exception`, so that code which skips whatever it cannot read does not swallow it."""


class Budget:
    """What one query may still spend, and what it left out.

    Attributes:
        depth: how deep a walk may nest.
        skipped: a sentence for each thing left out, of many the first `MAX_NOTES`.
    """

    def __init__(self, time_s: float = TIME_S, items: int = ITEMS, size: int = BYTES, depth: int = DEPTH) -> None:
        """Allow `time_s` seconds from now, `items` things looked at, `size` bytes read."""
        self.time_s = time_s
        self.deadline = time.monotonic() + time_s
        self.depth = depth
        self.skipped: list[str] = []
        self._items = items
        self._size = size

    @classmethod
    def unlimited(cls) -> Budget:
        """A budget without limits, for tests and for walks that are bounded otherwise."""
        return cls(math.inf, 1 << 62, 1 << 62)

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return not self.skipped

    def spend(self, items: int = 1, size: int = 0) -> None:
        """Charge `items` and `size` bytes; `OutOfBudgetError` when too little is left or the time is over."""
        self._items -= items
        self._size -= size
        if self._items < 0:
            raise OutOfBudgetError("too many items")
        if self._size < 0:
            raise OutOfBudgetError("too many bytes")
        if time.monotonic() > self.deadline:
            raise OutOfBudgetError("time ran out")

    def skip(self, sentence: str) -> None:
        """Note in a `sentence` what the answer lacks; the same sentence is noted once."""
        if len(self.skipped) < MAX_NOTES and sentence not in self.skipped:
            self.skipped.append(sentence)

    def skip_unread(self, what: str, error: Exception) -> None:
        """Note that `what` cannot be read, with the reason that `error` gives."""
        self.skip(f"{what} cannot be read: {reason_of(error)}")

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Interrupt the body with `OutOfBudgetError` soon after the time is over, even in an endless loop.

        Uses the alarm signal, so it works in the main thread only; it interrupts neither other threads nor C code.
        """
        if threading.current_thread() is not threading.main_thread() or math.isinf(self.time_s):
            yield
            return

        def interrupt(number: int, frame: FrameType | None) -> None:
            raise OutOfBudgetError("time ran out")

        started = time.monotonic()
        handler = signal.signal(signal.SIGALRM, interrupt)
        delay = max(self.deadline - started, 0.0) + _GRACE_S
        before, repeat = signal.setitimer(signal.ITIMER_REAL, delay, _REPEAT_S)
        try:
            yield
        finally:
            # Restore an alarm that was set before, at its own time.
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, handler)
            if before:
                signal.setitimer(signal.ITIMER_REAL, max(before - (time.monotonic() - started), 1e-3), repeat)


def reason_of(error: Exception) -> str:
    """The message of `error` without its advice, which follows the first semicolon."""
    return str(error).split(";")[0]
