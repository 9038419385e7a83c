"""Compressed blocks of RAM, unpacked into no more bytes than they may have."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import cramjam
import lzallright
import zstandard

from ..errors import UsageError

_LZO = lzallright.LZOCompressor()
_ZSTD = zstandard.ZstdDecompressor()


def snappy_block(content: bytes, limit: int, name: str) -> bytes:
    """A raw Snappy block of at most `limit` bytes; `UsageError` naming file `name` where it is damaged or larger."""
    try:
        if cramjam.snappy.decompress_raw_len(content) > limit:
            raise ValueError("too large")
        return bytes(cramjam.snappy.decompress_raw(content))
    except Exception as error:  # the library has an error of its own for each codec
        raise _damaged(name) from error


def zlib_block(content: bytes, limit: int, name: str) -> bytes:
    """As `snappy_block`, of zlib."""
    try:
        unpacker = zlib.decompressobj()
        found = unpacker.decompress(content, limit)
    except zlib.error as error:
        raise _damaged(name) from error
    if not unpacker.eof:
        raise _damaged(name)
    return found


def lzo_block(content: bytes, limit: int, name: str) -> bytes:
    """As `snappy_block`, of LZO1X."""
    try:
        found = bytes(_LZO.decompress(content, output_size_hint=limit))
    except Exception as error:  # as above
        raise _damaged(name) from error
    if len(found) > limit:
        raise _damaged(name)
    return found


def zstd_block(content: bytes, limit: int, name: str) -> bytes:
    """As `snappy_block`, of Zstandard."""
    try:
        # What a frame says of its size goes before the bound.
        if zstandard.frame_content_size(content) > limit:
            raise _damaged(name)
        return _ZSTD.decompress(content, max_output_size=limit)
    except zstandard.ZstdError as error:
        raise _damaged(name) from error


BLOCKS: dict[int, Callable[[bytes, int, str], bytes]] = {
    0x01: zlib_block, 0x02: lzo_block, 0x04: snappy_block, 0x20: zstd_block,
}  # fmt: skip
"""By the flag of a kdump page."""


def _damaged(name: str) -> UsageError:
    return UsageError(f"{name} is damaged: a compressed block in it is no block; write it again")
