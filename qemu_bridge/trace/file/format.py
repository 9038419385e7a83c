"""The file of a trace, ``.gbt``: a header, frames that stand on their own, an index. ``docs/trace-format.md`` is its text.

`TraceWriter` appends units, each written in one piece; `TraceFile` reads them back. A unit is a header, a table of
sections and their bytes, each under a checksum, so that a file that was cut off is readable up to its last
whole frame: without the index at the end, the units are found by walking from one header to the next.

>>> with TraceFile(Path("boot.gbt")) as file:
...     file.units[0]["blocks"], file.read(file.units[0]).keys()
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import zstandard

from ...errors import HostError, TraceError, UsageError

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

MOST_SECTIONS, MOST_BYTES, MOST_RATIO = 1 << 14, 1 << 32, 1 << 20
"""Bounds of what a unit may claim: sections, bytes of one decoded, and how much more than its stored bytes that may be."""
PACK_LEVEL = 1


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
    UNITS = 32
    ROOTS = 33
    IDS = 34
    SUMMARY = 35


ACCESS_SECTIONS = (Section.SHAPES, Section.METAS, Section.ADDRESSES, Section.VALUE_RUNS, Section.VALUES)
"""In the order of `codec.AccessStreams`; SHAPES says how many accesses there are."""

Key = tuple[Section, int]
"""A section's kind and its vCPU; for those of the index, the number of a frame modulo 65536, or 0."""


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
        data = self.data.tobytes() if isinstance(self.data, np.ndarray) else self.data
        return memoryview(data)


def pack_unit(magic: bytes, contents: Sequence[Content], **fields: int) -> tuple[Any, list[bytes]]:
    """A unit's header (a `UNIT`) and the pieces of its bytes, in order."""
    table, bodies = np.zeros(len(contents), SECTION), []
    for row, content in zip(table, contents, strict=True):
        raw = content.raw
        body = zstandard.ZstdCompressor(level=content.level).compress(raw) if len(raw) else b""
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


