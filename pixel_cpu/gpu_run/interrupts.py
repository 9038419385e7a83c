"""What ends a run before its end, signals and its time: between two host rounds, so that nothing is cut; at once the second time."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType

from qemu_bridge.host.interrupts import END_SIGNALS

TIMED_OUT = 124
"""Exit status of a run whose time was over, as that of timeout(1)."""


class Interrupts:
    """A context in which each signal of `END_SIGNALS`, and the end of `seconds`, raise `KeyboardInterrupt`.

    That is at once, in `whole` at its end. A second signal ends the process at once. `status` is the exit status that the first one
    asks for, 0 without one.

    What a signal handler raises is lost where C code has called Python and clears errors (numpy's comparison of an array with a member of
    an enum does), so who works in a loop asks `check` in each turn.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.status = 0
        self.seconds = seconds
        self._depth = 0
        self._raised = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interrupts:
        for number in (*END_SIGNALS, signal.SIGALRM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        if self.seconds is not None:
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal gave

    def _take(self, number: int, frame: FrameType | None) -> None:
        status = TIMED_OUT if number == signal.SIGALRM else 128 + number
        if self.status:
            os._exit(status)
        self.status = status
        self._raise_once()

    def check(self) -> None:
        """Raise `KeyboardInterrupt` where a signal came, whether that has been raised before or not."""
        if self.status:
            self._raised = True
            raise KeyboardInterrupt

    def _raise_once(self) -> None:
        if not self._raised and not self._depth:
            self.check()

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """A context that a signal does not interrupt."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        self._raise_once()
