"""A capture, which is opened by whoever names it and closed when nobody looks any more."""

from __future__ import annotations

from pathlib import Path

from ...captures.files import RAM, SYMBOLS
from ...wire.records import Origin
from .backend import NoShell, Shell
from .image import RamImage


class Capture(RamImage):
    """A capture, which nobody need let go of: its daemon ends when nobody has looked for a while."""

    origin = Origin.CAPTURE
    idle_timeout_s: float | None = 20.0

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / RAM)
        self.symbols = folder / SYMBOLS

    def shell(self) -> Shell:
        """None."""
        return NoShell("is a capture, which stands still; start a machine to run commands in one")

    def describe_exit(self, asked: bool) -> str:
        """That nobody looked any more."""
        return "the capture was closed"
