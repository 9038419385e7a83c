"""The layout of a trace file, ``.gbt``: a header, frames that stand on their own, an index. docs/trace-format.md describes it.

A unit (a frame or the index) is a header, a table of sections and their bytes, under a checksum. So a file that was cut off
is readable up to its last whole frame: without the index at the end, the units are found by walking from one
header to the next.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

VERSION = 2
SUFFIX = ".gbt"
MAGIC, FRAME, INDEX, END = b"GBTRACE\x1a", b"GBfr", b"GBix", b"GBTEND\r\n"

HEADER = np.dtype(
    [("magic", "S8"), ("version", "<u4"), ("vcpus", "<u4"), ("time_ns", "<u8"), ("json_bytes", "<u4"), ("crc", "<u4")]
)
UNIT = np.dtype(
    [
        *(("magic", "S4"), ("sections", "<u4"), ("bytes", "<u8"), ("number", "<u8"), ("blocks", "<u8")),
        *(
            ("first_instruction", "<u8"),
            ("instructions", "<u8"),
            ("time_ns", "<u8"),
            ("crc", "<u4"),
            ("own_crc", "<u4"),
        ),
    ]
)
"""Begins a frame or the index: `bytes` of sections follow, whose checksum is `crc`; `own_crc` is of what stands before it."""

SECTION = np.dtype(
    [
        *(("kind", "<u2"), ("vcpu", "<u2"), ("packed", "<u4"), ("items", "<u8"), ("raw_bytes", "<u8")),
        ("bytes", "<u8"),
    ]
)
FOOTER = np.dtype([("index_offset", "<u8"), ("frames", "<u8"), ("crc", "<u4"), ("pad", "<u4"), ("magic", "S8")])
VCPU = np.dtype(
    [
        *(("blocks", "<u8"), ("first_block", "<u8"), ("instructions", "<u8"), ("first_instruction", "<u8")),
        *(("root", "<u8"), ("before_address", "<u8"), ("following", "<u4"), ("before", "<u4")),
    ]
)
"""Of one vCPU in one frame. `following`, `before`: numbers in the frame's dictionary of the block after the last and before the
first, ~0 if there is none; `root`: CR3 when the frame begins, 0 if it is not known."""

HOME = np.dtype([("page", "<u4"), ("pad", "<u4"), ("home", "<u8")])
CHUNK = np.dtype(
    [
        *(("sequence", "<u8"), ("time_ns", "<u8"), ("words", "<u4"), ("flags", "<u4"), ("lost_chunks", "<u8")),
        *(("lost_words", "<u8"), ("instructions", "<u8"), ("root", "<u8"), ("vcpu", "<u4"), ("window", "<u4")),
        ("first_block", "<u8"),
    ]
)
"""The header of a ring's chunk (gb_chunk), and the vCPU's first block in it."""

PACK_LEVEL = 1
_WINDOW_LOG = 18
"""What a packer looks back at fits into a core's cache beside the recorder: a fourth of its time for a hundredth of the file."""


class Section(IntEnum):
    """What a section holds."""

    DICTIONARY = 1
    VCPU = 2
    RUNS = 3
    MISSES = 4
    CHUNKS = 5
    EVENTS = 6
    EVENT_AT = 7
    SHAPES = 8
    METAS = 9
    ADDRESSES = 10
    VALUES = 11
    HOMES = 12
    VALUE_RUNS = 13
    SYMBOLS = 14
    UNITS = 32
    ROOTS = 33
    IDS = 34
    SUMMARY = 35


ACCESS_SECTIONS = (Section.SHAPES, Section.METAS, Section.ADDRESSES, Section.VALUE_RUNS, Section.VALUES)
"""In the order of `access_stream.AccessStreams`; SHAPES says how many accesses there are."""


@dataclass(frozen=True, slots=True)
class Content:
    """One section to be written: `items` things in `data`."""

    kind: Section
    vcpu: int
    data: bytes | npt.NDArray[Any]
    items: int
    level: int = PACK_LEVEL

    @property
    def raw(self) -> memoryview:
        """The bytes."""
        if isinstance(self.data, bytes):
            return memoryview(self.data)
        return np.ascontiguousarray(self.data).reshape(-1).view(np.uint8).data


def _packed(raw: memoryview, level: int) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(level, window_log=_WINDOW_LOG)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(raw)


def pack_unit(magic: bytes, contents: Sequence[Content], **fields: int) -> tuple[npt.NDArray[np.void], list[bytes]]:
    """A unit's header (a `UNIT`) and the pieces of its bytes, in order."""
    table, bodies = np.zeros(len(contents), SECTION), []
    for row, content in zip(table, contents, strict=True):
        raw = content.raw
        body = _packed(raw, content.level) if len(raw) else b""
        packed = len(body) < len(raw)
        bodies.append(body if packed else bytes(raw))
        row["kind"], row["vcpu"], row["packed"], row["items"] = content.kind, content.vcpu, packed, content.items
        row["raw_bytes"], row["bytes"] = len(raw), len(bodies[-1])
    pieces = [table.tobytes(), *bodies]
    crc = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    header = np.zeros((), UNIT)
    header["magic"], header["sections"], header["bytes"] = magic, len(contents), sum(map(len, pieces))
    for name, value in fields.items():
        header[name] = value
    header["crc"] = crc
    header["own_crc"] = zlib.crc32(header.tobytes()[:-4])
    return header, pieces
