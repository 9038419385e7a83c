"""DWARF types, functions and variables from the BTF that a kernel carries in memory.

One compilation unit holds everything. Each entry has a size that its BTF record tells, so places are known before anything is written, and
``.debug_str`` is BTF's own string section. Sources: DWARF 4, 7.5; ``Documentation/bpf/btf.rst``.

The bytes are the guest's: names are cleaned of control characters, chains of qualifiers and arrays that lead back to themselves end in
void, and references to what is no type do too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from ..symbols.btf import MAX_DEPTH, Btf
from ..symbols.btf_format import Kind
from .leb128 import sleb, uleb

_SHOWN = bytes(byte if byte == 0 or 0x20 <= byte < 0x7F else ord("?") for byte in range(256))
_PRODUCER, _UNIT = b"glassbox, from the kernel's BTF", b"vmlinux"
_C99, _VERSION, _ADDRESS_BYTES = 0x0C, 4, 8
_BTF_SIGNED, _BTF_CHAR, _BTF_BOOL = 1, 2, 4
_MOST_SIZE = (1 << 32) - 1
_CHAINED = (Kind.TYPEDEF, Kind.CONST, Kind.VOLATILE, Kind.RESTRICT, Kind.TYPE_TAG, Kind.ARRAY)
_WRITTEN = (Kind.INT, Kind.FLOAT, Kind.PTR, Kind.ARRAY, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FWD, Kind.TYPEDEF,
            Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.FUNC_PROTO)  # fmt: skip


class _Tag(IntEnum):
    """``DW_TAG_*``."""

    ARRAY_TYPE = 0x01
    ENUMERATION_TYPE = 0x04
    FORMAL_PARAMETER = 0x05
    MEMBER = 0x0D
    POINTER_TYPE = 0x0F
    COMPILE_UNIT = 0x11
    STRUCTURE_TYPE = 0x13
    SUBROUTINE_TYPE = 0x15
    TYPEDEF = 0x16
    UNION_TYPE = 0x17
    UNSPECIFIED_PARAMETERS = 0x18
    SUBRANGE_TYPE = 0x21
    BASE_TYPE = 0x24
    CONST_TYPE = 0x26
    ENUMERATOR = 0x28
    SUBPROGRAM = 0x2E
    VARIABLE = 0x34
    VOLATILE_TYPE = 0x35
    RESTRICT_TYPE = 0x37


class _Is(IntEnum):
    """``DW_AT_*``."""

    LOCATION = 0x02
    NAME = 0x03
    BYTE_SIZE = 0x0B
    BIT_SIZE = 0x0D
    LOW_PC = 0x11
    HIGH_PC = 0x12
    LANGUAGE = 0x13
    CONST_VALUE = 0x1C
    PRODUCER = 0x25
    PROTOTYPED = 0x27
    COUNT = 0x37
    DATA_MEMBER_LOCATION = 0x38
    DECLARATION = 0x3C
    ENCODING = 0x3E
    EXTERNAL = 0x3F
    TYPE = 0x49
    DATA_BIT_OFFSET = 0x6B


class _Form(IntEnum):
    """``DW_FORM_*``, with the letter by which `struct` packs each; what takes no bytes has none."""

    ADDR = 0x01
    DATA4 = 0x06
    DATA1 = 0x0B
    SDATA = 0x0D
    STRP = 0x0E
    REF4 = 0x13
    EXPRLOC = 0x18
    FLAG_PRESENT = 0x19


_PACKED = {
    _Form.ADDR: "Q",
    _Form.DATA4: "I",
    _Form.DATA1: "B",
    _Form.STRP: "I",
    _Form.REF4: "I",
    _Form.EXPRLOC: "10s",
}
_Fields = tuple[tuple[_Is, _Form], ...]
_NAME, _TYPE = (_Is.NAME, _Form.STRP), (_Is.TYPE, _Form.REF4)
_SIZE4, _SIZE1 = (_Is.BYTE_SIZE, _Form.DATA4), (_Is.BYTE_SIZE, _Form.DATA1)
_CODE: _Fields = ((_Is.LOW_PC, _Form.ADDR), (_Is.HIGH_PC, _Form.DATA4))
_PROTOTYPED = (_Is.PROTOTYPED, _Form.FLAG_PRESENT)


class _Shape:
    """A kind of entry: an abbreviation, and how its fields are packed."""

    def __init__(self, tag: _Tag, *fields: tuple[_Is, _Form], has_children: bool = False) -> None:
        self.number = len(_SHAPES) + 1
        _SHAPES.append(self)
        self.abbreviation = (
            uleb(self.number)
            + uleb(tag)
            + bytes([has_children])
            + b"".join(uleb(name) + uleb(form) for name, form in fields)
            + b"\0\0"
        )
        self._struct = struct.Struct("<B" + "".join(_PACKED.get(form, "") for _, form in fields))
        self.size = self._struct.size

    def __call__(self, *values: int | bytes) -> bytes:
        return self._struct.pack(self.number, *values)


_SHAPES: list[_Shape] = []
_unit = _Shape(_Tag.COMPILE_UNIT, (_Is.PRODUCER, _Form.STRP), (_Is.LANGUAGE, _Form.DATA1), _NAME, has_children=True)
_base = _Shape(_Tag.BASE_TYPE, _NAME, _SIZE1, (_Is.ENCODING, _Form.DATA1))
_array = _Shape(_Tag.ARRAY_TYPE, _TYPE, has_children=True)
_array_of_void = _Shape(_Tag.ARRAY_TYPE, has_children=True)
_range = _Shape(_Tag.SUBRANGE_TYPE, (_Is.COUNT, _Form.DATA4))
_aggregates = {
    (kind, is_named): _Shape(tag, *((_NAME, _SIZE4) if is_named else (_SIZE4,)), has_children=True)
    for kind, tag in ((Kind.STRUCT, _Tag.STRUCTURE_TYPE), (Kind.UNION, _Tag.UNION_TYPE))
    for is_named in (False, True)
}
_at = (_Is.DATA_MEMBER_LOCATION, _Form.DATA4)
_member, _inner = _Shape(_Tag.MEMBER, _NAME, _TYPE, _at), _Shape(_Tag.MEMBER, _TYPE, _at)
_bits = _Shape(_Tag.MEMBER, _NAME, _TYPE, (_Is.BIT_SIZE, _Form.DATA1), (_Is.DATA_BIT_OFFSET, _Form.DATA4))
_enumerations = {
    is_named: _Shape(_Tag.ENUMERATION_TYPE, *((_NAME, _SIZE1) if is_named else (_SIZE1,)), has_children=True)
    for is_named in (False, True)
}
_enumerator = _Shape(_Tag.ENUMERATOR, _NAME, (_Is.CONST_VALUE, _Form.SDATA))
"""Its value follows: LEB128 has no size of its own."""
_typedefs = {has_type: _Shape(_Tag.TYPEDEF, *((_NAME, _TYPE) if has_type else (_NAME,))) for has_type in (False, True)}
_references = {
    (kind, has_type): _Shape(tag, *((_TYPE,) if has_type else ()))
    for kind, tag in (
        (Kind.PTR, _Tag.POINTER_TYPE),
        (Kind.CONST, _Tag.CONST_TYPE),
        (Kind.VOLATILE, _Tag.VOLATILE_TYPE),
        (Kind.RESTRICT, _Tag.RESTRICT_TYPE),
    )
    for has_type in (False, True)
}
_forwards = [
    _Shape(tag, _NAME, (_Is.DECLARATION, _Form.FLAG_PRESENT)) for tag in (_Tag.STRUCTURE_TYPE, _Tag.UNION_TYPE)
]
_prototypes = {
    has_type: _Shape(_Tag.SUBROUTINE_TYPE, _PROTOTYPED, *((_TYPE,) if has_type else ()), has_children=True)
    for has_type in (False, True)
}
_functions = {
    has_type: _Shape(
        _Tag.SUBPROGRAM, _NAME, *_CODE, (_Is.EXTERNAL, _Form.FLAG_PRESENT), _PROTOTYPED,
        *((_TYPE,) if has_type else ()), has_children=True
    )
    for has_type in (False, True)
}  # fmt: skip
_parameter = _Shape(_Tag.FORMAL_PARAMETER, _NAME, _TYPE)
_parameter_of_void = _Shape(_Tag.FORMAL_PARAMETER, _NAME)
_more = _Shape(_Tag.UNSPECIFIED_PARAMETERS)
_variable = _Shape(_Tag.VARIABLE, _NAME, _TYPE, (_Is.EXTERNAL, _Form.FLAG_PRESENT), (_Is.LOCATION, _Form.EXPRLOC))
_END = b"\0"


def cleaned(names: bytes) -> bytes:
    """Names of the guest's, which end in zeros, without what means something to a terminal."""
    return names.translate(_SHOWN)


