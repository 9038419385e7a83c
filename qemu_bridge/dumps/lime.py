"""LiME's own format, and AVML's: a header of 32 bytes before each range of RAM.

LiME stores each range as it is; AVML's second version packs it as a stream of Snappy frames (the framing format of Snappy's
own documentation), followed by 8 bytes of its length. AVML's first version is LiME's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..errors import UsageError
from .dump import MAX_RANGES, Dump, Extent, Piece, Reader, check_ranges, cut_short, stored_pieces

LIME, AVML = b"EMiL", b"AVML"
HEADER = struct.Struct("<4sIQQQ")
_FRAME = struct.Struct("<I")
_TAIL_BYTES = 8
_MAX_FRAME = 65536
_PACKED, _PLAIN, _FIRST_SKIPPED = 0x00, 0x01, 0x80


class _Block(NamedTuple):
    """A range: `size` bytes of RAM from `start` on, whose content begins at `at`."""

    start: int
    size: int
    at: int


def open_lime(file: Reader) -> Dump:
    """The LiME dump in `file`; `UsageError` for one whose headers are wrong."""
    missing: list[str] = []
    blocks = _read_blocks(file, LIME, 1, lambda block: block.at + block.size, missing)
    extents = [Extent(*block, block.size) for block in blocks]
    return Dump("a LiME dump", _ranges(file, blocks), lambda: stored_pieces(file, extents, missing), missing)


def open_avml(file: Reader) -> Dump:
    """The compressed AVML dump in `file`; `UsageError` for one whose headers are wrong."""
    missing: list[str] = []
    # Where the next block is only its frames tell: their headers are walked, not what they hold.
    blocks = _read_blocks(file, AVML, 2, lambda block: _skip_frames(file, block), missing)
    return Dump("an AVML dump", _ranges(file, blocks), lambda: _unpacked(file, blocks, missing), missing)


def _read_blocks(
    file: Reader, magic: bytes, version: int, end_of: Callable[[_Block], int | None], missing: list[str]
) -> list[_Block]:
    """Each block up to the file's end; `end_of` says where the next one is, None where the file ends in this one."""
    blocks: list[_Block] = []
    at: int | None = 0
    while at is not None and at < file.size and len(blocks) < MAX_RANGES:
        head = _read_header(file, at, magic, version)
        if head is None:
            missing.append(f"{file.name} was cut short: what follows byte {at:#x} is missing")
            break
        start, end = head
        blocks.append(_Block(start, end - start, at + HEADER.size))
        at = end_of(blocks[-1])
    return blocks


def _ranges(file: Reader, blocks: list[_Block]) -> tuple[tuple[int, int], ...]:
    return check_ranges(file.name, ((block.start, block.start + block.size) for block in blocks))


def _read_header(file: Reader, at: int, magic: bytes, version: int) -> tuple[int, int] | None:
    """The half-open range that the header at `at` announces; None where the file ends in it."""
    content = file.read(at, HEADER.size)
    if len(content) < HEADER.size:
        return None
    mark, found, start, last, _ = HEADER.unpack(content)
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
    """What follows the frames of `block` and their length; None where the file ends before."""
    done = 0
    for kind, at, length in _iter_frames(file, block):
        if kind == _PLAIN:
            done += max(length - 4, 0)
        elif kind == _PACKED:
            done += _claimed(file.read(at + 4, 5))
        if done >= block.size:
            return at + length + _TAIL_BYTES
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
    # Imported here: who writes LiME dumps needs no codecs.
    from .codecs import snappy_block

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
