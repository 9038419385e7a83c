"""How much one question may cost, whatever the guest's memory says.

A walk through guest RAM may meet a list that bends into a circle, a count of 2⁶³ or a name without an end. Each question
therefore gets a `Budget` in time, items, bytes and depth, and everything that walks spends from it::

    budget = Budget(time_s=2.0)
    for task in tasks:
        budget.spend()
        ...

When it is used up, `OutOfBudgetError` ends the walk; what was found so far is kept, and `complete` and `skipped` say what
the answer lacks. `watch` holds code to its time that does not spend at all.
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
    """The budget is used up. No `Exception`, so that code which passes over whatever it cannot read does not pass over this."""


class Budget:
    """What is left for one question, and what it had to leave out.

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
        """One that never ends, for tests and for reading what is bounded already."""
        return cls(math.inf, 1 << 62, 1 << 62)

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return not self.skipped

    def spend(self, items: int = 1, size: int = 0) -> None:
        """Take `items` and `size` bytes off; `OutOfBudgetError` when there is too little or the time is over."""
        self._items -= items
        self._size -= size
        if self._items < 0:
            raise OutOfBudgetError("too many items")
        if self._size < 0:
            raise OutOfBudgetError("too many bytes")
        if time.monotonic() > self.deadline:
            raise OutOfBudgetError("time ran out")

    def skip(self, sentence: str) -> None:
        """Note that the answer lacks something."""
        if len(self.skipped) < MAX_NOTES:
            self.skipped.append(sentence)

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Interrupt the body with `OutOfBudgetError` soon after the time is over, even in an endless loop.

        Uses the alarm signal, so it works in the main thread only; elsewhere, and in C code, nobody interrupts.
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
            # Whoever had set an alarm before us gets it at the time it was meant for.
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, handler)
            if before:
                signal.setitimer(signal.ITIMER_REAL, max(before - (time.monotonic() - started), 1e-3), repeat)
