"""Tables that are longer than the terminal go through a pager, as in git: the setting ``pager``."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
from collections.abc import Iterator

from ..host.settings import value_of

PAGED = (
    *("status", "config", "ps", "maps", "modules", "sym", "overlay", "hunt", "identify", "resolve", "targets", "call"),
    *("peek", "dirty", "compare", "whose", "where"),
)
"""The verbs whose whole output is there before any of it is of use."""


class _Pages(io.TextIOWrapper):
    """Output that is kept, for a terminal."""

    def isatty(self) -> bool:
        """It ends on one."""
        return True


@contextlib.contextmanager
def paged(verb: str) -> Iterator[None]:
    """A context in which standard output is kept, and shown at its end: by the pager if it has more lines than the terminal.

    Nothing changes for other verbs, for output that is no terminal's, and without a pager.
    """
    words = str(value_of("pager")).split()
    terminal = sys.stdout
    if verb not in PAGED or not words or not terminal.isatty() or shutil.which(words[0]) is None:
        yield
        return
    kept = io.BytesIO()
    sys.stdout = _Pages(kept, encoding=terminal.encoding, errors="backslashreplace", write_through=True)
    try:
        yield
    finally:
        pages, sys.stdout = sys.stdout, terminal
        pages.flush()
        _show(kept.getvalue(), words)


def _show(text: bytes, pager: list[str]) -> None:
    if text.count(b"\n") < shutil.get_terminal_size().lines:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
        return
    # Loaded when something is long enough.
    import signal
    import subprocess

    # Ctrl-C is the pager's while it shows.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with subprocess.Popen(pager, stdin=subprocess.PIPE) as shown, contextlib.suppress(BrokenPipeError):
            shown.communicate(text)
    finally:
        signal.signal(signal.SIGINT, before)