@dataclass(frozen=True)
class TypeSections:
    """``.debug_info``, ``.debug_abbrev`` and ``.debug_str``."""

    info: bytes
    abbreviations: bytes
    strings: bytes


def type_sections(
    btf: Btf, functions: Mapping[str, tuple[int, int]], variables: Mapping[str, tuple[int, str | int]]
) -> TypeSections:
    """The sections that describe all types of `btf`.

    `functions` are (address, bytes of code) by name, of which those that BTF describes are written; `variables` are (address, type) by
    name, the type a number of BTF or a declaration such as ``struct task_struct *``; those of no known type are left out.
    """
    return _Writer(btf).sections(functions, variables)


class _Writer:
    """Writes the unit of one BTF."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._strings = bytearray(cleaned(btf.strings))
        if not self._strings or self._strings[-1]:
            self._strings.append(0)
        self._names = np.where(btf.words[btf.starts] < len(btf.strings), btf.words[btf.starts], 0).tolist()
        self._kinds = [btf.kind(type_id) for type_id in range(len(btf))]
        self._meant, self._elements = self._follow()
        self._endless = self._find_endless()
        """(struct, struct): the one holds the other, which leads back to it."""
        self._places = [0] * len(btf)
        """Of each type its entry, from the first byte of the unit."""

    def sections(
        self, functions: Mapping[str, tuple[int, int]], variables: Mapping[str, tuple[int, str | int]]
    ) -> TypeSections:
        """All of it."""
        head = struct.pack("<HIB", _VERSION, 0, _ADDRESS_BYTES)
        head += _unit(self._string(_PRODUCER), _C99, self._string(_UNIT))
        types = [
            type_id for type_id, kind in enumerate(self._kinds) if kind in _WRITTEN and self._meant[type_id] == type_id
        ]
        # The length of an entry is the same whatever it refers to, so the first turn is for the places.
        place = 4 + len(head)
        for type_id in types:
            self._places[type_id] = place
            place += len(self._entry(type_id))
        parts = [head, *map(self._entry, types)]
        named = {self._btf.name(type_id): type_id for type_id in reversed(self._btf.ids(Kind.FUNC))}
        for name, (address, size) in functions.items():
            if name in named:
                parts.append(self._function(named[name], address, size))
        place += sum(map(len, parts[1 + len(types) :]))
        for name, (address, its_type) in variables.items():
            entries, reference = self._declared(its_type, place)
            if reference:
                parts += [*entries, _variable(self._string(name.encode()), reference, _address(address))]
                place += sum(map(len, parts[-1 - len(entries) :]))
        body = b"".join(parts) + _END
        abbreviations = b"".join(shape.abbreviation for shape in _SHAPES) + _END
        return TypeSections(struct.pack("<I", len(body)) + body, abbreviations, bytes(self._strings))

    def _follow(self) -> tuple[list[int], list[int]]:
        """Of each number the type that it means: itself, what a tag stands before, or void for what is no type; and its elements' type.

        That is what is left without qualifiers, names and arrays.
        """
        following = np.zeros(len(self._btf), np.int64)
        is_chained = np.isin(self._kinds, _CHAINED)
        chained = np.flatnonzero(is_chained)
        targets = np.array([self._btf.target(type_id) for type_id in chained.tolist()], np.int64)
        following[chained] = np.where((targets > 0) & (targets < len(self._btf)), targets, 0)
        ends = np.where(is_chained, following, np.arange(len(self._btf)))
        for _ in range(MAX_DEPTH.bit_length()):
            ends = np.where(is_chained[ends], ends[ends], ends)
        meant = np.arange(len(self._btf))
        meant[is_chained & is_chained[ends]] = 0
        is_tag = np.isin(self._kinds, [Kind.TYPE_TAG])
        for _ in range(MAX_DEPTH):
            if not is_tag[meant].any():
                break
            meant = np.where(is_tag[meant], following[meant], meant)
        meant[~np.isin(np.array(self._kinds)[meant], _WRITTEN)] = 0
        return meant.tolist(), ends.tolist()

    def _find_endless(self) -> set[tuple[int, int]]:
        """Which structs to leave out of which, so that none holds itself: a debugger would not come to an end."""
        found, done, active = set(), set(), set()
        for start in self._btf.ids(Kind.STRUCT, Kind.UNION):
            stack = [(start, iter(self._held(start)))] if start not in done else []
            active.add(start)
            while stack:
                outer, held = stack[-1]
                inner = next(held, 0)
                if not inner:
                    done.add(outer)
                    active.discard(outer)
                    stack.pop()
                elif inner in active:
                    found.add((outer, inner))
                elif inner not in done:
                    active.add(inner)
                    stack.append((inner, iter(self._held(inner))))
        return found

    def _held(self, type_id: int) -> list[int]:
        """Structs and unions that a struct or union holds, alone or in arrays."""
        elements = (
            self._elements[member] for _, member, _ in self._rows(type_id, 3) if 0 < member < len(self._elements)
        )
        return [element for element in elements if self._kinds[element] in (Kind.STRUCT, Kind.UNION)]

    def _string(self, text: bytes) -> int:
        """Where a string is that BTF does not have."""
        place = len(self._strings)
        self._strings += cleaned(text) + _END
        return place

    def _reference(self, type_id: int) -> tuple[int, ...]:
        """The place of a type as a field, nothing for void."""
        meant = self._meant[type_id] if 0 < type_id < len(self._meant) else 0
        return (self._places[meant],) if meant else ()

    def _name_at(self, offset: int) -> int:
        return offset if offset < len(self._btf.strings) else 0

    def _entry(self, type_id: int) -> bytes:
        """A type with what it holds."""
        kind, name = self._kinds[type_id], self._names[type_id]
        match kind:
            case Kind.INT | Kind.FLOAT:
                return _base(name, min(self._btf.size(type_id), 255), self._encoding(type_id))
            case Kind.PTR | Kind.CONST | Kind.VOLATILE | Kind.RESTRICT:
                target = self._reference(self._btf.target(type_id))
                return _references[kind, bool(target)](*target)
            case Kind.TYPEDEF:
                target = self._reference(self._btf.target(type_id))
                return _typedefs[bool(target)](name, *target)
            case Kind.ARRAY:
                target = self._reference(self._btf.target(type_id))
                return (_array if target else _array_of_void)(*target) + _range(self._btf.count(type_id)) + _END
            case Kind.STRUCT | Kind.UNION:
                head = _aggregates[kind, bool(name)](*((name,) if name else ()), self._size_of(type_id))
                return head + self._members(type_id) + _END
            case Kind.ENUM | Kind.ENUM64:
                head = _enumerations[bool(name)](*((name,) if name else ()), min(self._size_of(type_id), 8))
                return head + self._enumerators(type_id) + _END
            case Kind.FWD:
                return _forwards[self._btf.is_flagged(type_id)](name)
        return self._prototype(type_id)

    def _size_of(self, type_id: int) -> int:
        return int(self._btf.words[self._btf.starts[type_id] + 2])

    def _rows(self, type_id: int, width: int) -> list[list[int]]:
        """The words behind the head of a record, `width` for each of what it counts."""
        start, count = int(self._btf.starts[type_id]) + 3, int(self._btf.words[self._btf.starts[type_id] + 1]) & 0xFFFF
        rows: list[list[int]] = self._btf.words[start : start + width * count].reshape(-1, width).tolist()
        return rows

    def _encoding(self, type_id: int) -> int:
        """``DW_ATE_*``."""
        if self._kinds[type_id] == Kind.FLOAT:
            return 0x04
        bits = self._btf.encoding(type_id) >> 24
        is_signed = bool(bits & _BTF_SIGNED)
        if bits & _BTF_BOOL:
            return 0x02
        # Compilers do not set BTF's bit of a char.
        is_char = bits & _BTF_CHAR or b"char" in self._btf.name(type_id).encode()
        return (0x06 if is_signed else 0x08) if is_char else (0x05 if is_signed else 0x07)

    def _members(self, type_id: int) -> bytes:
        parts, has_bits = [], self._btf.is_flagged(type_id)
        for offset, member, bits in self._rows(type_id, 3):
            reference, name = self._reference(member), self._name_at(offset)
            width, place = (bits >> 24, bits & 0xFFFFFF) if has_bits else (0, bits)
            if not reference or (width and not name) or (type_id, self._elements[member]) in self._endless:
                continue
            if width:
                parts.append(_bits(name, *reference, width, place))
            elif name:
                parts.append(_member(name, *reference, place >> 3))
            else:
                parts.append(_inner(*reference, place >> 3))
        return b"".join(parts)

    def _enumerators(self, type_id: int) -> bytes:
        width = 2 if self._kinds[type_id] == Kind.ENUM else 3
        bits, is_signed = 32 * (width - 1), self._btf.is_flagged(type_id)
        parts = []
        for name, *words in self._rows(type_id, width):
            value = words[0] | (words[1] << 32 if width == 3 else 0)
            # A debugger has 64 bits with a sign for it, whatever the type says.
            value -= (1 << bits) if (is_signed or bits == 64) and value >> (bits - 1) else 0
            parts.append(_enumerator(self._name_at(name)) + sleb(value))
        return b"".join(parts)

    def _prototype(self, type_id: int) -> bytes:
        result = self._reference(self._btf.target(type_id))
        parts = [_prototypes[bool(result)](*result)]
        return b"".join([*parts, *self._parameters(type_id), _END])

    def _parameters(self, prototype: int) -> Iterator[bytes]:
        for name, its_type in self._rows(prototype, 2):
            reference = self._reference(its_type)
            if not name and not its_type:
                yield _more()
            elif reference:
                yield _parameter(self._name_at(name), *reference)
            else:
                yield _parameter_of_void(self._name_at(name))

    def _function(self, type_id: int, address: int, size: int) -> bytes:
        prototype = self._btf.target(type_id)
        if self._btf.kind(prototype) != Kind.FUNC_PROTO:
            return b""
        result = self._reference(self._btf.target(prototype))
        head = _functions[bool(result)](self._names[type_id], address, min(size, _MOST_SIZE), *result)
        return b"".join([head, *self._parameters(prototype), _END])

    def _declared(self, declaration: str | int, place: int) -> tuple[list[bytes], int]:
        """Entries to write at `place` for a declaration, and where its type then is; 0 for an unknown one."""
        if isinstance(declaration, int):
            return [], next(iter(self._reference(declaration)), 0)
        words = declaration.replace("*", "").split()
        name = " ".join(word for word in words if word not in ("struct", "union"))
        found = self._btf.find(name, Kind.STRUCT, Kind.UNION, Kind.INT, Kind.TYPEDEF)
        reference = self._reference(found) if found else ()
        stars = declaration.count("*")
        if not reference and not (name == "void" and stars):
            return [], 0
        entries = []
        for _ in range(stars):
            entries.append(_references[Kind.PTR, bool(reference)](*reference))
            reference = (place + sum(map(len, entries[:-1])),)
        return entries, reference[0]


def _address(address: int) -> bytes:
    """The expression that gives an address: ``DW_OP_addr``, with its length before it."""
    return struct.pack("<BBQ", 9, 0x03, address)