class TraceWriter:
    """Writes a trace file at `path`, which must not exist or be a trace; `about` is kept as JSON in its header.

    Whatever happens, what was written before stays readable: a unit that does not fit on the disk is taken back.
    """

    def __init__(self, path: Path, vcpus: int, about: Mapping[str, Any], time_ns: int) -> None:
        if _is_something_else(path):
            raise UsageError(f"{path} is there and is no trace; give -o another name")
        text = json.dumps(dict(about)).encode()
        header = np.zeros((), HEADER)
        header["magic"], header["version"], header["vcpus"] = MAGIC, VERSION, vcpus
        header["time_ns"], header["json_bytes"] = time_ns, len(text)
        header["crc"] = zlib.crc32(header.tobytes()[:-4] + text)
        self.path = path
        try:
            self._file = open(path, "wb", buffering=0)  # closed by close()
        except OSError as error:
            raise HostError(f"{path} cannot be written ({error.strerror}); give -o another name") from None
        self.size = 0
        self._units: list[tuple[int, Any]] = []
        self._roots: list[npt.NDArray[np.uint64]] = []
        self._ids: list[bytes] = []
        try:
            self._write([header.tobytes(), text])
        except HostError:
            self._file.close()
            raise

    @property
    def frames(self) -> int:
        """Frames written so far."""
        return len(self._units)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can be written."""
        return self._file.closed

    def write_frame(
        self, contents: Sequence[Content], roots: npt.NDArray[np.uint64], ids: npt.NDArray[np.uint32], **fields: int
    ) -> None:
        """Append a frame; `roots` and `ids` (page-table roots and blocks in it) go into the index."""
        header, pieces = pack_unit(FRAME, contents, number=len(self._units), **fields)
        offset = self.size
        self._write([header.tobytes(), *pieces])
        self._units.append((offset, header))
        self._roots.append(np.unique(roots))
        self._ids.append(np.packbits(_bitmap(ids)).tobytes())

    def close(self, summary: Mapping[str, Any]) -> None:
        """Write the index, with `summary` as JSON, and close the file."""
        if self._file.closed:
            return
        units = np.zeros(len(self._units), UNIT)
        for number, (_, header) in enumerate(self._units):
            units[number] = header
        offsets = np.array([offset for offset, _ in self._units], np.uint64)
        text = json.dumps(dict(summary)).encode()
        counts = np.array([len(roots) for roots in self._roots], np.uint64)
        lengths = np.array([len(ids) for ids in self._ids], np.uint64)
        contents = [
            Content(Section.UNITS, 0, np.concatenate([offsets.view(np.uint8), units.view(np.uint8)]), len(units)),
            Content(Section.ROOTS, 0, np.concatenate([counts, *self._roots]), len(units)),
            Content(Section.IDS, 0, lengths.tobytes() + b"".join(self._ids), len(units)),
            Content(Section.SUMMARY, 0, text, 1),
        ]
        try:
            at = self.size
            header, pieces = pack_unit(INDEX, contents, number=len(self._units))
            self._write([header.tobytes(), *pieces])
            footer = np.zeros((), FOOTER)
            footer["index_offset"], footer["frames"], footer["magic"] = at, len(self._units), END
            footer["crc"] = zlib.crc32(footer.tobytes()[:16])
            self._write([footer.tobytes()])
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close the file without an index."""
        self._file.close()

    def _write(self, pieces: Sequence[bytes]) -> None:
        try:
            for piece in pieces:
                left = memoryview(piece)
                while left:
                    left = left[self._file.write(left) :]
        except OSError as error:
            # The unit that did not fit goes; if even that fails, a reader stops in front of it all the same.
            try:
                os.ftruncate(self._file.fileno(), self.size)
            except OSError:
                pass
            raise HostError(
                f"{self.path} cannot be written on ({error.strerror}); its {len(self._units)} frames can be read, "
                "make room to record more"
            ) from None
        self.size += sum(map(len, pieces))


def _is_something_else(path: Path) -> bool:
    """Whether there is something at `path` that is no trace, so that it must not be overwritten.

    A pipe is not opened, for that would wait for its other end.
    """
    try:
        if path.is_file():
            with open(path, "rb") as file:
                return file.read(len(MAGIC)) not in (b"", MAGIC)
        return path.is_fifo() or path.is_socket()
    except OSError:
        return False


