"""Decoding and validating a module of WebAssembly: sections in their order, each rule checked where it can be broken first.

WebAssembly 1.0 with sign extension, saturating conversions, bulk memory, several results, mutable globals, reference types and
extended constant expressions. A module that passes needs no further check but for what `lower` does not support.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...errors import WasmError
from .code import read_body
from .constants import read_constant
from .custom import read_custom
from .module import (
    DataSegment,
    ElementSegment,
    Export,
    FunctionType,
    Global,
    GlobalType,
    Import,
    Instruction,
    Kind,
    Limits,
    Mode,
    Module,
    TableType,
)
from .opcodes import BY_NAME, ValueType
from .reader import Reader
from .types import read_function_type, read_global_type, read_memory_type, read_reference_type, read_table_type

MAX_FILE_BYTES = 64 << 20
"""A larger file is refused before it is read."""
MAX_TABLES = 100
_KINDS = (Kind.FUNCTION, Kind.TABLE, Kind.MEMORY, Kind.GLOBAL)


def decode(data: bytes, file: str = "") -> Module:
    """The module in the bytes of a ``.wasm`` file.

    Raises `WasmError` with the rule that it breaks and the byte where it does; `file` is for that error alone. Time and memory are
    bounded by a multiple of the file's size.
    """
    if len(data) > MAX_FILE_BYTES:
        raise WasmError(f"the file has more than {MAX_FILE_BYTES >> 20} MiB, which is not supported", file=file)
    try:
        return _Decoder(data).module()
    except WasmError as error:
        raise WasmError(error.rule, error.offset, function=error.function, file=file) from None


class _Decoder:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.found = Module()
        self.declared: set[int] = set()
        """Functions that ``ref.func`` may name: those that something outside of code names."""
        self.data_count: int | None = None
        self.is_coded = False
        self.customs: list[Reader] = []

    def module(self) -> Module:
        whole = Reader(self.data)
        if whole.data[:4] != b"\0asm":
            raise whole.malformed("magic header not detected")
        whole.place = 4
        if (version := whole.data[4:8]) != b"\1\0\0\0":
            what = "a component, which is not supported" if version == b"\x0d\0\1\0" else "unknown binary version"
            raise whole.malformed(what)
        whole.place = 8
        last = -1
        while whole.left:
            begin = whole.offset
            number = whole.byte()
            part = whole.part(whole.u32())
            if number == 0:
                part.name()
                self.customs.append(part)
                continue
            if number not in _SECTIONS:
                raise whole.malformed("malformed section id", begin)
            place = list(_SECTIONS).index(number)
            if place <= last:
                raise whole.malformed("unexpected content after last section", begin)
            last = place
            _SECTIONS[number](self, part)
            part.at_end("section size mismatch")
        if len(self.found.bodies) != len(self.found.functions) - self.found.imported_functions:
            raise whole.malformed("function and code section have inconsistent lengths")
        if self.data_count not in (None, len(self.found.data)):
            raise whole.malformed("data count and data section have inconsistent lengths")
        for part in self.customs:
            read_custom(Reader(part.data, part.base), self.found)
        return self.found

    def types(self, part: Reader) -> None:
        self.found.types = part.vector(lambda: read_function_type(part))

    def imports(self, part: Reader) -> None:
        for _ in range(part.count()):
            module, name, begin = part.name(), part.name(), part.offset
            number = part.byte()
            if number >= len(_KINDS):
                raise part.malformed("exceptions are not supported" if number == 4 else "malformed import kind", begin)
            kind = _KINDS[number]
            one: int | TableType | Limits | GlobalType
            if kind is Kind.FUNCTION:
                one = self.function_type(part)
                self.found.imported_functions += 1
            elif kind is Kind.TABLE:
                one = read_table_type(part)
                self.found.tables.append(one)
                self.check_tables(part)
            elif kind is Kind.MEMORY:
                one = read_memory_type(part)
                self.found.memories.append(one)
                self.check_memories(part)
            else:
                one = read_global_type(part)
                self.found.globals.append(one)
            self.found.imports.append(Import(module, name, kind, one))

    def function_type(self, part: Reader) -> int:
        begin = part.offset
        number = part.u32()
        if number >= len(self.found.types):
            raise part.malformed(f"unknown type {number}", begin)
        self.found.functions.append(number)
        return number

    def functions(self, part: Reader) -> None:
        part.vector(lambda: self.function_type(part))

    def tables(self, part: Reader) -> None:
        for _ in range(part.count()):
            if part.left and part.data[part.place] == 0x40:
                raise part.malformed("function references are not supported: a table with a first value")
            self.found.tables.append(read_table_type(part))
            self.check_tables(part)

    def check_tables(self, part: Reader) -> None:
        if len(self.found.tables) > MAX_TABLES:
            raise part.malformed(f"more than {MAX_TABLES} tables, which is not supported")

    def memories(self, part: Reader) -> None:
        for _ in range(part.count()):
            self.found.memories.append(read_memory_type(part))
            self.check_memories(part)

    def check_memories(self, part: Reader) -> None:
        if len(self.found.memories) > 1:
            raise part.malformed("multiple memories")

    def constant(self, part: Reader, wanted: ValueType) -> tuple[Instruction, ...]:
        return read_constant(part, self.found, wanted, self.declared)

    def globals(self, part: Reader) -> None:
        for _ in range(part.count()):
            kind = read_global_type(part)
            self.found.own_globals.append(Global(kind, self.constant(part, kind.type)))
            self.found.globals.append(kind)

    def exports(self, part: Reader) -> None:
        for _ in range(part.count()):
            begin = part.offset
            name = part.name()
            at = part.offset
            number = part.byte()
            if number >= len(_KINDS):
                raise part.malformed("malformed export kind", at)
            kind, index = _KINDS[number], part.u32()
            self.check_index(part, kind, index, at)
            if name in self.found.exports:
                raise part.malformed(f"duplicate export name {name!r}", begin)
            self.found.exports[name] = Export(name, kind, index)
            if kind is Kind.FUNCTION:
                self.declared.add(index)

    def check_index(self, part: Reader, kind: Kind, index: int, at: int) -> None:
        sizes = {
            Kind.FUNCTION: len(self.found.functions),
            Kind.TABLE: len(self.found.tables),
            Kind.MEMORY: len(self.found.memories),
            Kind.GLOBAL: len(self.found.globals),
        }
        if index >= sizes[kind]:
            raise part.malformed(f"unknown {kind.value} {index}", at)

    def start(self, part: Reader) -> None:
        begin = part.offset
        number = part.u32()
        self.check_index(part, Kind.FUNCTION, number, begin)
        if self.found.type_of(number) != FunctionType():
            raise part.malformed(f"start function: type mismatch: {self.found.type_of(number)}", begin)
        self.found.start = number

    def elements(self, part: Reader) -> None:
        for _ in range(part.count()):
            self.found.elements.append(self.element(part))

    def element(self, part: Reader) -> ElementSegment:
        begin = part.offset
        flags = part.u32()
        if flags > 7:
            raise part.malformed("malformed elements segment kind", begin)
        table, at, kind = 0, tuple[Instruction, ...](), ValueType.FUNCREF
        mode = Mode.ACTIVE if not flags & 1 else Mode.DECLARATIVE if flags & 2 else Mode.PASSIVE
        if mode is Mode.ACTIVE:
            place = part.offset
            table = part.u32() if flags & 2 else 0
            self.check_index(part, Kind.TABLE, table, place)
            at = self.constant(part, ValueType.I32)
        if flags & 3:
            place = part.offset
            if flags & 4:
                kind = read_reference_type(part)
            elif part.byte() != 0:
                raise part.malformed("malformed element kind", place)
        if mode is Mode.ACTIVE and self.found.tables[table].element is not kind:
            raise part.malformed(f"type mismatch: {kind!r} for a table of {self.found.tables[table].element!r}", begin)
        own = kind
        read: Callable[[], tuple[Instruction, ...]] = (
            (lambda: self.constant(part, own)) if flags & 4 else (lambda: self.function_item(part))
        )
        return ElementSegment(mode, kind, tuple(part.vector(read)), table, at)

    def function_item(self, part: Reader) -> tuple[Instruction, ...]:
        begin = part.offset
        number = part.u32()
        self.check_index(part, Kind.FUNCTION, number, begin)
        self.declared.add(number)
        return (Instruction(BY_NAME["ref.func"], number, begin),)

    def count_data(self, part: Reader) -> None:
        self.data_count = part.u32()

    def code(self, part: Reader) -> None:
        begin = part.offset
        first = self.found.imported_functions
        count = part.count()
        if count != len(self.found.functions) - first:
            raise part.malformed("function and code section have inconsistent lengths", begin)
        for number in range(first, first + count):
            body = part.part(part.u32())
            try:
                self.found.bodies.append(read_body(body, self.found, number, self.declared, self.data_count))
            except WasmError as error:
                raise WasmError(error.rule, error.offset, function=self.found.name_of(number)) from None

    def data_segments(self, part: Reader) -> None:
        begin = part.offset
        count = part.count()
        if self.data_count not in (None, count):
            raise part.malformed("data count and data section have inconsistent lengths", begin)
        for _ in range(count):
            begin = part.offset
            flags = part.u32()
            if flags > 2:
                raise part.malformed("malformed data segment kind", begin)
            one = DataSegment(Mode.PASSIVE if flags == 1 else Mode.ACTIVE, b"")
            if flags != 1:
                memory = part.u32() if flags == 2 else 0
                self.check_index(part, Kind.MEMORY, memory, begin)
                one = replace(one, at=self.constant(part, ValueType.I32))
            self.found.data.append(replace(one, content=part.take(part.u32())))


_SECTIONS: dict[int, Callable[[_Decoder, Reader], None]] = {
    1: _Decoder.types,
    2: _Decoder.imports,
    3: _Decoder.functions,
    4: _Decoder.tables,
    5: _Decoder.memories,
    6: _Decoder.globals,
    7: _Decoder.exports,
    8: _Decoder.start,
    9: _Decoder.elements,
    12: _Decoder.count_data,
    10: _Decoder.code,
    11: _Decoder.data_segments,
}
"""Sections by number, in the order that they stand in."""
