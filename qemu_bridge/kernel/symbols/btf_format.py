"""The binary format of BTF: kinds of types, and where the records of a section begin.

BTF (``Documentation/bpf/btf.rst``, ``include/uapi/linux/btf.h``, kinds as of release 6.12) is a header of 24 bytes, a
run of type records and a table of strings. A record is three words (name offset, info, size or type) followed by what
its kind asks for; its number, counted from 1, is how others refer to it, and 0 is ``void``. ``info`` holds the count of
what follows in bits 0-15, the kind in bits 24-28 and a flag in bit 31.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from ...errors import NoTypesError

HINT = "use a kernel built with CONFIG_DEBUG_INFO_BTF"
_MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIII")
_MAX_TYPES = 1 << 20


class Kind(IntEnum):
    """What a record describes."""

    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


MODIFIERS = frozenset({Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG})
SIZED = frozenset({Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.FLOAT, Kind.ENUM64, Kind.DATASEC})
# Words after the three common ones: a fixed number, and a number for each of the counted.
_FIXED_WORDS = {Kind.INT: 1, Kind.ARRAY: 3, Kind.VAR: 1, Kind.DECL_TAG: 1}
COUNTED_WORDS = {Kind.STRUCT: 3, Kind.UNION: 3, Kind.ENUM: 2, Kind.FUNC_PROTO: 2, Kind.DATASEC: 3, Kind.ENUM64: 3}


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """The parts of a BTF section.

    Attributes:
        words: the type records, `uint32`.
        starts: the word at which each record begins, `int64`, by type number; 0 is void.
        strings: the names.
    """

    words: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]
    strings: bytes


def read_section(data: bytes, starts: npt.NDArray[np.generic] | None = None) -> Section:
    """Split a BTF section into its parts; `NoTypesError` when it is not one or its records do not fill it.

    `starts` may be the `starts` of an earlier read of what should be the same bytes: it saves finding the records
    again, and is ignored unless it is what finding them would give.
    """
    if len(data) < _HEADER.size:
        raise NoTypesError(f"the kernel's BTF section has only {len(data)} bytes; {HINT}")
    magic, version, _, header_size, type_at, type_size, string_at, string_size = _HEADER.unpack_from(data)
    types, strings = header_size + type_at, header_size + string_at
    if magic != _MAGIC or version != 1 or header_size < _HEADER.size or type_size % 4:
        raise NoTypesError(f"the kernel's BTF section starts with {data[:8].hex()}, which is not BTF version 1; {HINT}")
    if types + type_size > len(data) or strings + string_size > len(data):
        raise NoTypesError(f"the kernel's BTF section of {len(data)} bytes is shorter than its header says; {HINT}")
    words = np.frombuffer(data[types : types + type_size], "<u4")
    if not len(words):
        raise NoTypesError(f"the kernel's BTF section holds no types; {HINT}")
    known = None if starts is None else _checked_starts(starts, words)
    found = _record_starts(words.tolist()) if known is None else known
    return Section(words, found, data[strings : strings + string_size])


def _record_starts(words: list[int]) -> npt.NDArray[np.int64]:
    """The word at which each type's record begins; the entry of void points at the first record."""
    fixed, counted = _record_words()
    starts, position, end = [0], 0, len(words)
    while position + 3 <= end and len(starts) <= _MAX_TYPES:
        info = words[position + 1]
        kind = info >> 24 & 0x1F
        if not fixed[kind]:
            break
        starts.append(position)
        position += fixed[kind] + counted[kind] * (info & 0xFFFF)
    if position != end:
        raise NoTypesError(f"the kernel's BTF is truncated at type {len(starts)}, word {position} of {end}; {HINT}")
    return np.array(starts, np.int64)


def _checked_starts(starts: npt.NDArray[np.generic], words: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64] | None:
    """`starts` itself if it is what `_record_starts` finds: each record begins where the one before it ends; else None."""
    if starts.dtype != np.int64 or starts.ndim != 1 or not 1 < len(starts) <= _MAX_TYPES + 1:
        return None
    checked = starts.astype(np.int64, copy=False)
    records = checked[1:]
    if checked[0] or records[0] or int(records.min()) < 0 or int(records.max()) + 3 > len(words):
        return None
    fixed, counted = (np.array(sizes) for sizes in _record_words())
    infos = words[records + 1]
    kinds = infos >> np.uint32(24) & np.uint32(0x1F)
    sizes = fixed[kinds] + counted[kinds] * (infos & np.uint32(0xFFFF))
    tiles = fixed[kinds].all() and np.array_equal(records + sizes, np.append(records[1:], len(words)))
    return checked if tiles else None


def _record_words() -> tuple[list[int], list[int]]:
    """By kind, the words of a record without those that it counts, and the words of each counted; 0 for no kind."""
    kinds = [kind for kind in Kind if kind != Kind.VOID]
    fixed, counted = [0] * 32, [0] * 32
    for kind in kinds:
        fixed[kind], counted[kind] = 3 + _FIXED_WORDS.get(kind, 0), COUNTED_WORDS.get(kind, 0)
    return fixed, counted