def _bitmap(ids: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    used = np.zeros(int(ids.max()) + 1 if len(ids) else 0, np.bool_)
    used[ids] = True
    return used


class TraceFile:
    """A trace file, mapped: its header, its units, and sections on demand. Everything in it is checked before use."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`; `TraceError` when it is no trace, `UsageError` when there is none."""
        try:
            # A pipe without another end would be waited for.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{path} cannot be read ({getattr(error, 'strerror', None) or error}); give a trace"
            ) from None
        self.path = path
        try:
            self._open()
        except BaseException:
            self._map.close()
            raise

    def _open(self) -> None:
        self.size = len(self._map)
        header = self._record(HEADER, 0)
        if header is None or header["magic"] != MAGIC:
            raise TraceError(f"{self.path} is no trace; 'glassbox trace NAME -o FILE{SUFFIX}' records one")
        if header["version"] != VERSION:
            way_out = "record it again" if header["version"] < VERSION else "use a newer glassbox"
            raise TraceError(f"{self.path} is of version {header['version']}, not {VERSION}; {way_out}")
        first = HEADER.itemsize + int(header["json_bytes"])
        text = self._map[HEADER.itemsize : first]
        if first > self.size or zlib.crc32(header.tobytes()[:-4] + text) != header["crc"]:
            raise self.damaged("its header does not add up")
        self.vcpus, self.time_ns, self.about = int(header["vcpus"]), int(header["time_ns"]), _parse(text)
        self.summary: dict[str, Any] = {}
        self.is_complete = False
        """Whether the index is there; without it the file was cut off, and holds what came before."""
        self.units, self.offsets = self._indexed() or self._walked(first)

    def close(self) -> None:
        """Let go of the mapping."""
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def damaged(self, what: str) -> TraceError:
        """The error that says so."""
        return TraceError(f"{self.path} is damaged, {what}; record it again")

    def read(self, number: int) -> Sections:
        """The sections of frame `number`, its checksum found right; `TraceError` if the frame is damaged."""
        return self._sections(self.offsets[number], FRAME)

    def sections(self, number: int) -> npt.NDArray[Any]:
        """The table of frame `number`, as `SECTION`: what is in it, and how large, without decoding it."""
        return self._table(self.offsets[number], FRAME)[0]

    def _record(self, dtype: np.dtype[Any], offset: int) -> Any:  # noqa: ANN401  # a NumPy record
        if offset < 0 or offset + dtype.itemsize > self.size:
            return None
        return np.frombuffer(self._map[offset : offset + dtype.itemsize], dtype)[0]

    def _unit(self, offset: int, magic: bytes) -> Any:  # noqa: ANN401
        """The header of the unit at `offset`, or None if none that is whole begins there."""
        unit = self._record(UNIT, offset)
        if unit is None or unit["magic"] != magic or zlib.crc32(unit.tobytes()[:-4]) != unit["own_crc"]:
            return None
        return unit if int(unit["bytes"]) <= self.size - offset - UNIT.itemsize else None

    def _walked(self, offset: int) -> tuple[npt.NDArray[Any], list[int]]:
        units, offsets = [], []
        while (unit := self._unit(offset, FRAME)) is not None:
            units.append(unit)
            offsets.append(offset)
            offset += UNIT.itemsize + int(unit["bytes"])
        # The last one may be there in length only.
        while offsets and not self._is_sound(offsets[-1]):
            units.pop()
            offsets.pop()
        return np.array(units, UNIT), offsets

    def _is_sound(self, offset: int) -> bool:
        try:
            self._table(offset, FRAME)
        except TraceError:
            return False
        return True

    def _indexed(self) -> tuple[npt.NDArray[Any], list[int]] | None:
        footer = self._record(FOOTER, self.size - FOOTER.itemsize)
        if footer is None or footer["magic"] != END or zlib.crc32(footer.tobytes()[:16]) != footer["crc"]:
            return None
        try:
            sections = self._sections(int(footer["index_offset"]), INDEX)
            count = sections.items(Section.UNITS)
            data = sections.read(Section.UNITS, 0, 8 + UNIT.itemsize)
            offsets = [int(offset) for offset in data[: 8 * count].view("<u8")]
            units = data[8 * count :].view(UNIT)
            if not all(
                (found := self._unit(o, FRAME)) is not None and found == u for o, u in zip(offsets, units, strict=True)
            ):
                return None
            self.summary = _parse(sections.read(Section.SUMMARY).tobytes())
        except (TraceError, ValueError):
            return None
        self._index = sections
        self.is_complete = True
        return units, offsets

    def roots(self) -> list[npt.NDArray[np.uint64]]:
        """Page-table roots of each frame, from the index; empty without one."""
        return [part.view("<u8") for part in self._index_parts(Section.ROOTS, 8)]

    def ids(self) -> list[npt.NDArray[np.uint32]]:
        """Ids of blocks in each frame, ascending, from the index; empty without one."""
        return [np.flatnonzero(np.unpackbits(part)).astype(np.uint32) for part in self._index_parts(Section.IDS, 1)]

    def _index_parts(self, kind: Section, item_bytes: int) -> list[npt.NDArray[np.uint8]]:
        if not self.is_complete:
            return []
        data, count = self._index.read(kind), self._index.items(kind)
        if 8 * count > len(data):
            raise self.damaged("its index does not add up")
        ends = np.cumsum(np.minimum(data[: 8 * count].view("<u8"), len(data)).astype(np.int64) * item_bytes)
        if count and ends[-1] != len(data) - 8 * count:
            raise self.damaged("its index does not add up")
        return np.split(data[8 * count :], ends[:-1]) if count else []

    def _table(self, offset: int, magic: bytes) -> tuple[npt.NDArray[Any], memoryview]:
        """The sections of a unit and the bytes after their table, once the checksum is found right."""
        unit = self._unit(offset, magic)
        if unit is None:
            raise self.damaged(f"no frame begins at byte {offset}")
        start, sections = offset + UNIT.itemsize, int(unit["sections"])
        with memoryview(self._map) as whole:
            body = bytes(whole[start : start + int(unit["bytes"])])
        if zlib.crc32(body) != unit["crc"]:
            raise self.damaged(f"the checksum of frame {unit['number']} is wrong")
        size = sections * SECTION.itemsize
        if sections > MOST_SECTIONS or size > len(body):
            raise self.damaged(f"frame {unit['number']} claims {sections} sections")
        return np.frombuffer(body, SECTION, sections), memoryview(body)[size:]

    def _sections(self, offset: int, magic: bytes) -> Sections:
        table, body = self._table(offset, magic)
        found: dict[Key, tuple[Any, memoryview]] = {}
        at = 0
        for row in table:
            stored = int(row["bytes"])
            if stored > len(body) - at:
                raise self.damaged("a section reaches beyond its frame")
            kind = int(row["kind"])
            # Kinds that a newer release adds are passed over.
            if kind in Section._value2member_map_:
                found[Section(kind), int(row["vcpu"])] = (row, body[at : at + stored])
            at += stored
        return Sections(self, found)


