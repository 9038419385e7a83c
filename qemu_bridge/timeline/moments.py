"""The RAM of a machine that begins at a moment of another one: a file of its own, with random numbers of its own."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import HostError
from ..machine.requests import Moment, RamCopy
from ..memory.sparse import iter_data
from .checkpoints import PIECE, private


def place_ram(moment: Moment, ram: Path) -> None:
    """Make the new file `ram` of the RAM of `moment`; `HostError` if that is gone or damaged, or does not fit."""
    try:
        if moment.copy is None:
            moment.ram.rename(ram)
        else:
            _copy(moment.ram, moment.copy, ram)
    except OSError as error:
        raise HostError(f"{moment.ram} cannot be taken for RAM ({error.strerror}); start the machine cold") from None
    renew(ram, moment.random)


def renew(ram: Path, places: Iterable[tuple[int, int]]) -> None:
    """Fill the `places` of the file `ram`, rows of offset and bytes, with random numbers of the host."""
    with open(ram, "r+b", buffering=0) as file:
        for offset, size in places:
            os.pwrite(file.fileno(), os.urandom(size), offset)


def describe_copy(path: Path) -> RamCopy:
    """What the file at `path`, a copy of RAM, holds."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        runs = tuple(iter_data(file.fileno(), 0, size))
        checksum = 0
        for _, piece in _iter_pieces(file.fileno(), runs):
            checksum = zlib.crc32(piece, checksum)
    return RamCopy(size, runs, checksum)


def _copy(path: Path, copy: RamCopy, ram: Path) -> None:
    checksum = 0
    with open(path, "rb") as source, open(ram, "xb", opener=private) as target:
        target.truncate(copy.size)
        for at, piece in _iter_pieces(source.fileno(), copy.runs):
            checksum = zlib.crc32(piece, checksum)
            os.pwrite(target.fileno(), piece, at)
    if checksum != copy.checksum:
        raise HostError(f"{path} is damaged; start the machine cold")


def _iter_pieces(descriptor: int, runs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
    """Yield offset and bytes of the parts of an open file."""
    for start, end in runs:
        for at in range(start, end, PIECE):
            yield at, os.pread(descriptor, min(PIECE, end - at), at)
