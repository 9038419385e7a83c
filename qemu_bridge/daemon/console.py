"""What the guest printed on its console: that its user space is up, that its kernel gave up."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..host.printable import printable

READY_LINE = b"glassbox: ready"
_PANIC = re.compile(rb"Kernel panic - not syncing: ([^\r\n]{1,200})[\r\n]")
_LONGEST_LINE = 256
"""Bytes of the console kept for a line whose end comes later."""
CONSOLE_LIMIT = 64 << 20
"""Limit of the console log in bytes: the guest decides how fast it grows, so it starts over when full."""


class Console:
    """Reads the log of a guest's console, and takes what it means out of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open(path, "rb")
        self._text = b""

    def close(self) -> None:
        """Close the log."""
        self._file.close()

    def read(self) -> None:
        """Read what the guest printed since the last time."""
        if self._file.tell() > CONSOLE_LIMIT:
            os.truncate(self._path, 0)
            self._file.seek(0)
        self._text = self._text[-_LONGEST_LINE:] + self._file.read(CONSOLE_LIMIT)

    def take_panic(self) -> str:
        """Why the guest's kernel gave up, told once; empty where it did not."""
        if (found := _PANIC.search(self._text)) is None:
            return ""
        self._text = self._text[: found.start()] + self._text[found.end() :]
        return printable(found[1].decode(errors="replace"))

    @property
    def is_ready(self) -> bool:
        """Whether user space came up in what was read, and `take_ready` was not called yet."""
        return READY_LINE in self._text

    def take_ready(self) -> None:
        """Forget that user space came up: whoever had to know does."""
        self._text = self._text.rpartition(READY_LINE)[2]

    def rest(self) -> bytes:
        """What nothing was taken out of yet, the part that was not read included; nothing is read by it."""
        at = self._file.tell()
        left = min(max(0, os.fstat(self._file.fileno()).st_size - at), CONSOLE_LIMIT)
        return self._text + os.pread(self._file.fileno(), left, at)