class Sections:
    """What one unit holds; a section is decoded when it is asked for."""

    def __init__(self, file: TraceFile, found: dict[Key, tuple[Any, memoryview]]) -> None:
        self._file, self._found = file, found

    def __contains__(self, key: Key) -> bool:
        return key in self._found

    def items(self, kind: Section, vcpu: int = 0) -> int:
        """How many things it says are in a section; 0 if it is not there."""
        return int(self._found[kind, vcpu][0]["items"]) if (kind, vcpu) in self._found else 0

    def read(self, kind: Section, vcpu: int = 0, item_bytes: int = 0) -> npt.NDArray[np.uint8]:
        """Bytes of a section, in an array of their own; empty if it is not there.

        `TraceError` if it cannot be decoded or, with `item_bytes`, holds another number of items than it says.
        """
        if (kind, vcpu) not in self._found:
            return np.empty(0, np.uint8)
        row, stored = self._found[kind, vcpu]
        data = self._unpack(stored, bool(row["packed"]), int(row["raw_bytes"]))
        if item_bytes and len(data) != item_bytes * int(row["items"]):
            raise self._file.damaged(f"a section does not hold the {row['items']} things it says")
        return data

    def _unpack(self, stored: memoryview, packed: bool, raw_bytes: int) -> npt.NDArray[np.uint8]:
        # An array of its own is aligned, which bytes in a file are not.
        damaged = self._file.damaged
        if not packed:
            if raw_bytes != len(stored):
                raise damaged("a section has another length than it says")
            return np.frombuffer(stored, np.uint8).copy()
        if raw_bytes > MOST_BYTES or raw_bytes > MOST_RATIO * max(1, len(stored)):
            raise damaged(f"a section claims {raw_bytes} bytes")
        try:
            if zstandard.frame_content_size(stored) != raw_bytes:
                raise damaged("a section has another length than it says")
            data = zstandard.ZstdDecompressor().decompress(stored, max_output_size=raw_bytes)
        except (zstandard.ZstdError, MemoryError) as error:
            raise damaged(f"a section cannot be unpacked ({error})") from None
        if len(data) != raw_bytes:
            raise damaged("a section has another length than it says")
        return np.frombuffer(data, np.uint8).copy()


def _parse(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
