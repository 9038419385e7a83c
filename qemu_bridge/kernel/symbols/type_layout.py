"""How a type of the kernel is laid out, flattened for reading: every field with its path, offset, size and kind.

>>> [(field.path, field.offset, field.type_name) for field in describe_type(btf, "list_head").fields]
[('next', 0, 'struct list_head *'), ('prev', 8, 'struct list_head *')]

Anonymous and small members are opened, other structs up to a depth, arrays never: a field says how many elements it has.
Types come from the guest, so depth, number of fields and length of names are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ...errors import UsageError
from ...wire.records import TypeField, TypeLayout
from .btf import Btf
from .btf_format import Kind

MOST_FIELDS = 1000
MOST_NAMES = 200
_MAX_NESTING = 8
_MAX_ENUMERATORS = 64
# Bytes of a struct that is always opened: a counter, a lock, a list's two pointers.
_SMALL = 16
_PREFIXES = {Kind.STRUCT: "struct ", Kind.UNION: "union ", Kind.ENUM: "enum ", Kind.ENUM64: "enum "}


def describe_type(btf: Btf, name: str, depth: int = 1) -> TypeLayout:
    """The layout of struct, union or typedef `name`, its structs opened `depth` levels; `UsageError` for none."""
    type_id = btf.find(name.removeprefix("struct ").removeprefix("union "), Kind.STRUCT, Kind.UNION, Kind.TYPEDEF)
    if type_id is None or btf.kind(btf.resolve(type_id)) not in (Kind.STRUCT, Kind.UNION):
        raise UsageError(f"this kernel has no struct {name!r}; type a part of its name to see which there are")
    fields = tuple(islice(_fields(btf, type_id, "", 0, max(0, min(depth, _MAX_NESTING)), 0), MOST_FIELDS))
    return TypeLayout(type_name(btf, type_id), btf.size(type_id), fields)


def find_type_names(btf: Btf, part: str) -> list[str]:
    """Names of structs and unions that contain `part`, those that begin with it first, at most `MOST_NAMES`."""
    names = {name for kind in (Kind.STRUCT, Kind.UNION) for name, _ in btf.names(kind) if part in name}
    return sorted(names, key=lambda name: (not name.startswith(part), len(name), name))[:MOST_NAMES]


def type_name(btf: Btf, type_id: int) -> str:
    """A type roughly as C writes it: ``struct list_head *``, ``char[16]``."""
    suffix = ""
    for _ in range(_MAX_NESTING):
        kind = btf.kind(type_id)
        if kind == Kind.PTR:
            suffix, type_id = f" *{suffix}" if not suffix.startswith(" *") else f" *{suffix[1:]}", btf.target(type_id)
        elif kind == Kind.ARRAY:
            suffix, type_id = f"{suffix}[{btf.count(type_id)}]", btf.target(type_id)
        elif kind in (Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG):
            type_id = btf.target(type_id)
        else:
            break
    kind = btf.kind(type_id)
    if kind == Kind.FUNC_PROTO:
        return "function" + suffix
    if kind == Kind.FWD:
        return f"{'union' if btf.is_flagged(type_id) else 'struct'} {btf.name(type_id)[:80]}{suffix}"
    return _PREFIXES.get(kind, "") + (btf.name(type_id)[:80] or ("void" if kind == Kind.VOID else "{…}")) + suffix


def _fields(btf: Btf, type_id: int, path: str, bits: int, depth: int, nesting: int) -> Iterator[TypeField]:
    for member in btf.members(type_id):
        inner, at = btf.resolve(member.type_id), bits + member.bit_offset
        kind = btf.kind(inner)
        name = f"{path}{member.name[:80]}"
        is_struct = kind in (Kind.STRUCT, Kind.UNION)
        cost = int(bool(member.name) and btf.size(inner) > _SMALL)
        if is_struct and nesting < _MAX_NESTING and depth >= cost:
            prefix = f"{name}." if member.name else path
            yield from _fields(btf, inner, prefix, at, depth - cost, nesting + 1)
        else:
            yield _field(btf, name or "{…}", member.type_id, at, member.bit_size)


def _field(btf: Btf, path: str, type_id: int, bits: int, bit_size: int) -> TypeField:
    inner = btf.resolve(type_id)
    count = 0
    if btf.kind(inner) == Kind.ARRAY:
        count, inner = btf.count(inner), btf.resolve(btf.target(inner))
    kind, names = btf.kind(inner), {}
    if kind in (Kind.ENUM, Kind.ENUM64):
        names = {str(value): name for name, value in islice(btf.enumerators(inner).items(), _MAX_ENUMERATORS)}
    if kind == Kind.INT and not bit_size and btf.encoding(inner) & 0xFF < 8 * btf.size(inner):
        bit_size = btf.encoding(inner) & 0xFF  # the old way to write a bit field
    return TypeField(path, type_name(btf, type_id), bits, btf.size(inner), bit_size, count, _kind(btf, inner), names)


def _kind(btf: Btf, type_id: int) -> str:
    kind, encoding = btf.kind(type_id), btf.encoding(type_id)
    if kind == Kind.INT:
        is_character = encoding >> 25 & 1 or (btf.size(type_id) == 1 and btf.name(type_id) == "char")
        return "bool" if encoding >> 26 & 1 else "char" if is_character else "int" if encoding >> 24 & 1 else "uint"
    if kind in (Kind.ENUM, Kind.ENUM64):
        return "int" if btf.is_flagged(type_id) else "uint"
    return {Kind.PTR: "pointer", Kind.FLOAT: "float"}.get(kind, "bytes")
