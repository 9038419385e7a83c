"""Ctrl-C while Python loads the command line ends it with status 130, as later, and without a traceback.

This module is loaded before all others, and guards from then on until a verb runs, which tidies up by itself.
"""

from __future__ import annotations

# The module in C, which is there already: `signal` takes a millisecond to load.
import _signal  # type: ignore[import-not-found]
import os
import sys
from typing import NoReturn

INTERRUPTED = 130


def guard() -> None:
    """Let Ctrl-C end the process at once, if this process is ``glassbox`` and does not ignore it."""
    # While Python looks for what `python -m` names, that is the name of the program.
    is_program = sys.argv[:1] == ["-m"] or os.path.basename(sys.argv[0] if sys.argv else "") == "glassbox"
    if is_program and _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _leave)


def release() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt` again."""
    if _signal.getsignal(_signal.SIGINT) is _leave:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def _leave(number: int, frame: object) -> NoReturn:
    os._exit(INTERRUPTED)


guard()
