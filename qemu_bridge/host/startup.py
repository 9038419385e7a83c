"""Ctrl-C while Python loads a command line ends it with status 130, as later, and without a traceback.

A command's package loads this module before all others; it guards from then on until the command's work begins, which tidies up by
itself.
"""

from __future__ import annotations

# The module in C, which is there already: `signal` takes a millisecond to load.
import _signal  # type: ignore[import-not-found]
import os
import sys
from typing import NoReturn

INTERRUPTED = 130
_COMMANDS = {"glassbox": "qemu_bridge.cli", "gpu-run": "pixel_cpu.gpu_run"}
"""Each command, and the package that ``python -m`` runs as it."""


def guard() -> None:
    """Let Ctrl-C end the process at once, if this process is one of the commands and does not ignore it."""
    if _is_command() and _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _leave)


def release() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt` again."""
    if _signal.getsignal(_signal.SIGINT) is _leave:
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)


def _is_command() -> bool:
    name = sys.argv[0] if sys.argv else ""
    if name != "-m":
        return os.path.basename(name) in _COMMANDS
    # Python still looks for what `python -m` names.
    return any(word in _COMMANDS.values() for word in sys.orig_argv)


def _leave(number: int, frame: object) -> NoReturn:
    os._exit(INTERRUPTED)


guard()
