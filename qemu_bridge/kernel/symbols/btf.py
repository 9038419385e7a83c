"""The kernel's types, read from the BTF section that it carries in memory.

>>> btf.member_offset("task_struct", "comm")
2944
>>> btf.sizeof("page")
64

The bytes are the guest's: a reference may be invalid or circular. `btf_format` checks that the records tile the
section, and every walk along references is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ...errors import NoTypesError
from .btf_format import COUNTED_WORDS, HINT, MODIFIERS, SIZED, Kind, read_section

MAX_DEPTH = 64
"""Longest chain of qualifiers and typedefs, and most anonymous structs in one, that are followed."""
# Look-ups by search before the index is built; occurrences of one name among the strings that are tried.
_FEW_NAMES, _MAX_PLACES = 16, 1 << 10


@dataclass(frozen=True, slots=True)
class Member:
    """A field of a struct or union: `bit_offset` from its start, `bit_size` 0 unless it is a bit field."""

    name: str
    type_id: int
    bit_offset: int
    bit_size: int

    @property
    def offset(self) -> int:
        """Bytes from the start of the struct."""
        return self.bit_offset >> 3


@dataclass(frozen=True)
class Btf:
    """All types of one kernel.

    Attributes:
        words: the type section, `uint32`.
        starts: the word at which each record begins, `int64`, by type number; 0 is void.
        strings: the string section.
    """

    words: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]
    strings: bytes
    _members: dict[int, tuple[Member, ...]] = field(default_factory=dict, repr=False, compare=False)
    _found: dict[tuple[Kind, bytes], int | None] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def _ids(self) -> dict[tuple[Kind, bytes], int]:
        """Type number by kind and name, the first of several. Aggregates, typedefs and base types only."""
        wanted = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.TYPEDEF, Kind.INT, Kind.FLOAT)
        ids: dict[tuple[Kind, bytes], int] = {}
        for kind in wanted:
            rows = self.ids(kind)
            for type_id, name in zip(rows, self.words[self.starts[rows]].tolist(), strict=True):
                if name:
                    ids.setdefault((kind, self._raw_string(name)), type_id)
        return ids

    def ids(self, *kinds: Kind) -> list[int]:
        """Numbers of all types of `kinds`, ascending."""
        found = (self.words[self.starts + 1] >> np.uint32(24)) & np.uint32(0x1F)
        found[0] = Kind.VOID
        return np.flatnonzero(np.isin(found, kinds)).tolist()

    def find(self, name: str, *kinds: Kind) -> int | None:
        """Number of the type called `name` of one of `kinds` (struct or union unless given); None for none."""
        wanted = name.encode("latin-1", "replace")
        for kind in kinds or (Kind.STRUCT, Kind.UNION):
            if (type_id := self._find(kind, wanted)) is not None:
                return type_id
        return None

    def _find(self, kind: Kind, name: bytes) -> int | None:
        """Searching one name is faster than building the index, so the index is built after several look-ups."""
        if "_ids" in self.__dict__ or not name or len(self._found) >= _FEW_NAMES:
            return self._ids.get((kind, name))
        if (kind, name) not in self._found:
            self._found[kind, name] = self._search_name(kind, name)
        return self._found[kind, name]

    def _search_name(self, kind: Kind, name: bytes) -> int | None:
        """The first type of that kind and name, by the places of the name among the strings."""
        offsets: list[int] = []
        at = self.strings.find(name + b"\0")
        while at >= 0 and len(offsets) < _MAX_PLACES:
            if at:
                offsets.append(at)
            at = self.strings.find(name + b"\0", at + 1)
        if at >= 0:
            return self._ids.get((kind, name))
        rows = np.flatnonzero(np.isin(self.words[self.starts], offsets)).tolist()
        return next((row for row in rows if row and self.kind(row) == kind), None)

    def names(self, kind: Kind) -> Iterator[tuple[str, int]]:
        """Yield name and number of every named type of `kind`."""
        for (its_kind, name), type_id in self._ids.items():
            if its_kind == kind:
                yield name.decode("latin-1"), type_id

    def kind(self, type_id: int) -> Kind:
        """What type `type_id` is; void for 0 and for a number that does not exist."""
        if not 0 < type_id < len(self.starts):
            return Kind.VOID
        return Kind(int(self.words[self.starts[type_id] + 1]) >> 24 & 0x1F)

    def name(self, type_id: int) -> str:
        """Its name, empty for an anonymous type."""
        if not 0 < type_id < len(self.starts):
            return ""
        return self._string(int(self.words[self.starts[type_id]]))

    def target(self, type_id: int) -> int:
        """What a pointer, modifier or variable refers to, an array's element type, a function's result."""
        kind = self.kind(type_id)
        if kind == Kind.ARRAY:
            return int(self.words[self.starts[type_id] + 3])
        return 0 if kind in SIZED or kind in (Kind.VOID, Kind.FWD) else int(self.words[self.starts[type_id] + 2])

    def count(self, type_id: int) -> int:
        """Elements of an array."""
        return int(self.words[self.starts[type_id] + 5]) if self.kind(type_id) == Kind.ARRAY else 0

    def resolve(self, type_id: int) -> int:
        """The type behind typedefs and qualifiers; void where they are circular."""
        for _ in range(MAX_DEPTH):
            if self.kind(type_id) not in MODIFIERS:
                return type_id
            type_id = self.target(type_id)
        return 0

    def encoding(self, type_id: int) -> int:
        """The word behind an integer: bits 0-7 its width in bits, 16-23 its offset, 24 signed, 25 char, 26 bool."""
        return int(self.words[self.starts[type_id] + 3]) if self.kind(type_id) == Kind.INT else 0

    def is_flagged(self, type_id: int) -> bool:
        """Bit 31: a struct with bit fields, a signed enum, a forward declaration of a union."""
        return bool(0 < type_id < len(self.starts) and int(self.words[self.starts[type_id] + 1]) >> 31)

    def size(self, type_id: int) -> int:
        """Bytes of type `type_id`; 0 for void, functions and forward declarations."""
        elements = 1
        for _ in range(MAX_DEPTH):
            type_id = self.resolve(type_id)
            kind = self.kind(type_id)
            if kind == Kind.PTR:
                return 8 * elements
            if kind in SIZED:
                return elements * int(self.words[self.starts[type_id] + 2])
            if kind != Kind.ARRAY:
                return 0
            elements, type_id = elements * self.count(type_id), self.target(type_id)
        return 0

    def sizeof(self, name: str) -> int:
        """Bytes of ``struct name``, ``union name`` or typedef `name`; `NoTypesError` for none."""
        return self.size(self._required(name))

    def members(self, type_id: int) -> tuple[Member, ...]:
        """The fields of a struct or union in order, anonymous ones with an empty name."""
        type_id = self.resolve(type_id)
        if type_id not in self._members:
            self._members[type_id] = self._decode_members(type_id)
        return self._members[type_id]

    def find_member(self, name: str, path: str) -> Member | None:
        """Field `path` (``"comm"``, ``"mm_mt.ma_root"``) of type `name`, its offset counted from the outermost."""
        type_id, bits, member = self._required(name), 0, None
        for part in path.split("."):
            member = self._search(type_id, part, set())
            if member is None:
                return None
            bits, type_id = bits + member.bit_offset, member.type_id
        return None if member is None else Member(path, member.type_id, bits, member.bit_size)

    def member_offset(self, name: str, path: str) -> int:
        """Bytes from the start of type `name` to its field `path`; `NoTypesError` when there is none."""
        member = self.find_member(name, path)
        if member is None:
            raise NoTypesError(
                f"this kernel's {name} has no member {path}; report the kernel release so that it can be added"
            )
        return member.offset

    def enumerators(self, type_id: int) -> dict[str, int]:
        """The names and values of an enumeration."""
        kind = self.kind(type_id)
        if kind not in (Kind.ENUM, Kind.ENUM64):
            return {}
        start = int(self.starts[type_id]) + 3
        signed, width = self.is_flagged(type_id), COUNTED_WORDS[kind]
        rows = self.words[start : start + self._vlen(type_id) * width].reshape(-1, width).tolist()
        bits = 32 if width == 2 else 64
        values = ((row[0], row[1] if width == 2 else row[1] | row[2] << 32) for row in rows)
        return {
            self._string(name): value - (1 << bits) if signed and value >> (bits - 1) else value
            for name, value in values
        }

    def _required(self, name: str) -> int:
        type_id = self.find(name, Kind.STRUCT, Kind.UNION, Kind.TYPEDEF)
        if type_id is None:
            raise NoTypesError(f"this kernel has no type {name}; it may be built without that feature, or {HINT}")
        return type_id

    def _decode_members(self, type_id: int) -> tuple[Member, ...]:
        if self.kind(type_id) not in (Kind.STRUCT, Kind.UNION):
            return ()
        start = int(self.starts[type_id]) + 3
        rows = self.words[start : start + 3 * self._vlen(type_id)].reshape(-1, 3).tolist()
        if self.is_flagged(type_id):
            return tuple(Member(self._string(n), t, offset & 0xFFFFFF, offset >> 24) for n, t, offset in rows)
        return tuple(Member(self._string(n), t, offset, 0) for n, t, offset in rows)

    def _search(self, type_id: int, name: str, searched: set[int]) -> Member | None:
        """Field `name` of a type or of its anonymous members, looking into no type twice."""
        type_id = self.resolve(type_id)
        if type_id in searched or len(searched) > MAX_DEPTH:
            return None
        searched.add(type_id)
        members = self.members(type_id)
        for member in members:
            if member.name == name:
                return member
        for member in members:
            if not member.name and (inner := self._search(member.type_id, name, searched)):
                return Member(name, inner.type_id, member.bit_offset + inner.bit_offset, inner.bit_size)
        return None

    def _vlen(self, type_id: int) -> int:
        return int(self.words[self.starts[type_id] + 1]) & 0xFFFF

    def _raw_string(self, offset: int) -> bytes:
        end = self.strings.find(b"\0", offset)
        return self.strings[offset:end] if 0 <= offset <= end else b""

    def _string(self, offset: int) -> str:
        return self._raw_string(offset).decode("latin-1")


def parse_btf(data: bytes, starts: npt.NDArray[np.generic] | None = None) -> Btf:
    """The types in a BTF section; arguments and errors are those of `btf_format.read_section`."""
    section = read_section(data, starts)
    return Btf(section.words, section.starts, section.strings)
