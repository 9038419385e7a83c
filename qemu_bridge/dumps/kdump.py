"""kdump files, also called diskdump: pages, each compressed by itself, and a bitmap of which there are.

What makedumpfile writes, and QEMU's ``dump-guest-memory`` with ``kdump-zlib``, ``kdump-lzo`` or ``kdump-snappy``. The layout
is that of makedumpfile's ``diskdump_mod.h``: a header, a sub-header, two bitmaps of page frames (those of RAM, and of them
those that are in the file), a descriptor for each page in the file, and the pages. A *flattened* file holds the same as records
(place, length, content), for pipes; `Flattened` reads through them.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..memory.addresses import MAX_PHYSICAL, PAGE_SHIFT, PAGE_SIZE, format_size
from .codecs import BLOCKS
from .dump import Dump, Piece, Reader, check_ranges, cut_short

MAGIC, FLATTENED_MAGIC = b"KDUMP   ", b"makedumpfile\0\0\0\0"
_HEADER = struct.Struct("<8sI408xQ")
_SIZES = struct.Struct("<IiiIIIIII")
_SIZES_AT = 424
_SPLIT_AT, _MAX_PFN_64_AT, _SUB_BYTES = 12, 96, 104
_DESCRIPTOR = np.dtype([("at", "<i8"), ("size", "<u4"), ("flags", "<u4"), ("page_flags", "<u8")])
_COMPRESSED = sum(BLOCKS)
_VERSION_64 = 6
_MAX_PFN = MAX_PHYSICAL >> PAGE_SHIFT
_BATCH = 1024
_RECORD = struct.Struct(">qq")
_FLATTENED_HEADER = 4096
_MAX_RECORDS = 1 << 26
_END = -1


class Flattened:
    """A flattened file, read as the file that it becomes when makedumpfile puts it together."""

    def __init__(self, file: Reader) -> None:
        """Find the records of `file`; one that is cut short ends with its last whole record."""
        self.name = file.name
        self._file = file
        places: list[tuple[int, int, int]] = []
        at = _FLATTENED_HEADER
        self._is_cut = True
        while len(head := file.read(at, _RECORD.size)) == _RECORD.size and len(places) < _MAX_RECORDS:
            place, length = _RECORD.unpack(head)
            if place == _END:
                self._is_cut = False
                break
            at += _RECORD.size
            if place < 0 or length <= 0 or at + length > file.size:
                break
            places.append((place, length, at))
            at += length
        self._records = _without_overlaps(places)
        self._starts = [record[0] for record in self._records]
        self.size = max((place + length for place, length, _ in self._records), default=0)

    def read(self, at: int, length: int) -> bytes:
        """As of the file put together: zeros in its holes; up to the first one where the file was cut short."""
        length = max(min(length, self.size - at), 0)
        found = bytearray(length)
        known = at
        number = max(bisect.bisect_right(self._starts, at) - 1, 0)
        for place, size, source in islice(self._records, number, None):
            if place >= at + length:
                break
            first, end = max(place, at), min(place + size, at + length)
            if first < end:
                if self._is_cut and first > known:
                    break
                known = end
                content = self._file.read(source + first - place, end - first)
                found[first - at : first - at + len(content)] = content
        return bytes(found[: known - at] if self._is_cut else found)


def _without_overlaps(records: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """`records` (place, length, source) in the order of their places; what a later one overwrites is cut out of an earlier one."""
    if all(one[0] + one[1] <= other[0] for one, other in pairwise(records)):
        return records
    edges = sorted({edge for place, length, _ in records for edge in (place, place + length)})
    owner = np.full(len(edges), -1, np.int64)
    for number, (place, length, _) in enumerate(records):
        owner[bisect.bisect_left(edges, place) : bisect.bisect_left(edges, place + length)] = number
    return [
        (edge, edges[index + 1] - edge, records[number][2] + edge - records[number][0])
        for index, (edge, number) in enumerate(zip(edges, owner.tolist(), strict=True))
        if number >= 0
    ]


def open_kdump(file: Reader) -> Dump:
    """The kdump in `file`, put together already; `UsageError` for one that is damaged, or one part of several."""
    head = file.read(0, _SIZES_AT + _SIZES.size)
    if len(head) < _SIZES_AT + _SIZES.size:
        raise UsageError(f"{file.name} was cut short in its header; write it again")
    version = int.from_bytes(head[8:12], "little")
    _, block, sub_blocks, bitmap_blocks, max_pfn, *_ = _SIZES.unpack_from(head, _SIZES_AT)
    if block != PAGE_SIZE or not 0 < sub_blocks < 1 << 16:
        raise UsageError(f"{file.name} has pages of {block} bytes; only {PAGE_SIZE} are read, those of x86-64")
    sub = file.read(block, _SUB_BYTES)
    if len(sub) < _SUB_BYTES:
        raise UsageError(f"{file.name} was cut short in its header; write it again")
    if version >= 2 and int.from_bytes(sub[_SPLIT_AT : _SPLIT_AT + 4], "little"):
        raise UsageError(f"{file.name} is one part of a split dump; join its parts with 'makedumpfile --reassemble'")
    if version >= _VERSION_64:
        max_pfn = int.from_bytes(sub[_MAX_PFN_64_AT : _MAX_PFN_64_AT + 8], "little")
    bitmap_at, bitmap_bytes = (1 + sub_blocks) * block, bitmap_blocks * block
    if not 0 < max_pfn <= _MAX_PFN or bitmap_at + bitmap_bytes > file.size or bitmap_bytes // 2 * 8 < max_pfn:
        raise UsageError(f"{file.name} is damaged or cut short: its bitmap of {max_pfn} pages is not whole")
    bitmaps = file.read(bitmap_at, bitmap_bytes)
    ram, stored = (_set_bits(half, max_pfn) for half in (bitmaps[: bitmap_bytes // 2], bitmaps[bitmap_bytes // 2 :]))
    ranges = check_ranges(file.name, ((first << PAGE_SHIFT, end << PAGE_SHIFT) for first, end in _runs(ram | stored)))
    frames = np.flatnonzero(stored)
    missing: list[str] = []
    if left_out := int(np.count_nonzero(ram & ~stored)):
        missing.append(
            f"{left_out} pages ({format_size(left_out * PAGE_SIZE)}) were left out when {file.name} was written"
        )
    return Dump("a kdump file", ranges, lambda: _pages(file, bitmap_at + bitmap_bytes, frames, missing), missing)


def _set_bits(bitmap: bytes, count: int) -> npt.NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(bitmap, np.uint8), count=count, bitorder="little").view(np.bool_)


def _runs(bits: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(bits.view(np.int8), prepend=0, append=0))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _pages(file: Reader, table_at: int, frames: npt.NDArray[np.int64], missing: list[str]) -> Iterator[Piece]:
    """Yield the pages in the file, in order; batches are unpacked by several threads, as codecs run without Python's lock."""
    lost, first_lost = 0, None

    def unpack(number: int) -> list[Piece]:
        part = frames[number : number + _BATCH]
        table = file.read(table_at + number * _DESCRIPTOR.itemsize, len(part) * _DESCRIPTOR.itemsize)
        rows = np.frombuffer(table[: len(table) // _DESCRIPTOR.itemsize * _DESCRIPTOR.itemsize], _DESCRIPTOR)
        return _unpack_batch(file, rows, part[: len(rows)].tolist())

    with ThreadPoolExecutor(thread_name_prefix="kdump") as pool:
        numbers = iter(range(0, len(frames), _BATCH))
        waiting = [(number, pool.submit(unpack, number)) for number in islice(numbers, 8)]
        while waiting:
            number, future = waiting.pop(0)
            found = future.result()
            if (following := next(numbers, None)) is not None:
                waiting.append((following, pool.submit(unpack, following)))
            yield from found
            expected = min(_BATCH, len(frames) - number)
            got = sum(len(content) for _, content in found) // PAGE_SIZE
            if got < expected:
                lost += expected - got
                first_lost = int(frames[number]) << PAGE_SHIFT if first_lost is None else first_lost
    if first_lost is not None:
        missing.append(cut_short(file.name, lost * PAGE_SIZE, first_lost))


def _unpack_batch(file: Reader, rows: npt.NDArray[np.void], frames: list[int]) -> list[Piece]:
    """The pages that `rows` describe and the file holds, those that follow each other in one piece."""
    found: list[Piece] = []
    start, run = 0, bytearray()
    last: tuple[int, int, bytes] | None = None
    for frame, (at, size, flags, _) in zip(frames, rows.tolist(), strict=True):
        if size > 2 * PAGE_SIZE or at < 0:
            raise UsageError(f"{file.name} is damaged: a page of it has {size} bytes; write it again")
        # Pages of zeros share one block.
        if last is None or last[:2] != (at, size):
            content = file.read(at, size)
            if len(content) < size:
                continue
            if unpack := BLOCKS.get(flags & _COMPRESSED):
                content = unpack(content, PAGE_SIZE, file.name)
            if len(content) != PAGE_SIZE:
                raise UsageError(f"{file.name} is damaged: a page of it has {len(content)} bytes; write it again")
            last = (at, size, content)
        physical = frame << PAGE_SHIFT
        if start + len(run) != physical and run:
            found.append((start, bytes(run)))
            run = bytearray()
        if not run:
            start = physical
        run += last[2]
    if run:
        found.append((start, bytes(run)))
    return found
