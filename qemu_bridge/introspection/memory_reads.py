"""Reads of guest memory for clients that cannot map the RAM file: bounded, and in as many pieces as are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import AddressError, UsageError
from ..kernel.budget import reason_of
from ..memory.addresses import format_size
from ..wire.operations import MAX_READ_BYTES, MAX_READ_RANGES
from ..wire.records import Blob

Ranges = Sequence[tuple[int, int]]
"""(address, size in bytes) of each piece."""


def read_ranges(ranges: Ranges, read: Callable[[int, int], bytes]) -> tuple[tuple[Blob | None, ...], list[str]]:
    """(pieces, sentences): the bytes that `read` gives for each range, None and a sentence for one that is not wholly there."""
    blobs: list[Blob | None] = []
    skipped: list[str] = []
    for address, size in ranges:
        try:
            blobs.append(Blob(read(address, size)))
        except AddressError as error:
            blobs.append(None)
            skipped.append(f"{size} bytes at {address:#x}: {reason_of(error)}")
    return tuple(blobs), skipped


def check_ranges(ranges: Ranges) -> None:
    """`UsageError` for more than a call may read; every number is looked at before anything is read."""
    if len(ranges) > MAX_READ_RANGES:
        raise UsageError(f"{len(ranges)} ranges are too many for one call; ask for {MAX_READ_RANGES} at a time")
    for address, size in ranges:
        if not 0 <= address < 1 << 64 or not 0 <= size <= MAX_READ_BYTES:
            raise UsageError(
                f"{size} bytes at {address:#x} cannot be read; give addresses of 64 bits and sizes up to {format_size(MAX_READ_BYTES)}"
            )
    if (total := sum(size for _, size in ranges)) > MAX_READ_BYTES:
        raise UsageError(
            f"{total} bytes are too many for one call; ask for {format_size(MAX_READ_BYTES)} at a time, or map the RAM file"
        )
