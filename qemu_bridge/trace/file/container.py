"""The units of a ``.gbt`` file, read back: `TraceFile`, and the `Sections` of each frame.

Everything is checked before use, so a damaged file raises `TraceError` and is never read beyond its end.

>>> with TraceFile(Path("boot.gbt")) as file:
...     file.units[0]["blocks"], file.read(0).items(Section.EVENTS)
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from pathlib import Path
from typing import Any, Self

import msgspec
import numpy as np
import numpy.typing as npt
import zstandard

from tcg_plugin.layout import MAX_VCPUS

from ...errors import TraceError, UsageError
from .format import END, FOOTER, FRAME, HEADER, INDEX, MAGIC, SECTION, SUFFIX, UNIT, VERSION, Section

MOST_SECTIONS, MOST_BYTES, MOST_RATIO = 1 << 14, 1 << 32, 1 << 20
"""Bounds of what a unit may claim: sections, bytes of one decoded, and how much more than its stored bytes that may be."""

Key = tuple[Section, int]
"""A section's kind and its vCPU; for those of the index, the number of a frame modulo 65536, or 0."""


class _About(msgspec.Struct):
    """What readers rely on in a header's JSON; the rest may be anything."""

    features: int = 0
    scope: int = 0
    mode: int = 0
    ranges: list[tuple[int, int]] = []
    roots: list[int] = []


class TraceFile:
    """A trace file, mapped: its header, its units, and sections on demand. Everything in it is checked before use."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`; `TraceError` if it is not a trace, `UsageError` if it cannot be read."""
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
            raise self.damaged("its header is inconsistent")
        self.vcpus, self.time_ns, self.about = int(header["vcpus"]), int(header["time_ns"]), _parse(text)
        if not 1 <= self.vcpus <= MAX_VCPUS:
            raise self.damaged(f"it claims {self.vcpus} vCPUs")
        try:
            msgspec.convert(self.about, _About)
        except msgspec.ValidationError as error:
            raise self.damaged(f"its header is invalid: {error}") from None
        self.summary: dict[str, Any] = {}
        self.is_complete = False
        """Whether the file has its index; if not, it was cut off and holds the frames before that."""
        self.units, self.offsets = self._indexed() or self._walked(first)

    def close(self) -> None:
        """Unmap the file."""
        self._map.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def damaged(self, what: str) -> TraceError:
        """The error for a damaged file; `what` says how it is damaged."""
        return TraceError(f"{self.path} is damaged, {what}; record it again")

    def read(self, number: int) -> Sections:
        """The sections of frame `number`, its checksum found right; `TraceError` if the frame is damaged."""
        return self._sections(self.offsets[number], FRAME)

    def sections(self, number: int) -> npt.NDArray[Any]:
        """The table of frame `number`, as `SECTION`: what is in it, and how large, without decoding it."""
        return self._table(self.offsets[number], FRAME)[0]

    def _record(self, dtype: np.dtype[np.void], offset: int) -> np.void | None:
        if offset < 0 or offset + dtype.itemsize > self.size:
            return None
        record: np.void = np.frombuffer(self._map[offset : offset + dtype.itemsize], dtype)[0]
        return record

    def _unit(self, offset: int, magic: bytes) -> np.void | None:
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
            raise self.damaged("its index is inconsistent")
        ends = np.cumsum(np.minimum(data[: 8 * count].view("<u8"), len(data)).astype(np.int64) * item_bytes)
        if count and ends[-1] != len(data) - 8 * count:
            raise self.damaged("its index is inconsistent")
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
        found: dict[Key, tuple[np.void, memoryview]] = {}
        at = 0
        for row in table:
            stored = int(row["bytes"])
            if stored > len(body) - at:
                raise self.damaged("a section reaches beyond its frame")
            kind = int(row["kind"])
            # Kinds that a newer release adds are skipped.
            if kind in Section._value2member_map_:
                found[Section(kind), int(row["vcpu"])] = (row, body[at : at + stored])
            at += stored
        return Sections(self, found)


class Sections:
    """What one unit holds; a section is decoded when it is asked for."""

    def __init__(self, file: TraceFile, found: dict[Key, tuple[np.void, memoryview]]) -> None:
        self._file, self._found = file, found

    def __contains__(self, key: Key) -> bool:
        return key in self._found

    def items(self, kind: Section, vcpu: int = 0) -> int:
        """Items that a section declares; 0 if the unit has no such section."""
        return int(self._found[kind, vcpu][0]["items"]) if (kind, vcpu) in self._found else 0

    def read(
        self, kind: Section, vcpu: int = 0, item_bytes: int = 0, most_bytes: int = MOST_BYTES
    ) -> npt.NDArray[np.uint8]:
        """Bytes of a section, in an array of their own; empty if the unit has no such section.

        `TraceError` if it cannot be decoded, claims more than `most_bytes` or, with `item_bytes`, holds another number of items than it
        declares.
        """
        if (kind, vcpu) not in self._found:
            return np.empty(0, np.uint8)
        row, stored = self._found[kind, vcpu]
        if int(row["raw_bytes"]) > most_bytes:
            raise self._file.damaged(f"a section claims {row['raw_bytes']} bytes")
        data = self._unpack(stored, bool(row["packed"]), int(row["raw_bytes"]))
        if item_bytes and len(data) != item_bytes * int(row["items"]):
            raise self._file.damaged(f"a section does not hold the {row['items']} items it declares")
        return data

    def _unpack(self, stored: memoryview, packed: bool, raw_bytes: int) -> npt.NDArray[np.uint8]:
        # An array of its own is aligned, which bytes in a file are not.
        damaged = self._file.damaged
        if not packed:
            if raw_bytes != len(stored):
                raise damaged("a section has another length than it declares")
            return np.frombuffer(stored, np.uint8).copy()
        if raw_bytes > MOST_BYTES or raw_bytes > MOST_RATIO * max(1, len(stored)):
            raise damaged(f"a section claims {raw_bytes} bytes")
        try:
            if zstandard.frame_content_size(stored) != raw_bytes:
                raise damaged("a section has another length than it declares")
            data = zstandard.ZstdDecompressor().decompress(stored, max_output_size=raw_bytes)
        except (zstandard.ZstdError, MemoryError) as error:
            raise damaged(f"a section cannot be unpacked ({error})") from None
        if len(data) != raw_bytes:
            raise damaged("a section has another length than it declares")
        return np.frombuffer(data, np.uint8).copy()


def _parse(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
