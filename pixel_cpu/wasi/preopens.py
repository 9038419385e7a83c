"""Directories that lanes find open when they begin."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UsageError
from .beneath import parent_of
from .files import Files, HostFile
from .guest import Index

PLACE = "{id}"


@dataclass(frozen=True)
class Preopen:
    """A directory of the host and the name that a lane knows it by.

    With ``{id}`` in `host` (``"out/lane-{id}"``) each lane has its own; a writable one is made when the lane first uses it.

    >>> Preopen("data", "/")
    """

    host: str | Path
    guest: str
    is_writable: bool = False


class Roots:
    """The directories behind the preopens of all lanes."""

    def __init__(
        self, preopens: Sequence[Preopen], lanes: int, files: Files, numbers: Sequence[int] | None = None
    ) -> None:
        """`numbers` are what ``{id}`` means for each lane. Raises `UsageError` for a directory that is not there."""
        self.files = files
        self.numbers = range(lanes) if numbers is None else numbers
        self.preopens = tuple(preopens)
        self.is_writable = np.array([each.is_writable for each in preopens], bool)
        self._bases: list[HostFile] = []
        self._beneath: list[tuple[str, ...]] = []
        self._own = np.full((len(preopens), lanes), -1, np.int64)
        for each in preopens:
            if not each.guest or "\0" in each.guest:
                raise UsageError(f"{each.guest!r} is no name of a directory; give one such as / or /data")
            parts = Path(each.host).parts
            own = next((place for place, part in enumerate(parts) if PLACE in part), len(parts))
            base = Path(*parts[:own])
            try:
                self._bases.append(files.open_root(os.fspath(base)))
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else error
                files.close()
                raise UsageError(f"directory {base}: {reason}; make it first, or give another one") from None
            self._beneath.append(parts[own:])
        for number, each in enumerate(self.preopens):
            if self._beneath[number] and not each.is_writable:
                self._check(number, lanes)

    def _check(self, number: int, lanes: int) -> None:
        base = self.files.host(self._bases[number])
        for lane in range(lanes):
            path = "/".join(self._names(number, lane))
            with contextlib.suppress(OSError):
                if os.stat(path, dir_fd=base):
                    continue
            self.files.close()
            missing = str(self.preopens[number].host).replace(PLACE, str(self.numbers[lane]))
            raise UsageError(f"directory {missing}: not there; make it first, or let lanes write so that it is made")

    def _names(self, number: int, lane: int) -> list[str]:
        return [part.replace(PLACE, str(self.numbers[lane])) for part in self._beneath[number]]

    def is_shared(self, number: int) -> bool:
        """Whether all lanes have the same directory there."""
        return not self._beneath[number]

    def of(self, lane: int, number: int) -> HostFile:
        """The directory of a lane's preopen, made and opened if need be. Raises `OSError`."""
        base = self._bases[number]
        if self.is_shared(number):
            return base
        if self._own[number, lane] < 0:
            names = self._names(number, lane)
            for place in range(len(names)) if self.is_writable[number] else ():
                path = os.fsencode("/".join(names[: place + 1]))
                with contextlib.suppress(FileExistsError), parent_of(self.files.host(base), path) as (parent, name):
                    os.mkdir(name, dir_fd=parent)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            self._own[number, lane] = self.files.open(base, base, os.fsencode("/".join(names)), flags).number
        return self.files[int(self._own[number, lane])]

    def release(self, lanes: Index) -> None:
        """Let go of directories that are lanes' own."""
        for number, place in zip(*(each.tolist() for each in np.nonzero(self._own[:, lanes] >= 0)), strict=True):
            lane = lanes[place]
            self.files.release(self.files[int(self._own[number, lane])])
            self._own[number, lane] = -1
