"""LiME's own format, and AVML's: a header of 32 bytes before each range of RAM.

LiME stores each range as it is; AVML's second version packs it as a stream of Snappy frames (the framing format of Snappy's
own documentation), followed by 8 bytes of its length. AVML's first version is LiME's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import UsageError
from .codecs import snappy_block
from .dump import MAX_RANGES, Dump, Extent, Piece, Reader, check_ranges, cut_short, stored_pieces

LIME, AVML = b"EMiL", b"AVML"
_HEADER = struct.Struct("<4sIQQQ")
_FRAME = struct.Struct("<I")
_TAIL_BYTES = 8
_MAX_FRAME = 65536
_PACKED, _PLAIN, _FIRST_SKIPPED = 0x00, 0x01, 0x80


@dataclass(slots=True)
class _Block:
    """A range of AVML's: `size` bytes of RAM from `start` on, as frames from `at` on."""

    start: int
    size: int
    at: int


def open_lime(file: Reader) -> Dump:
    """The LiME dump in `file`; `UsageError` for one whose headers are wrong."""
    missing: list[str] = []
    extents: list[Extent] = []
    at = 0
    while at < file.size and len(extents) < MAX_RANGES:
        head = _read_header(file, at, LIME, 1)
        if head is None:
            missing.append(f"{file.name} was cut short: what follows byte {at:#x} is missing")
            break
        start, end = head
        extents.append(Extent(start, end - start, at + _HEADER.size, end - start))
        at += _HEADER.size + end - start
    ranges = check_ranges(file.name, ((each.start, each.start + each.size) for each in extents))
    return Dump("a LiME dump", ranges, lambda: stored_pieces(file, extents, missing), missing)


def open_avml(file: Reader) -> Dump:
    """The compressed AVML dump in `file`; `UsageError` for one whose headers are wrong."""
    missing: list[str] = []
    blocks: list[_Block] = []
    at = 0
    while at < file.size and len(blocks) < MAX_RANGES:
        head = _read_header(file, at, AVML, 2)
        if head is None:
            missing.append(f"{file.name} was cut short: what follows byte {at:#x} is missing")
            break
        start, end = head
        blocks.append(_Block(start, end - start, at + _HEADER.size))
        # Where the next block is only its frames tell: their headers are walked, not what they hold.
        frames_end = _skip_frames(file, blocks[-1])
        if frames_end is None:
            break
        at = frames_end + _TAIL_BYTES
    ranges = check_ranges(file.name, ((each.start, each.start + each.size) for each in blocks))
    return Dump("an AVML dump", ranges, lambda: _unpacked(file, blocks, missing), missing)


def _read_header(file: Reader, at: int, magic: bytes, version: int) -> tuple[int, int] | None:
    """The half-open range that the header at `at` announces; None where the file ends in it."""
    content = file.read(at, _HEADER.size)
    if len(content) < _HEADER.size:
        return None
    mark, found, start, last, _ = _HEADER.unpack(content)
    if mark != magic or found != version:
        raise UsageError(
            f"{file.name} is damaged: at byte {at:#x} there is no header of version {version}; write it again"
        )
    if last < start:
        raise UsageError(f"{file.name} is damaged: it claims RAM at {start:#x}-{last:#x}; write it again")
    return start, last + 1


def _iter_frames(file: Reader, block: _Block) -> Iterator[tuple[int, int, int]]:
    """Yield (kind, place of the content, length) of each frame until the file ends."""
    at, window, first = block.at, b"", block.at
    while True:
        if at + _FRAME.size > first + len(window):
            window, first = file.read(at, 4 * _MAX_FRAME), at
            if len(window) < _FRAME.size:
                return
        (word,) = _FRAME.unpack_from(window, at - first)
        kind, length = word & 0xFF, word >> 8
        yield kind, at + _FRAME.size, length
        at += _FRAME.size + length


def _skip_frames(file: Reader, block: _Block) -> int | None:
    """Where the frames of `block` end; None where the file ends before."""
    done = 0
    for kind, at, length in _iter_frames(file, block):
        if kind == _PLAIN:
            done += max(length - 4, 0)
        elif kind == _PACKED:
            done += _claimed(file.read(at + 4, 5))
        if done >= block.size:
            return at + length
    return None


def _claimed(head: bytes) -> int:
    """The length that a Snappy block says it has unpacked: a number of 7 bits a byte."""
    value = 0
    for number, byte in enumerate(head):
        value |= (byte & 0x7F) << 7 * number
        if not byte & 0x80:
            break
    return min(value, _MAX_FRAME)


def _unpacked(file: Reader, blocks: list[_Block], missing: list[str]) -> Iterator[Piece]:
    for block in blocks:
        done = 0
        for kind, at, length in _iter_frames(file, block):
            if kind in (_PACKED, _PLAIN):
                content = file.read(at + 4, min(length - 4, 2 * _MAX_FRAME)) if length > 4 else b""
                if len(content) < length - 4:
                    break
                if kind == _PACKED:
                    content = snappy_block(content, _MAX_FRAME, file.name)
                content = content[: block.size - done]
                yield block.start + done, content
                done += len(content)
            elif kind < _FIRST_SKIPPED:
                raise UsageError(f"{file.name} is damaged: it has a frame of kind {kind:#x}; write it again")
            if done >= block.size:
                break
        if done < block.size:
            missing.append(cut_short(file.name, block.size - done, block.start + done))
