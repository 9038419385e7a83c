"""An ELF file of symbols and sections without a loadable byte, as debuggers take it beside a program that runs."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)
_IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)
_EXECUTABLE, _X86_64, _VERSION = 2, 62, 1
_PROGBITS, _SYMTAB, _STRTAB, _NOBITS = 1, 2, 3, 8
_ALLOCATED, _WRITABLE, _EXECUTED = 2, 1, 4
FUNCTION, OBJECT = 2, 1
"""``STT_FUNC`` and ``STT_OBJECT``."""
_LOCAL, _GLOBAL = 0, 1


@dataclass(frozen=True, slots=True)
class Region:
    """Addresses of code or data that the file names without holding them."""

    name: str
    start: int
    size: int
    is_code: bool


@dataclass(frozen=True, slots=True)
class ElfSymbol:
    """A symbol: `kind` is `FUNCTION` or `OBJECT`."""

    name: bytes
    address: int
    size: int
    kind: int
    is_global: bool


def elf_file(regions: Sequence[Region], symbols: Sequence[ElfSymbol], sections: dict[str, bytes]) -> list[bytes]:
    """The pieces of the file, in order; symbols outside of every region are absolute."""
    names = bytearray(b"\0")
    headers: list[bytes] = [bytes(_SECTION.size)]
    bodies: list[bytes] = []
    place = _HEADER.size

    def add(
        name: str,
        kind: int,
        flags: int,
        address: int,
        body: bytes,
        size: int,
        link: int = 0,
        info: int = 0,
        entry: int = 0,
    ) -> None:
        nonlocal place
        body += bytes(-len(body) % 8)
        headers.append(
            _SECTION.pack(len(names), kind, flags, address, place, size, link, info, 8 if body else 1, entry)
        )
        names.extend(name.encode() + b"\0")
        bodies.append(body)
        place += len(body)

    for region in regions:
        flags = _ALLOCATED | (_EXECUTED if region.is_code else _WRITABLE)
        add(region.name, _NOBITS, flags, region.start, b"", region.size)
    for name, content in sections.items():
        add(name, _PROGBITS, 0, 0, content, len(content))
    table, text, first_global = _symbols(regions, symbols)
    add(".symtab", _SYMTAB, 0, 0, table, len(table), len(headers) + 1, first_global, _SYMBOL.itemsize)
    add(".strtab", _STRTAB, 0, 0, text, len(text))
    names_at = len(names)
    add(".shstrtab", _STRTAB, 0, 0, bytes(names) + b".shstrtab\0", names_at + len(b".shstrtab\0"))
    header = _HEADER.pack(
        _IDENT, _EXECUTABLE, _X86_64, _VERSION, 0, 0, place, 0, _HEADER.size, 0, 0, _SECTION.size, len(headers), len(headers) - 1
    )  # fmt: skip
    return [header, *bodies, *headers]


def _symbols(regions: Sequence[Region], symbols: Sequence[ElfSymbol]) -> tuple[bytes, bytes, int]:
    """Symbol table, its strings, and the number of the first global one: local ones come first."""
    ordered = sorted(symbols, key=lambda symbol: symbol.is_global)
    table, text = np.zeros(len(ordered) + 1, _SYMBOL), bytearray(b"\0")
    starts = []
    for symbol in ordered:
        starts.append(len(text))
        text += symbol.name + b"\0"
    rows = table[1:]
    rows["name"] = starts
    rows["value"] = np.array([symbol.address for symbol in ordered], np.uint64)
    rows["size"] = np.array([symbol.size for symbol in ordered], np.uint64)
    rows["info"] = [(_GLOBAL if symbol.is_global else _LOCAL) << 4 | symbol.kind for symbol in ordered]
    rows["section"] = 0xFFF1
    for number, region in enumerate(regions, 1):
        inside = (rows["value"] >= region.start) & (rows["value"] < region.start + region.size)
        rows["section"][inside] = number
    return table.tobytes(), bytes(text), 1 + sum(not symbol.is_global for symbol in ordered)
