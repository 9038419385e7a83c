"""Sparse files: where one holds data. The rest was never written and takes no space. Needs no NumPy."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import MachineGoneError
from .addresses import PAGE_SIZE


def iter_data(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) offsets of the parts of an open file that hold data, between two offsets, ascending."""
    while start < end:
        try:
            start = os.lseek(descriptor, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        first, start = start, min(os.lseek(descriptor, start, os.SEEK_HOLE), end)
        if first < start:
            yield first, start


def cut_short(path: Path) -> MachineGoneError:
    """The error for RAM in a file that has become smaller than it was."""
    return MachineGoneError(f"guest RAM {path} was cut short; start the machine again")


def data_bytes(path: Path, size: int) -> int:
    """Bytes of the pages that hold data, of a file of `size` bytes; `OSError` if it cannot be opened, `MachineGoneError` if it is shorter."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_size < size:
            raise cut_short(path)
        return sum(
            -(-end // PAGE_SIZE) * PAGE_SIZE - start // PAGE_SIZE * PAGE_SIZE
            for start, end in iter_data(descriptor, 0, size)
        )
    finally:
        os.close(descriptor)
