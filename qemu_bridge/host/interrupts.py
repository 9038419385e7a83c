"""Ctrl-C, shutdown, a closed terminal: how they end a process that draws.

A Python signal handler may run inside a callback of the graphics library, where an exception is lost, or ends the process with a core
dump. So no handler raises here: until there is something to finish such a signal ends the process at once, whatever library is
working; from then on it is noted, and acted upon between two frames.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, shutdown, closed terminal."""


def end_at_once() -> None:
    """Let each signal of `END_SIGNALS` that is not ignored end the process; those that came while they were blocked do so now."""
    for number in END_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, END_SIGNALS)


@contextlib.contextmanager
def noted_interrupts() -> Iterator[Callable[[], bool]]:
    """A context in which `END_SIGNALS` are only noted; yields a function that tells whether one came. Does nothing on other threads."""
    came = False

    def note(number: int, frame: object) -> None:
        nonlocal came
        came = True

    is_main = threading.current_thread() is threading.main_thread()
    numbers = [number for number in END_SIGNALS if is_main and signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
