"""Offsets, sizes and types of fields of kernel structures, by name, from BTF."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import NoTypesError
from .symbols import Btf, Kind

_SIGNED = 1 << 24


@dataclass(frozen=True, slots=True)
class Field:
    """The place of a field in its structure; of an array, that of its elements.

    `type_name` is that of the structure it is or points to, empty for numbers; `bits` is 0 unless it is a bit field.
    """

    offset: int
    size: int
    count: int
    is_signed: bool
    shift: int
    bits: int
    type_name: str


class FieldTable:
    """The fields of one kernel's structures, each looked up once."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._fields: dict[tuple[str, str], Field | None] = {}

    def find(self, type_name: str, path: str) -> Field | None:
        """Field `path` (``comm``, ``thread.sp``) of `type_name`; None when there is none."""
        key = (type_name, path)
        if key not in self._fields:
            member = self._btf.find_member(type_name, path)
            self._fields[key] = (
                None if member is None else self._describe(member.type_id, member.bit_offset, member.bit_size)
            )
        return self._fields[key]

    def get(self, type_name: str, path: str) -> Field:
        """The same; `NoTypesError` when there is none."""
        found = self._fields.get((type_name, path)) or self.find(type_name, path)
        if found is None:
            raise NoTypesError(
                f"this kernel's {type_name} has no member {path}; report the kernel release so that it can be added"
            )
        return found

    def _describe(self, type_id: int, bit_offset: int, bit_size: int) -> Field:
        btf, count = self._btf, 1
        type_id = btf.resolve(type_id)
        while btf.kind(type_id) == Kind.ARRAY and count:
            count *= btf.count(type_id)
            type_id = btf.resolve(btf.target(type_id))
        kind, size = btf.kind(type_id), btf.size(type_id)
        signed = (
            bool(btf.encoding(type_id) & _SIGNED) if kind == Kind.INT else btf.is_flagged(type_id) and kind == Kind.ENUM
        )
        named = btf.resolve(btf.target(type_id)) if kind == Kind.PTR else type_id
        type_name = btf.name(named) if btf.kind(named) in (Kind.STRUCT, Kind.UNION) else ""
        if not bit_size:
            return Field(bit_offset >> 3, size, count, signed, 0, 0, type_name)
        start = bit_offset // 8 // max(size, 1) * max(size, 1)
        return Field(start, size, count, signed, bit_offset - 8 * start, bit_size, type_name)
