"""A capture: its daemon is started by the first client and ends without one."""

from __future__ import annotations

from pathlib import Path

from ...wire.capture_names import RAM, SYMBOLS
from ...wire.records import Origin
from .backend import NoShell, Shell
from .image import RamImage


class Capture(RamImage):
    """A capture. Its daemon ends some seconds after the last client."""

    origin = Origin.CAPTURE

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / RAM, is_brief=True)
        self.symbols = folder / SYMBOLS

    def shell(self) -> Shell:
        """None."""
        return NoShell("is a capture and does not run; start a machine to run commands")

    def describe_exit(self, asked: bool) -> str:
        """That it was closed."""
        return "the capture was closed"
