"""The RAM of a machine that begins at a moment of another one: a file of its own, with random numbers of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import HostError
from ..machine.requests import Moment
from .checkpoints import save_ram


def place_ram(moment: Moment, ram: Path) -> None:
    """Make the new file `ram` of the RAM of `moment`; `HostError` if that is gone or does not fit."""
    if not moment.is_taken:
        save_ram(moment.ram, ram)
    else:
        try:
            moment.ram.rename(ram)
        except OSError as error:
            raise HostError(f"{moment.ram} cannot be taken for RAM ({error.strerror}); start it again") from None
    renew(ram, moment.random)


def renew(ram: Path, places: Iterable[tuple[int, int]]) -> None:
    """Fill the `places` of the file `ram`, rows of offset and bytes, with random numbers of the host."""
    with open(ram, "r+b", buffering=0) as file:
        for offset, size in places:
            os.pwrite(file.fileno(), os.urandom(size), offset)
